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
	grep -qx 'reached: *true' sum; grep -qx 'enrolled: *1' sum; grep -qx 'renewed: *0' sum; grep -qx 'refused: *1' sum
	grep -qx 'refused_by.0.n: *1' sum; grep -qx 'target: *1' sum
	grep -qxE 'p99_ms: *[0-9.]+' sum
	"$LAMASSU" --repo pki repo log -o json | jq -e '.list[0] | .op == "est-serve"'
	"$LAMASSU" --repo pki cert show "$(openssl x509 -in dev-1.pem -noout -serial | cut -d= -f2)" -o json | jq -e '.device == "dev-1" and .dms == "factory"'
	"$LAMASSU" --repo pki repo verify
}

@test "E2: exit 1 when the time was up before the target; 0 by SIGTERM without one" {
	run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --max-enrollments 2 --timeout 1s
	[ "$status" -eq 1 ]; [[ "$output" == *"0 of 2"* ]]
	est_start
	est_stop
	[ "$EST_STATUS" -eq 0 ]; grep -qx 'reached: *true' sum; [ "$(grep -c '^target' sum)" -eq 0 ]
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

@test "E9 S1: who lets everybody in must say so twice, and is warned each time; nobody else is let in with it" {
	auth=settings.enrollment_settings.est_rfc7030_settings.authentication
	est_dms other
	L --repo pki dms set factory "$auth={type: no_auth}"
	fails 5 'accepts everybody; --allow-no-auth permits it' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
	fails 5 'dms factory' lamassu --repo pki est-serve --dms factory --dms other --listen 127.0.0.1:0 --timeout 9s
	est_csr dev-1; est_csr dev-2
	est_start --dms other
	[ "$(est_post other/simpleenroll dev-1.b64)" = 401 ]
	L --repo pki dms set other "$auth={type: no_auth}" # while it serves, without the option
	[ "$(est_post other/simpleenroll dev-1.b64)" = 401 ]
	L --repo pki dms set other "$auth={type: client_certificate, client_certificate: {validation_cas: [boot]}}"
	est_stop
	est_start --allow-no-auth
	grep -q 'warning: .*factory: whoever reaches this listener gets a certificate' err
	[ "$(est_post factory/simpleenroll dev-1.b64)" = 200 ]; est_pem >first.pem
	openssl x509 -in first.pem -noout -subject | grep dev-1
	[ "$(est_post other/simpleenroll dev-2.b64)" = 401 ]
	# a device is enrolled once: who comes later with its name gets nothing, and renews nothing
	est_csr dev-1
	[ "$(est_post factory/simpleenroll dev-1.b64)" = 403 ]
	[ "$(est_post factory/simplereenroll dev-1.b64)" = 401 ]
	sed 's/^M/N/' dev-2.b64 >bad.b64; [ "$(est_post factory/simpleenroll bad.b64)" = 400 ]
}

@test "E4 E11 E15 est-54: keys of Ed25519 enrol, renew and prove who asks, over TLS 1.2 and 1.3" {
	openssl genpkey -algorithm ed25519 -out refused.key
	openssl req -new -key refused.key -subj /CN=ed-1 -outform DER | base64 >refused.b64
	L --repo pki profile create --template iot-device ed && L --repo pki profile set ed crypto_enforcement.allow_ed25519_keys=true
	est_dms ed && L --repo pki dms set ed settings.issuance_profile_id=ed
	est_start
	with=(--cert boot-1.pem --key boot-1.key)
	[ "$(est_post factory/simpleenroll refused.b64 "${with[@]}")" = 403 ] # the profile does not accept them
	for i in first second third; do
		openssl genpkey -algorithm ed25519 -out $i.key
		openssl req -new -key $i.key -subj /CN=ed-1 -outform DER -out $i.der
		base64 $i.der >$i.b64
	done
	[ "$(est_post ed/simpleenroll first.b64 "${with[@]}")" = 200 ]; est_pem >first.pem
	openssl x509 -in first.pem -noout -text | grep -q 'Public Key Algorithm: ED25519'
	[ "$(est_post ed/simplereenroll second.b64 --cert first.pem --key first.key --tlsv1.3)" = 200 ]; est_pem >second.pem
	[ "$(est_post ed/simplereenroll third.b64 --cert second.pem --key second.key --tls-max 1.2)" = 200 ]; est_pem >third.pem
	est_get "$EST_URL/ed/cacerts" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs >cas.pem
	for i in first second third; do
		cmp <(openssl x509 -in $i.pem -noout -pubkey) <(openssl pkey -in $i.key -pubout)
		openssl verify -CAfile root.pem -untrusted cas.pem $i.pem
	done
	python3 -c 'import sys; b = bytearray(open("second.der", "rb").read()); b[-1] ^= 1; sys.stdout.buffer.write(b)' | base64 >bad.b64
	[ "$(est_post ed/simplereenroll bad.b64 --cert third.pem --key third.key)" = 400 ] # the request's signature counts
	[ "$(est_post ed/simplereenroll second.b64 "${with[@]}")" = 401 ]
}

@test "P4 E4: a profile that has become one of authorities since makes no device an authority" {
	L --repo pki profile create -f - <<<'{"id": "thing", "honor_subject": true, "key_usage": {"digital_signature": true}}'
	L --repo pki dms set factory settings.issuance_profile_id=thing
	est_start
	est_csr d-1 && est_csr d-2
	[ "$(est_post factory/simpleenroll d-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	L --repo pki profile set thing sign_as_ca=true key_usage.cert_sign=true
	[ "$(est_post factory/simpleenroll d-2.b64 --cert boot-1.pem --key boot-1.key)" = 403 ]
	grep -q 'profile thing makes authorities' answer
}

@test "E2: a listener for more than 255 managers, with keys under a passphrase" {
	rm -rf "$EST_TMP/est"; EST_KEYS='' est_pki; est_dms factory
	for i in $(seq 260); do sed "s/^id: factory/id: line-$i/" pki/dms/factory.yaml >"pki/dms/line-$i.yaml"; done
	git -C pki add dms && git -C pki -c user.name=T -c user.email=t@example.org commit -qm 'more managers'
	est_start --workers 1 --threads 1
	[ "$(grep -c 'enrols at ca devices' err)" = 261 ]
	est_csr dev-1
	[ "$(est_post line-260/simpleenroll dev-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
}

@test "E4 E7: a request names one device; a credential's key is one for signatures" {
	L --repo pki profile create --template bootstrap wrap && L --repo pki profile set wrap key_usage.digital_signature=false key_usage.key_agreement=true
	est_csr wrap-1 && L --repo pki ca sign boot --profile wrap --csr wrap-1.csr --out wrap-1.pem
	openssl x509 -in wrap-1.pem -noout -ext keyUsage | grep -q 'Key Agreement$'
	est_dms serial && L --repo pki dms set serial settings.enrollment_settings.device_id_from=serial_number
	est_start
	est_csr dev-1
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert wrap-1.pem --key wrap-1.key)" = 401 ]
	with=(--cert boot-1.pem --key boot-1.key)
	est_csr two -subj '/CN=dev-1/CN=dev-2'
	[ "$(est_post factory/simpleenroll two.b64 "${with[@]}")" = 400 ]; est_line 400 'does not name one device'
	est_csr two -subj '/CN=x/serialNumber=1/O=y/serialNumber=2'
	[ "$(est_post serial/simpleenroll two.b64 "${with[@]}")" = 400 ]
	est_csr none -subj /O=y
	[ "$(est_post factory/simpleenroll none.b64 "${with[@]}")" = 400 ]
	est_csr one -subj '/CN=x/serialNumber=1'
	[ "$(est_post serial/simpleenroll one.b64 "${with[@]}")" = 200 ]
	[ "$(est_post factory/simpleenroll dev-1.b64 "${with[@]}")" = 200 ]
}
