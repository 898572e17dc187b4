#!/usr/bin/env bats
# A device manager whose webhook decides; the hook is a server of Python, its certificate is of openssl.
load helpers
load est_helpers

setup() { est_pki && est_dms factory && hook_start; }
teardown() { est_stop; hook_stop; }

AUTH=settings.enrollment_settings.est_rfc7030_settings.authentication

# ask PATH [DOCUMENT-OF-CONFIG]: the manager asks the hook at that path from now on
ask() {
	L --repo pki dms set factory "$AUTH={type: ${TYPE:-external_webhook}, client_certificate: {validation_cas: [boot]}, external_webhook: {url: \"$HOOK_URL/$1\", config: {ca_file: $PWD/${TRUST:-hook/cert.pem}, ${2:-call_timeout: 2s}}}}"
}
enrol() { est_csr "$1" && est_post factory/simpleenroll "$1.b64" "${@:2}"; }

@test "E8: the hook is asked with the request, the manager and the name, and its yes counts; nothing else does" {
	ask yes
	est_start
	[ "$(enrol dev-1 -H 'X-Batch: 7')" = 200 ]
	jq -e '.method == "POST" and (.headers["Content-Type"] == "application/json")' hook/asked
	jq -r .body hook/asked >body
	jq -e '.aps == "factory" and .device_cn == "dev-1" and .http_request.url == "/.well-known/est/factory/simpleenroll" and .http_request.headers["x-batch"] == "7"' body
	jq -r .csr body | base64 -d | cmp - dev-1.csr
	for path in no text denied; do
		ask $path
		[ "$(enrol dev-2)" = 401 ]
		[ ! -s answer ]
	done
	for path in yaml lie empty broken redirect huge; do
		ask $path
		[ "$(enrol dev-2)" = 503 ]
		grep -qi '^retry-after:' head
		grep -q 'cannot be asked' answer
	done
	[ "$(jq -s 'map(select(.path == "/yes")) | length' hook/asked)" = 1 ] # the redirect was not followed
	hook_stop
	[ "$(enrol dev-2)" = 503 ]
	no lamassu --repo pki device show dev-2
}

@test "E8: a slow hook holds nobody but who waits for it, and that one no longer than call_timeout" {
	ask slow 'call_timeout: 1s'
	est_start --workers 1 --threads 4
	est_csr dev-1
	for i in 1 2 3 4 5 6 7 8; do est_get -o "slow.$i" -w '%{http_code}\n' -H 'Content-Type: application/pkcs10' --data-binary @dev-1.b64 "$EST_URL/factory/simpleenroll" >"code.$i" & pids[i]=$!; done
	sleep 0.3
	[ "$(est_get -o cacerts -w '%{http_code}' --max-time 0.9 "$EST_URL/factory/cacerts")" = 200 ]
	wait "${pids[@]}"
	[ "$(sort -u code.?)" = 503 ]
	ask trickle 'call_timeout: 1s'
	SECONDS=0
	[ "$(enrol dev-1)" = 503 ]
	[ "$SECONDS" -le 3 ]
}

@test "E2 E8 robust: who goes on sending while a hook is asked fills no memory" {
	ask slow 'call_timeout: 2s'
	est_start --workers 1 --threads 4
	est_csr dev-1
	python3 "$BATS_TEST_DIRNAME/est_attack.py" pump "$EST_PORT" dev-1 "$EST_PID" >said; cat said
	read -r first second mib <said
	[ "$first $second" = '503 400' ]; [ "$mib" -lt 20 ]
}

@test "E8 S1: the hook knows us by an API key, by a token of OpenID Connect, by a certificate; we know it by its own" {
	export HOOK_KEY='s3cret key' HOOK_SECRET='a&b=c'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout us.key -out us.pem -subj /CN=us -days 9 2>/dev/null
	hook_stop; hook_start us.pem
	ask key 'auth_mode: apikey, apikey: {key: "env:HOOK_KEY", header: X-Hook-Key}'
	est_start
	[ "$(enrol key-1)" = 200 ]
	ask key 'auth_mode: apikey, apikey: {key: "env:NO_SUCH", header: X-Hook-Key}'
	[ "$(enrol key-2)" = 503 ]
	ask bearer "auth_mode: oidc, oidc: {client_id: lamassu, client_secret: \"env:HOOK_SECRET\", well_known: \"$HOOK_URL/.well-known/openid-configuration\"}"
	[ "$(enrol oidc-1)" = 200 ]
	ask bearer "auth_mode: oidc, oidc: {client_id: other, client_secret: \"env:HOOK_SECRET\", well_known: \"$HOOK_URL/.well-known/openid-configuration\"}"
	[ "$(enrol oidc-2)" = 503 ]
	ask mtls "auth_mode: mtls, mtls: {cert: $PWD/us.pem, key: \"file:$PWD/us.key\"}"
	[ "$(enrol mtls-1)" = 200 ]
	ask mtls
	[ "$(enrol mtls-2)" = 401 ]
	TRUST=us.pem ask yes
	[ "$(enrol tls-1)" = 503 ]
	HOOK_URL=https://us:s3cret%40@localhost:1 ask yes
	[ "$(enrol url-1)" = 503 ]
	grep -q 'webhook: https://localhost:1: ' err
	no grep -qE 's3cret|a&b|tok\.en' err
}

