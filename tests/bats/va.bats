load helpers
load est_helpers
load ../servers/openbao

setup() {
	est_pki && cd pki || return 1
	est_csr a && est_csr b && est_csr c || return 1
	for n in a b c; do L ca sign devices --csr $n.csr --out $n.pem || return 1; done
	"$LAMASSU" ca export devices --out devices.pem >/dev/null
	VA_PID=
}

teardown() { va_stop; [ -z "${BAO_PID:-}" ] || openbao_stop; }

va_start() {
	rm -f ready
	"$LAMASSU" va-serve --listen 127.0.0.1:0 --ready-file ready --timeout "${VA_TIMEOUT:-60s}" "$@" >sum 2>err 3>&- &
	VA_PID=$!
	local i
	for ((i = 0; i < 200; i++)); do [ -s ready ] && break; kill -0 "$VA_PID" 2>/dev/null || break; sleep 0.05; done
	[ -s ready ] || { cat err; return 1; }
	VA=http://$(cat ready)
}
va_stop() { [ -z "${VA_PID:-}" ] || { kill -TERM "$VA_PID" 2>/dev/null; wait "$VA_PID" || :; VA_PID=; }; }

ask() { openssl ocsp "${@:2}" -issuer devices.pem -cert "$1" -url "$VA/ocsp" -CAfile ../root.pem -verify_other devices.pem -no_nonce 2>&1; }
serial() { openssl x509 -in "$1" -noout -serial | cut -d= -f2; }

@test "C14: openssl ocsp asks by POST with a nonce; revocations of other commands are seen at once" {
	va_start
	openssl ocsp -issuer devices.pem -cert a.pem -url "$VA/ocsp" -CAfile ../root.pem >answer 2>&1
	grep -q 'a.pem: good' answer; grep -q 'Response verify OK' answer; ! grep -qi 'nonce' answer
	L cert revoke "$(serial b.pem)" --reason key_compromise --yes
	ask b.pem >answer; grep -q 'b.pem: revoked' answer; grep -qi 'keyCompromise' answer
	L cert hold "$(serial c.pem)" --yes; ask c.pem | grep -q 'c.pem: revoked'
	L cert unhold "$(serial c.pem)" --yes; ask c.pem | grep -q 'c.pem: good'
	ask a.pem -sha256 | grep -q 'a.pem: good'
}

@test "C14: unknown serials are unknown, foreign authorities unauthorized, garbage malformed: never an HTTP error" {
	va_start
	openssl ocsp -issuer devices.pem -serial 0x1234567890abcdef -url "$VA/ocsp" -CAfile ../root.pem -no_nonce 2>&1 | grep -q ': unknown'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout f.key -out foreign.pem -subj /CN=Foreign -days 3 2>/dev/null
	openssl ocsp -issuer foreign.pem -serial 1 -url "$VA/ocsp" 2>&1 | grep -qi 'unauthorized'
	printf 'garbage' | curl -s -o out -w '%{http_code}' -H 'Content-Type: application/ocsp-request' --data-binary @- "$VA/ocsp" | grep -qx 200
	openssl ocsp -respin out 2>&1 | grep -qi malformed
}

@test "C14: GET in base64 and base64url, with headers for caches; 304 for what the client has" {
	va_start
	openssl ocsp -issuer devices.pem -cert a.pem -no_nonce -reqout a.req
	b64=$(base64 -w0 a.req); url=$(printf %s "$b64" | sed 's/+/%2B/g; s,/,%2F,g; s/=/%3D/g')
	curl -s -D head -o a.resp "$VA/ocsp/$url"
	openssl ocsp -respin a.resp -issuer devices.pem -cert a.pem -CAfile ../root.pem 2>&1 | grep -q 'a.pem: good'
	grep -qi '^cache-control: max-age=[0-9]*, public' head; grep -qi '^etag:' head; grep -qi '^content-type: application/ocsp-response' head
	curl -s -o /dev/null -w '%{http_code}' "$VA/ocsp/$(printf %s "$b64" | tr '+/' '-_' | tr -d =)" | grep -qx 200
	tag=$(sed -n 's/^[Ee][Tt]ag: *//p' head | tr -d '\r')
	curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$VA/ocsp/$url" | grep -qE '^(304|200)$'
}

