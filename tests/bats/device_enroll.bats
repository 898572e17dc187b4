load helpers
load est_helpers

# The device's side of EST, against our listener, and against one of openssl commands that misbehaves as it is told.

setup() { mkdir -p "$BATS_TEST_TMPDIR/est" && cd "$BATS_TEST_TMPDIR/est" || return 1; }
teardown() { est_stop; [ -z "${MOCK_PID:-}" ] || kill "$MOCK_PID"; }

served() { est_pki && est_dms factory "$@" && est_start && HERE=https://localhost:$EST_PORT; }

# dev VERB [OPTIONS]: with the listener's address and its authority
dev() { local verb=$1; shift; lamassu device "$verb" "$@" --est "$HERE" --label factory --ca-file root.pem; }
boot() { dev enroll "$@" --cert boot-1.pem --key boot-1.key; }

mock() { # mock STEP…: a server that answers POSTs so; $HERE
	local i
	for i in mock other stranger; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$i.key" -out "$i.pem" -subj "/CN=$i" -days 2 \
			-addext 'subjectAltName=DNS:localhost' 2>/dev/null
	done
	printf '%s\n' "$@" >plan
	python3 "$LAMASSU_SOURCE/tests/servers/est_mock.py" 3>&- &
	MOCK_PID=$!
	for ((i = 0; i < 200; i++)); do [ -s port ] && break; sleep 0.05; done
	HERE=https://localhost:$(cat port)
}
mocked() { lamassu device "$@" --est "$HERE" --ca-file mock.pem; }

fits() { # fits CERT KEY
	cmp <(openssl x509 -in "$1" -noout -pubkey) <(openssl pkey -in "$2" -pubout)
}

@test "E16: a device enrols with a key made here; names, chain and authorities are as asked" {
	served
	ok boot sensor-1 --out dev.pem --key-out dev.key --chain --cacerts-out cas.pem
	grep -qx "enrolled CN=sensor-1.*: certificate [0-9a-f]* until [^ ]*Z in dev.pem" <<<"$output" || { echo "$output"; false; }
	[ "$(stat -c %a dev.key)" = 600 ]
	head -n 1 dev.key | grep -qx -- '-----BEGIN PRIVATE KEY-----'
	fits dev.pem dev.key
	[ "$(grep -c BEGIN dev.pem)" -eq 2 ]
	openssl verify -CAfile root.pem -untrusted dev.pem dev.pem
	openssl x509 -in dev.pem -noout -subject -nameopt RFC2253 | grep -q 'CN=sensor-1'
	[ "$(grep -c BEGIN cas.pem)" -eq 2 ]
	no ls dev.key.pending
	fails 4 'device renew' boot sensor-1 --out dev.pem --key-out dev.key
	fails 5 'does not allow ECDSA keys of 384 bits' boot sensor-2 --key-type ecdsa:384 --out both.pem
	rm both.pem.pending
	ok boot sensor-2 --out both.pem
	[ "$(stat -c %a both.pem)" = 600 ]
	fits both.pem both.pem
	lamassu --repo pki device show sensor-2 -o json | jq -e '.status == "ACTIVE"'
}

@test "E16: renewal when it is due, silent when it is not; the hook gets paths, and again when it failed" {
	served
	ok boot sensor-3 --out dev.pem --key-out dev.key
	cp dev.pem old.pem; cp dev.key old.key
	ok dev renew --cert dev.pem --key dev.key --days 1
	[ -z "$output$stderr" ]
	cmp dev.pem old.pem
	printf '#!/bin/sh\necho "$@" >>ran\n[ -e fine ]\n' >hook; chmod +x hook
	chmod 640 dev.key
	fails 6 'the next run tries again' dev renew --cert dev.pem --key dev.key --force --exec ./hook
	no cmp -s dev.pem old.pem
	no cmp -s dev.key old.key
	fits dev.pem dev.key
	[ "$(stat -c %a dev.key)" = 640 ]
	openssl x509 -in dev.pem -noout -subject | diff - <(openssl x509 -in old.pem -noout -subject)
	cp dev.pem new.pem
	touch fine
	ok dev renew --cert dev.pem --key dev.key --exec ./hook
	cmp dev.pem new.pem
	printf 'dev.pem dev.key\ndev.pem dev.key\n' | cmp - ran
	no ls dev.key.pending
	ok dev renew --cert dev.pem --key dev.key --days 36500 --same-key
	no cmp -s dev.pem new.pem
	fits dev.pem dev.key
}

@test "E16: a server is known by its authorities, by its fingerprint, or on first use" {
	served
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x.key -out x.pem -subj /CN=x 2>/dev/null
	fails 6 'certificate' lamassu device enroll d-1 --est "$HERE" --label factory --ca-file x.pem --cert boot-1.pem --key boot-1.key --out d.pem
	fails 3 '--ca-file: no.pem: no such file' lamassu device enroll d-1 --est "$HERE" --label factory --ca-file no.pem --out d.pem
	fails 3 '--cert: no.pem: no such file' lamassu device enroll d-1 --est "$HERE" --ca-file x.pem --cert no.pem --key boot-1.key --out d.pem
	fails 3 '--key: no.key: no such file' lamassu device enroll d-1 --est "$HERE" --ca-file x.pem --cert boot-1.pem --key no.key --out d.pem
	no ls d.pem d.pem.pending
	pin=$(openssl s_client -connect "localhost:$EST_PORT" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 | cut -d= -f2)
	fails 5 'another fingerprint' lamassu device enroll d-1 --est "$HERE" --label factory --pin "${pin/#??/00}" --cert boot-1.pem \
		--key boot-1.key --out d.pem
	no ls d.pem d.pem.pending
	ok lamassu device enroll d-1 --est "$HERE/.well-known/est/factory" --pin "$pin" --cert boot-1.pem --key boot-1.key --out d.pem
	fits d.pem d.pem
	ok lamassu device enroll d-2 --est "$HERE" --label factory --trust-on-first-use --ca-file known.pem --cert boot-1.pem --key boot-1.key --out e.pem
	[[ $stderr == *"$(tr -d : <<<"$pin" | tr A-F a-f)"* ]]
	[ "$(openssl crl2pkcs7 -nocrl -certfile known.pem | openssl pkcs7 -print_certs -noout | grep -c subject)" -eq 2 ]
	fails 2 'https' lamassu device enroll d-3 --est "http://localhost:$EST_PORT" --out f.pem
	cp x.pem known.pem
	fails 6 'certificate' lamassu device enroll d-3 --est "$HERE" --label factory --trust-on-first-use --ca-file known.pem --cert boot-1.pem \
		--key boot-1.key --out f.pem
	cmp x.pem known.pem
}

@test "E16: the server makes the key" {
	est_pki && est_dms factory
	L --repo pki dms set factory settings.server_keygen_settings.enabled=true
	est_start && HERE=https://localhost:$EST_PORT
	ok boot sensor-4 --server-key --out dev.pem --key-out dev.key
	fits dev.pem dev.key
	[ "$(stat -c %a dev.key)" = 600 ]
	openssl verify -CAfile root.pem -untrusted <("$LAMASSU" --repo pki ca export devices) dev.pem
	cut -d' ' -f1 dev.key | grep -q BEGIN
	no ls dev.key.pending
}

@test "E5 E16: a key that comes in the clear, though encryption was asked for, is not used" {
	mock plain plain
	ok mocked enroll d-1 --server-key --out d.pem
	fits d.pem d.pem
	fails 5 'without the encryption that was asked for' mocked enroll d-2 --server-key --encrypted --cert stranger.pem --key stranger.key --out e.pem
	no ls e.pem
	openssl req -inform DER -in last.der -noout -text | grep -q 'S/MIME Capabilities'
}

@test "E16: Retry-After is honoured, also with 202, and patience ends; the same request is sent each time" {
	mock '503 1' '202 1' sign
	ok mocked enroll d-1 --san d-1.example --san IP:10.1.2.3 --out d.pem --key-out d.key
	fits d.pem d.key
	openssl x509 -in d.pem -noout -ext subjectAltName | grep -q 'DNS:d-1.example, IP Address:10.1.2.3'
	[ "$(grep -c POST log)" -eq 3 ]
	echo sign >plan
	ok mocked renew --cert d.pem --key d.key --force
	openssl x509 -in d.pem -noout -ext subjectAltName | grep -q 'DNS:d-1.example, IP Address:10.1.2.3'
	fits d.pem d.key
	echo '202 3600' >plan
	fails 6 'Retry-After: 3600' mocked enroll d-2 --out e.pem --timeout 5s
	no ls e.pem
	openssl req -in e.pem.pending -noout -verify -subject | grep -q 'CN *= *d-2'
	key=$(openssl pkey -in e.pem.pending -pubout)
	echo sign >plan
	ok mocked enroll d-2 --out e.pem
	[ "$(openssl pkey -in e.pem -pubout)" = "$key" ]
	no ls e.pem.pending
}

@test "E16: nothing is written for a certificate of another key, of unknown authorities, or junk; a refusal is final" {
	mock stranger
	fails 5 'not for our key' mocked enroll d-1 --out d.pem
	echo foreign >plan
	fails 5 'does not lead to the authorities' mocked enroll d-1 --out d.pem
	echo junk >plan
	fails 2 'not base64' mocked enroll d-1 --out d.pem
	printf '403 0\nsign\n' >plan
	fails 5 'the server answered 403: later' mocked enroll d-1 --out d.pem
	no ls d.pem
	cmp plan <(echo sign)
}

@test "E16: an answer that is lost is asked for again with the same request; files are put in place by the next run" {
	mock cut sign
	ok mocked enroll d-1 --out d.pem --key-out d.key
	fits d.pem d.key
	cp d.pem old.pem; cp d.key old.key
	echo sign >plan
	mkdir d.key.pending # nothing durable, nothing sent
	fails 2 'd.key.pending' mocked renew --cert d.pem --key d.key --force
	cmp plan <(echo sign)
	rmdir d.key.pending
	printf '#!/bin/sh\nexit 9\n' >hook; chmod +x hook
	fails 6 'status 9' mocked renew --cert d.pem --key d.key --force --exec ./hook
	mv d.pem new.pem; mv d.key new.key
	cp old.pem d.pem; cp new.key d.key # cut off between the two
	kill "$MOCK_PID"; MOCK_PID=
	ok mocked renew --cert d.pem --key d.key
	cmp d.pem new.pem
	fits d.pem d.key
	no ls d.key.pending
}

@test "E16: credentials go to the server's operations only, and never into an argument" {
	mock sign sign
	ok env LAMASSU_EST_PASSWORD=s3cret "$LAMASSU" device enroll d-1 --est "$HERE" --ca-file mock.pem --user me --out d.pem
	grep -q "^POST /.well-known/est/simpleenroll Basic $(printf me:s3cret | base64)$" log
	grep -q '^GET /.well-known/est/cacerts -$' log
	printf 'abc.def.ghi\n' >token
	ok mocked enroll d-2 --token-file token --out e.pem --key-type rsa:2048
	openssl pkey -in e.pem -noout -text | grep -q '2048 bit'
	grep -q ' Bearer abc.def.ghi$' log
	echo 'two words' >token
	fails 2 'more than one token' mocked enroll d-3 --token-file token --out f.pem
	fails 2 excludes mocked enroll d-3 --token-file token --user me --out f.pem
	fails 5 'LAMASSU_EST_PASSWORD' mocked enroll d-3 --user me --no-input --out f.pem
}

@test "E16: a load of devices: rate and latencies; another machine only with --yes" {
	served
	ok dev enroll --cert boot-1.pem --key boot-1.key --count 20 --connections 4 --reconnect --prefix line -o json
	jq -e '.count == 20 and .enrolled == 20 and .failed == 0 and (.rate | tonumber) > 0 and (.p99_ms | tonumber) > 0' <<<"$output"
	[ "$(lamassu --repo pki device list --all -o json | jq '[.list[] | select(.id | startswith("line-"))] | length')" -eq 20 ]
	fails 1 '5 of 5 devices did not enrol' dev enroll --count 5 --prefix none
	fails 2 'not this machine' lamassu device enroll --est https://pki.example --count 5 --no-input
	fails 2 'keeps nothing' dev enroll d-9 --count 5
}

@test "E9 E16: a device enrols by TLS-PSK: the secret says who both sides are, and a certificate is no substitute" {
	est_pki && est_dms factory && L --repo pki dms set factory 'settings.enrollment_settings.est_rfc7030_settings.authentication={type: psk, psk: {store: tls}}'
	ok lamassu --repo pki device psk sensor-1 --dms factory --generate --out one.secret
	ok lamassu --repo pki device psk sensor-2 --dms factory --generate --out two.secret
	est_start --access-log log && HERE=https://localhost:$EST_PORT
	psk() { lamassu device enroll "$1" --est "$HERE" --label factory --psk-file "$2" "${@:3}"; }
	fails 6 'https://localhost' psk sensor-1 two.secret --out dev.pem --timeout 2s
	fails 6 'https://localhost' psk sensor-9 one.secret --out dev.pem --timeout 2s
	fails 5 '403' psk sensor-1 two.secret --psk-identity sensor-2 --out other.pem
	rm other.pem.pending
	ok psk sensor-1 one.secret --out dev.pem --key-out dev.key --cacerts-out cas.pem
	fits dev.pem dev.key
	ok psk sensor-2 two.secret --psk-identity factory/sensor-2 --out two.pem
	openssl x509 -in two.pem -noout -subject | grep -q sensor-2
	jq -se 'map(select(.status == 200)) | all(.tls == "TLSv1.3")' log
	no grep -qF "$(cat one.secret)" log err sum dev.pem
	# from now on it has a certificate
	ok lamassu device renew --est "$HERE" --label factory --ca-file root.pem --cert dev.pem --key dev.key --force
	for bad in "$(openssl rand -hex 15)" "$(openssl rand -hex 16) x" 'correct horse battery staple!!!!' ''; do
		printf '%s\n' "$bad" >bad.key
		fails 2 'hexadecimal' psk sensor-3 bad.key --out x.pem
	done
	fails 2 excludes psk sensor-3 one.secret --ca-file root.pem --out x.pem
	fails 2 'who we are' lamassu device enroll --subject CN=x --est "$HERE" --psk-file one.secret --out x.pem
	fails 2 'goes with' lamassu device enroll x --est "$HERE" --psk-identity y --out x.pem
	no ls x.pem* 2>/dev/null
}

@test "E16: with TLS-PSK a server that does not know the secret is refused whatever certificate it has; TLS 1.2 has forward secrecy" {
	openssl rand -hex 32 >one.secret
	mock
	fails 6 'https://localhost' lamassu device enroll sensor-1 --est "$HERE" --psk-file one.secret --out dev.pem --timeout 2s
	[ ! -e dev.pem ]
	mkfifo silence && exec 7<>silence # it ends with its standard input
	openssl s_server -accept 127.0.0.1:0 -nocert -tls1_2 -psk_identity sensor-1 -psk "$(cat one.secret)" >s_server 2>&1 3>&- <&7 & server=$!
	for ((i = 0; i < 300; i++)); do grep -qs '^ACCEPT' s_server && break; sleep 0.1; done
	HERE=https://localhost:$(sed -n 's/^ACCEPT.*://p' s_server)
	lamassu device enroll sensor-1 --est "$HERE" --psk-file one.secret --out dev.pem --timeout 2s 2>/dev/null & client=$!
	for ((i = 0; i < 300; i++)); do grep -q '^CIPHER is' s_server && break; sleep 0.1; done
	kill $client $server 2>/dev/null || true
	wait $client $server || true
	exec 7>&-
	grep -q '^CIPHER is ECDHE-PSK-CHACHA20-POLY1305' s_server || { cat s_server; false; }
}
