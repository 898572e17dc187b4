load helpers
load est_helpers

setup() { est_pki && est_dms factory; }
teardown() { est_stop; }

@test "E2 E3 E4 E7: a device enrols by curl with a bootstrap certificate; the listener ends when the target is met" {
	est_start --max-enrollments 1
	est_get "$EST_URL/factory/cacerts" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs | grep -c '^subject' | grep -qx 2
	est_csr dev-1
	[ "$(est_post factory/simpleenroll dev-1.b64)" = 401 ]
	grep -qi '^content-length: 0' head; grep -qi '^www-authenticate: basic' head
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	grep -qi '^content-type: application/pkcs7-mime; smime-type=certs-only' head
	grep -qi '^content-transfer-encoding: base64' head; ! grep -qi '^transfer-encoding' head
	est_pem >dev-1.pem
	"$LAMASSU" --repo pki ca export devices --out devices.pem >/dev/null
	openssl verify -CAfile root.pem -untrusted devices.pem dev-1.pem
	local s=0; wait "$EST_PID" || s=$?; EST_PID=
	[ "$s" -eq 0 ]
	grep -q '^reached: *true' sum
	"$LAMASSU" --repo pki cert show "$(openssl x509 -in dev-1.pem -noout -serial | cut -d= -f2)" -o json | jq -e '.device == "dev-1" and .dms == "factory"'
	"$LAMASSU" --repo pki repo verify
}

@test "E2: exit 1 when the time was up before the target; 0 by SIGTERM without one" {
	run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --max-enrollments 2 --timeout 1s
	[ "$status" -eq 1 ]; [[ "$output" == *"0 of 2"* ]]
	est_start
	est_stop
	[ "$EST_STATUS" -eq 0 ]
}

@test "E11: a request that is sent again gets the same certificate; a device enrols once" {
	est_start
	est_csr dev-2
	[ "$(est_post factory/simpleenroll dev-2.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]; est_pem >first.pem
	[ "$(est_post factory/simpleenroll dev-2.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]; est_pem >again.pem
	cmp first.pem again.pem
	rm dev-2.*; est_csr dev-2
	[ "$(est_post factory/simpleenroll dev-2.b64 --cert boot-1.pem --key boot-1.key)" = 403 ]; grep -q 'enrolled already' answer
}

@test "E7 E11 E15: renewal with the current certificate, for the same names only" {
	est_start
	est_csr dev-3 -addext 'subjectAltName=DNS:dev-3.example'
	[ "$(est_post factory/simpleenroll dev-3.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]; est_pem >dev-3.pem; cp dev-3.key old.key
	[ "$(est_post factory/simplereenroll dev-3.b64 --cert boot-1.pem --key boot-1.key)" != 200 ]
	est_csr dev-4
	[ "$(est_post factory/simplereenroll dev-4.b64 --cert dev-3.pem --key old.key)" = 403 ]
	est_csr dev-3
	[ "$(est_post factory/simplereenroll dev-3.b64 --cert dev-3.pem --key old.key)" = 200 ]; est_pem >new.pem
	openssl x509 -in new.pem -noout -subject -ext subjectAltName | diff - <(openssl x509 -in dev-3.pem -noout -subject -ext subjectAltName)
	! cmp -s <(openssl x509 -in new.pem -noout -pubkey) <(openssl x509 -in dev-3.pem -noout -pubkey)
}