@test "C13 C14: CRLs and certificates of authorities; python's cryptography reads answer and CRL" {
	va_start
	ski=$("$LAMASSU" ca show devices -o json | jq -r .subject_key_id)
	L cert revoke "$(serial b.pem)" --reason superseded --yes
	curl -s -D head -o devices.crl "$VA/crl/$ski.crl"
	openssl crl -inform DER -in devices.crl -CAfile <(cat devices.pem ../root.pem) -noout 2>&1 | grep -q 'verify OK'
	openssl crl -inform DER -in devices.crl -noout -text | grep -qi "$(serial b.pem)"
	tag=$(sed -n 's/^[Ee][Tt]ag: *//p' head | tr -d '\r')
	curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$VA/crl/$ski.crl" | grep -qx 304
	curl -s "$VA/ca/$ski.cer" | cmp - <(openssl x509 -in devices.pem -outform DER)
	curl -s -o /dev/null -w '%{http_code}' "$VA/crl/00.crl" | grep -qx 404
	openssl ocsp -issuer devices.pem -cert b.pem -no_nonce -reqout b.req
	curl -s -o b.resp -H 'Content-Type: application/ocsp-request' --data-binary @b.req "$VA/ocsp"
	python3 - <<-'P'
		from cryptography import x509
		from cryptography.x509 import ocsp
		r = ocsp.load_der_ocsp_response(open('b.resp', 'rb').read())
		assert r.certificate_status == ocsp.OCSPCertStatus.REVOKED and r.revocation_reason == x509.ReasonFlags.superseded
		responder = r.certificates[0]
		assert x509.ExtendedKeyUsageOID.OCSP_SIGNING in responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
		responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
		responder.verify_directly_issued_by(x509.load_pem_x509_certificate(open('devices.pem', 'rb').read()))
	P
	va_stop
	"$LAMASSU" repo verify
}

@test "C14: answers made ahead, for static hosting: openssl reads them by the name that a GET has" {
	L cert revoke "$(serial b.pem)" --reason superseded --yes
	"$LAMASSU" ca ocsp devices --out ocsp -o json | jq -e '.answers == 3'
	openssl ocsp -issuer devices.pem -cert b.pem -no_nonce -reqout b.req
	name=$(base64 -w0 b.req | sed 's/+/%2B/g; s,/,%2F,g; s/=/%3D/g')
	openssl ocsp -respin "ocsp/$name" -issuer devices.pem -cert b.pem -CAfile ../root.pem -verify_other devices.pem 2>&1 | grep -q 'b.pem: revoked'
}

# The rest asks many things of one responder, with python's cryptography as the client.
@test "C14: answers are kept in memory, and no longer than they are true; --max-requests" {
	va_start --workers 1 --ocsp-validity 2m --max-requests 9
	openssl ocsp -issuer devices.pem -cert a.pem -no_nonce -reqout a.req
	post() { curl -s -o "$1" -H 'Content-Type: application/ocsp-request' --data-binary @a.req "$VA/ocsp"; }
	post 1; post 2; cmp 1 2
	ski=$("$LAMASSU" ca show devices -o json | jq -r .subject_key_id)
	for i in 1 2; do curl -s -D head$i -o "$i.crl" "$VA/crl/$ski.crl"; done
	cmp 1.crl 2.crl; [ "$(curl -s -I -o /dev/null -w '%{http_code} %{size_download}' "$VA/crl/$ski.crl")" = '200 0' ]
	tag=$(sed -n 's/^[Ee][Tt]ag: *//p' head2 | tr -d '\r'); [ "$tag" = "$(sed -n 's/^[Ee][Tt]ag: *//p' head1 | tr -d '\r')" ]
	curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$VA/crl/$ski.crl" | grep -qx 304
	L cert revoke "$(serial a.pem)" --reason superseded --yes
	post 3; openssl ocsp -respin 3 -issuer devices.pem -cert a.pem -CAfile ../root.pem -verify_other devices.pem 2>&1 | grep -q 'a.pem: revoked'
	kill -0 "$VA_PID"; post 4; cmp 3 4
	L ca crl devices; curl -s -o 3.crl "$VA/crl/$ski.crl"; openssl crl -inform DER -in 3.crl -noout -text | grep -qi "$(serial a.pem)"
	wait "$VA_PID"; VA_PID=
	grep -q '9' sum
}