@test "E8: certificate and hook must both say yes; the hook is not asked about who has no certificate" {
	TYPE=client_certificate_and_external_webhook ask yes
	est_start
	[ "$(enrol dev-1)" = 401 ]
	[ ! -e hook/asked ]
	[ "$(enrol dev-1 --cert boot-1.pem --key boot-1.key)" = 200 ]
	TYPE=client_certificate_and_external_webhook ask no
	[ "$(enrol dev-2 --cert boot-1.pem --key boot-1.key)" = 401 ]
}

@test "E8: a hook that may be anybody is named when the listener starts" {
	ask yes 'validate_server_cert: false'
	est_start
	grep -q 'does not check.*webhook' err
	[ "$(enrol dev-1)" = 200 ]
}

@test "E8 est-47: a hook that has not decided yet puts the device off, until it says yes; foreign clients come through" {
	ask later
	est_start --access-log log
	est_csr dev-1
	for i in 1 2; do
		[ "$(est_post factory/simpleenroll dev-1.b64)" = 202 ]
		grep -qi '^retry-after: 1.$' head && grep -qi '^content-length: 0' head && [ ! -s answer ]
		no lamassu --repo pki device show dev-1
	done
	[ "$(est_post factory/simpleenroll dev-1.b64)" = 200 ]
	est_pem | openssl x509 -noout -subject | grep dev-1
	[ "$(jq -s 'map(select(.path == "/later")) | length' hook/asked)" = 3 ] # each retry asks it
	pki --gen --type ecdsa --size 256 --outform pem 2>/dev/null >k.pem
	pki --req --type priv --in k.pem --dn CN=swan --outform pem 2>/dev/null >req.pem
	pki --est --url "https://127.0.0.1:$EST_PORT" --in req.pem --cacert root.pem --interval 1 --maxpolltime 20 --outform pem >new.pem 2>swan.log || { cat swan.log; return 1; }
	openssl x509 -in new.pem -noout -subject | grep swan
	ok lamassu device enroll dev-3 --est "https://localhost:$EST_PORT" --ca-file root.pem --out dev-3.pem --timeout 20s
	openssl x509 -in dev-3.pem -noout -subject | grep dev-3
	[ "$(jq -r 'select(.status == 202) | .reason' log | sort | uniq -c | tr -s ' ')" = ' 6 deferred' ]
	est_stop
	grep -q '^counted: *3' sum && grep -q '^refused: *0' sum
	no grep -q deferred sum pki/.git/lamassu/security.log # it is no refusal
}

@test "E8 est-47: how long a hook puts a device off has bounds; what is no number of seconds is a no" {
	ask said
	est_start
	est_csr dev-1
	while read -r said want; do
		echo "{\"authorized\": false, \"retry_after\": $said}" >hook/said
		[ "$(est_post factory/simpleenroll dev-1.b64)" = 202 ] || { cat hook/said head err; false; }
		grep -qi "^retry-after: $want.\$" head
	done <<<'30 30
		1.9 1
		0.001 1
		86401 86400
		9007199254740991 86400'
	for said in 0 -1 '"30"' true null '[30]' '{}' '"30\r\nX: y"'; do
		echo "{\"authorized\": false, \"retry_after\": $said}" >hook/said
		[ "$(est_post factory/simpleenroll dev-1.b64)" = 401 ]
		no grep -qi '^retry-after' head
	done
	for said in 1e300 -1e300 1e999 99999999999999999999999999 0x10 1e; do # not what JSON may hold
		echo "{\"authorized\": false, \"retry_after\": $said}" >hook/said
		[ "$(est_post factory/simpleenroll dev-1.b64)" = 503 ]
	done
	for said in '{"retry_after": 30}' '{"authorized": "true", "retry_after": 30}'; do
		echo "$said" >hook/said
		[ "$(est_post factory/simpleenroll dev-1.b64)" = 202 ]
	done
	echo '{"authorized": true, "retry_after": 30}' >hook/said
	[ "$(est_post factory/simpleenroll dev-1.b64)" = 200 ]
}

@test "E2 E8: a policy that moves while a hook is asked counts for the request that waits" {
	ask gate 'call_timeout: 60s'
	est_start --workers 1
	for i in 1 2; do
		est_csr "dev-$i"
		rm -f hook/asked hook/open
		est_get -o "late.$i" -w '%{http_code}' -H 'Content-Type: application/pkcs10' --data-binary "@dev-$i.b64" "$EST_URL/factory/simpleenroll" >"code.$i" & pid=$!
		for ((k = 0; k < 600; k++)); do [ -s hook/asked ] && break; sleep 0.05; done
		[ -s hook/asked ]
		if [ "$i" = 1 ]; then
			L --repo pki profile set iot-device validity.duration=48h
		else
			ask no
		fi
		touch hook/open
		wait "$pid"
	done
	[ "$(cat code.1) $(cat code.2)" = '200 401' ]
	cp late.1 answer; est_pem >dev-1.pem
	no openssl x509 -in dev-1.pem -noout -checkend $((3 * 86400))
	no lamassu --repo pki device show dev-2
	est_stop
	[ "$EST_STATUS" = 0 ]
	no grep -qi 'sanitizer\|worker was ended' err
}