@test "C14: without TLS too the last answer of a connection arrives, whatever is sent behind the request" {
	va_start --workers 1
	[ "$(python3 "$BATS_TEST_DIRNAME/est_attack.py" deaf "${VA##*:}" plain | tr '\n' ,)" = '404,404,404,400,404 400,413,413,' ]
}

@test "C14: whoever reads no answers is not read any further; clients that are sent away while they speak do no harm" {
	VA_TIMEOUT=600s va_start --workers 1 --address-connections 100
	attack() { timeout 300 python3 "$BATS_TEST_DIRNAME/est_attack.py" "$@"; }
	attack unread "${VA##*:}"
	attack late "${VA##*:}" "$VA_PID" 100
	! grep -q 'a worker was ended' err
}

@test "C14: hashes, nonces, several certificates, signed requests, requestor names and strange encodings" {
	L cert revoke "$(serial b.pem)" --reason superseded --yes
	va_start
	python3 "$BATS_TEST_DIRNAME/ocsp_client.py" "$VA" devices.pem a.pem b.pem
}

@test "C13 C14: an authority that is inactive or revoked still answers; one whose key is elsewhere is unauthorized; dates ahead count" {
	L --at "$(date -u -d '+40 seconds' +%Y-%m-%dT%H:%M:%SZ)" cert revoke "$(serial a.pem)" --reason superseded --yes
	L ca disable devices
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.pem -subj /CN=Elsewhere -days 30 \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	L ca import elsewhere --cert other.pem
	va_start
	ask a.pem >answer; grep -q 'a.pem: good' answer; grep -q 'Response verify OK' answer
	this=$(date -d "$(sed -n 's/.*This Update: //p' answer)" +%s); next=$(date -d "$(sed -n 's/.*Next Update: //p' answer)" +%s)
	[ $((next - this)) -le 40 ]
	openssl ocsp -issuer other.pem -serial 1 -url "$VA/ocsp" 2>&1 | grep -qi unauthorized
	va_stop; L ca revoke devices --reason superseded --yes
	va_start; ask b.pem | grep -q 'b.pem: good'
}

@test "C13 C14: strangers make no CRLs but those that there are to be, each once" {
	config() { printf '%s\n' "$1" >>lamassu.yaml; git add lamassu.yaml; git -c user.name=T -c user.email=t@example.org commit -qm config; }
	config 'va_domains: [va.example]'
	L ca set devices crl.partitions=3 crl.crl_update_interval_hours=1
	new_csr late /CN=late && L ca sign devices --csr late.csr --out late.pem
	va_start
	ski=$("$LAMASSU" ca show devices -o json | jq -r .subject_key_id)
	code() { curl -s -o got -w '%{http_code}' "$VA/crl/$1"; }
	made() { git log --format=%s ledger | grep -c '^va: CRL' || true; }
	before=$(made)
	for wrong in "$ski.3.crl" "$ski.4711.crl" "$ski.99999999999999999999.crl" "$ski.-1.crl" "$ski.+1.crl" "$ski.01.crl" "$ski.%31.crl" "$ski..crl" "$ski.1.1.crl" "$ski.delta.crl" "$ski.1.delta.crl"; do
		[ "$(code "$wrong")" = 404 ] || { echo "$wrong"; return 1; }
	done
	[ "$(made)" = "$before" ]
	# the others are due all the time, and do not make this one due again
	for i in 1 2 3 4 5; do [ "$(code "$ski.1.crl")" = 200 ]; done
	[ "$(made)" = $((before + 1)) ]
	for i in 0 2; do [ "$(code "$ski.$i.crl")" = 200 ]; openssl crl -inform DER -in got -noout -text | grep -q "$ski.$i.crl"; done
	[ "$(code "$ski.crl")" = 200 ] # of what is older than the partitions
	[ "$(made)" = $((before + 4)) ]
	config 'crl: {delta: true}'
	for i in 1 2 3; do [ "$(code "$ski.1.delta.crl")" = 200 ]; done
	openssl crl -inform DER -in got -noout -text | grep -q 'Delta CRL Indicator'
	[ "$(code "$ski.7.delta.crl")" = 404 ]
	[ "$(made)" = $((before + 5)) ]
}

@test "C14: responder certificates are issued anew before they end, while it serves" {
	mkdir data && cp -r "$LAMASSU_DATADIR/profiles" data/ && sed -i 's/duration: 720h/duration: 75s/' data/profiles/ocsp-responder.yaml
	LAMASSU_DATADIR=$PWD/data va_start --workers 1 --ocsp-validity 1m
	responder() { # with a nonce, so that no answer is one from before
		openssl ocsp -issuer devices.pem -cert a.pem -url "$VA/ocsp" -CAfile ../root.pem -respout answer >said 2>&1
		grep -q 'Response verify OK' said && grep -q 'a.pem: good' said || { cat said; return 1; }
		python3 -c 'from cryptography.x509 import ocsp; r = ocsp.load_der_ocsp_response(open("answer", "rb").read()); print("%032x" % r.certificates[0].serial_number)'
	}
	first=$(responder)
	for ((i = 0; i < 300; i++)); do last=$(responder); [ "$last" = "$first" ] || break; sleep 0.1; done
	[ "$last" != "$first" ]
	"$LAMASSU" cert show "$last" -o json | jq -e '.profile == "ocsp-responder"'
	for i in 1 2 3; do [ "$(responder)" = "$last" ] || break; done # one for all, while it holds
	"$LAMASSU" cert list --all -o json | jq -e '[.list[] | select(.profile == "ocsp-responder")] | length < 20'
	va_stop; ok "$LAMASSU" repo verify
}

@test "C13 C14: a CRL that many ask for at once is made once" {
	va_start --workers 2
	ski=$("$LAMASSU" ca show devices -o json | jq -r .subject_key_id)
	asking=()
	for i in {1..12}; do curl -sf -o "got.$i" "$VA/crl/$ski.crl" & asking+=($!); done
	for i in "${asking[@]}"; do wait "$i"; done
	[ "$(sha256sum got.* | cut -c1-64 | sort -u | wc -l)" = 1 ]
	openssl crl -inform DER -in got.1 -noout -crlnumber
}

@test "C14: an authority that ends soon keeps no other from its responder certificates" {
	L ca create short --parent root --subject CN=Short --key-type ecdsa:256 --validity 60s --issuance-profile iot-device
	"$LAMASSU" ca export short --out short.pem >/dev/null
	mkdir data && cp -r "$LAMASSU_DATADIR/profiles" data/ && sed -i 's/duration: 720h/duration: 75s/' data/profiles/ocsp-responder.yaml
	LAMASSU_DATADIR=$PWD/data VA_TIMEOUT=300s va_start --workers 1 --ocsp-validity 1m
	signer() { # signer CA: whose certificate is in the answer, which has a nonce
		openssl ocsp -issuer "$1.pem" -serial 5 -url "$VA/ocsp" -CAfile ../root.pem -respout answer >said 2>&1 || :
		python3 -c 'from cryptography.x509 import ocsp; c = ocsp.load_der_ocsp_response(open("answer", "rb").read()).certificates[0]; print("%x" % c.serial_number, c.subject.rfc4514_string())'
	}
	first=$(signer devices); [[ $first == *'OCSP responder of devices' ]]
	signer short
	for ((i = 0; i < 300 * ${LAMASSU_SLOW:-1}; i++)); do last=$(signer devices); [ "$last" = "$first" ] || break; sleep 0.1; done
	[ "$last" != "$first" ]; [[ $last == *'OCSP responder of devices' ]]
}

@test "C13 C14: full and delta CRLs of partitions at the addresses that certificates and CRLs name; openssl reads them together" {
	printf 'va_domains: [va.example]\ncrl: {delta: true}\n' >>lamassu.yaml
	git add lamassu.yaml; git -c user.name=T -c user.email=t@example.org commit -qm config
	L ca set devices crl.partitions=2
	for n in p q r; do est_csr $n; L ca sign devices --csr $n.csr --out $n.pem; done
	va_start
	at() { curl -s --connect-to "va.example:80:${VA#http://}" "$@"; }
	url_of() { openssl "$@" -noout -text | grep -A 3 "$what" | sed -n 's/.*URI:\(http.*\)/\1/p' | head -n 1; }
	for n in p q r; do
		full=$(what='CRL Distribution' url_of x509 -in $n.pem)
		[[ $full == http://va.example/crl/*.[01].crl ]]
		at -D head -o $n.full "$full"; grep -q '^HTTP/1.1 200' head
		tag=$(sed -n 's/^[Ee][Tt]ag: *//p' head | tr -d '\r')
		[ "$(at -o same -w '%{http_code}' -H "If-None-Match: $tag" "$full")" = 304 ]
		delta=$(what='Freshest' url_of crl -inform DER -in $n.full)
		[ "$delta" = "${full%.crl}.delta.crl" ]; echo "$delta" >$n.delta-url
		openssl crl -inform DER -in $n.full >$n.full.pem
		openssl verify -partial_chain -crl_check -extended_crl -use_deltas -CRLfile $n.full.pem -trusted devices.pem $n.pem
	done
	L cert revoke "$(serial p.pem)" --reason key_compromise --yes
	at -D head -o p.delta "$(cat p.delta-url)"; grep -q '^HTTP/1.1 200' head
	openssl crl -inform DER -in p.delta -noout -text >text; grep -q 'Delta CRL Indicator: critical' text; grep -qi "$(serial p.pem)" text
	tag=$(sed -n 's/^[Ee][Tt]ag: *//p' head | tr -d '\r')
	[ "$(at -o same -w '%{http_code}' -H "If-None-Match: $tag" "$(cat p.delta-url)")" = 304 ]
	{ cat p.full.pem; openssl crl -inform DER -in p.delta; } >both.pem
	openssl verify -partial_chain -crl_check -extended_crl -use_deltas -CRLfile p.full.pem -trusted devices.pem p.pem
	no openssl verify -partial_chain -crl_check -extended_crl -use_deltas -CRLfile both.pem -trusted devices.pem p.pem >said 2>&1
	openssl verify -partial_chain -crl_check -extended_crl -use_deltas -CRLfile both.pem -trusted devices.pem p.pem 2>&1 | grep 'certificate revoked'
}

@test "C14: while the key is out of reach it says tryLater, and answers again when it is back" {
	openbao_start "$BATS_TEST_TMPDIR/bao" && bao secrets enable transit >/dev/null
	L kms engine add far --type HASHICORP_VAULT_TRANSIT --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" --set token="\${BAO_TOKEN}"
	L ca create remote --parent root --subject CN=Remote --key-type ecdsa:256 --validity 1y --engine far --issuance-profile iot-device
	est_csr far; L ca sign remote --csr far.csr --out far.pem; "$LAMASSU" ca export remote --out remote.pem >/dev/null
	va_start --ca remote --no-delegate
	remote() { openssl ocsp -issuer remote.pem -cert far.pem -url "$VA/ocsp" -CAfile ../root.pem -verify_other remote.pem 2>&1; } # with a nonce
	remote | grep 'far.pem: good'
	key=$(sed -n 's/^Unseal Key: //p' "$BATS_TEST_TMPDIR/bao/bao.log")
	bao operator seal
	remote | grep -i 'trylater'
	kill -0 "$VA_PID"; [ "$(curl -s -o got -w '%{http_code}' "$VA/ca/$("$LAMASSU" ca show remote -o json | jq -r .subject_key_id).cer")" = 200 ]
	bao operator unseal "$key" >/dev/null; openbao_wait "$BATS_TEST_TMPDIR/bao"
	for ((i = 0; i < 100; i++)); do remote >said || :; grep -q 'far.pem: good' said && break; sleep 0.2; done
	cat said; grep -q 'far.pem: good' said
}
