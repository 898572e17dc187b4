#!/usr/bin/env bats
# Bearer tokens, made by PyJWT, for keys of every kind; the key set in a file or at a server.
load helpers
load est_helpers

setup() { est_pki && est_dms factory && token keys keys.json p256=P-256 p384=P-384 p521=P-521 rsa=RSA ed=Ed25519 weak=RSA1024; }
teardown() { est_stop; hook_stop; }

AUTH=settings.enrollment_settings.est_rfc7030_settings.authentication
GOOD='{"iss": "https://idp", "aud": "est", "sub": "line-3", "jti": "j1", "exp": 600}'

token() { python3 "$BATS_TEST_DIRNAME/../servers/est_token.py" "$@"; }
accept() { # accept SOURCE [MORE]
	L --repo pki dms set factory "$AUTH={type: jwt, jwt: {issuer: https://idp, audience: est, $1${2:+, $2}}}"
}
enrol() { est_csr "$1" && est_post factory/simpleenroll "$1.b64" -H "Authorization: Bearer $2"; }
FILE='public_key_file: "'$BATS_TEST_TMPDIR'/est/keys.json", algorithms: [ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA]'

@test "E9 S2: tokens of every algorithm; sub and jti are recorded, the token nowhere" {
	accept "$FILE"
	est_start
	est_csr dev-0
	[ "$(est_post factory/simpleenroll dev-0.b64)" = 401 ]
	grep -qi '^www-authenticate: bearer realm="EST"' head
	grep -qi '^content-length: 0' head
	i=0
	for pair in p256:ES256 p384:ES384 p521:ES512 rsa:RS256 rsa:RS384 rsa:RS512 rsa:PS256 rsa:PS384 rsa:PS512 ed:EdDSA; do
		i=$((i + 1))
		t=$(token sign "${pair%:*}" "${pair#*:}" "$GOOD")
		[ "$(enrol "dev-$i" "$t")" = 200 ]
	done
	est_pem >dev.pem
	ok lamassu --repo pki cert show "$(openssl x509 -in dev.pem -noout -serial | cut -d= -f2)" -o json
	[ "$(jq -r '.metadata["lamassu.io/device/token"] | "\(.sub) \(.jti)"' <<<"$output")" = 'line-3 j1' ]
	no git -C pki grep -q "${t##*.}" ledger
	no grep -q "${t##*.}" err sum
}

@test "E9: tokens that are forged, old, early, for others or strangely made are refused" {
	accept "$FILE" 'required_claims: [sub, exp, line]'
	est_start
	good='{"iss": "https://idp", "aud": ["x", "est"], "sub": "s", "line": 3, "exp": 600, "nbf": -5}'
	[ "$(enrol dev-1 "$(token sign p256 ES256 "$good")")" = 200 ]
	t=$(token sign p256 ES256 "$good")
	for bad in "$(token raw '{"alg":"none"}' "$good")" "$(token raw '{"alg":"None","kid":"p256"}' "$good")" "$(token hmac p256 "$good")" \
		"$(token sign p256 ES256 "${good/600/-120}")" "$(token sign p256 ES256 "${good/-5/300}")" "$(token sign p256 ES256 "${good/\"est\"/\"tse\"}")" \
		"$(token sign p256 ES256 "${good/idp/pdi}")" "$(token sign p256 ES256 "${good/line/Line}")" "$(token sign p256 ES256 "${good/\"exp\": 600/\"exp\": \"9999999999\"}")" \
		"$(token sign p256 ES256 "${good/, \"exp\": 600/}")" "$(token sign p256 ES256 "$good" '{"kid": "p384"}')" "$(token sign p256 ES256 "$good" '{"kid": "no"}')" \
		"$(token sign p256 ES256 "$good" '{"crit": ["x"], "x": 1}')" "$(token sign p256 ES256 "$good" '{"alg": "RS256"}')" "$(token sign weak RS256 "$good")" \
		"$(token sign p384 ES384 "$good" '{"kid": null, "alg": "ES256"}')" "${t%?}" "${t%.*}." "$t.x" "$t=" "${t/./}" "x" "$(printf 'a%.0s' {1..5000}).b.c" \
		"$(token sign p256 ES256 "${good/\"iss\"/\"iss\": \"x\", \"iss\"}" | sed 's/^[^.]*/eyJhbGciOiJFUzI1NiIsImFsZyI6Im5vbmUifQ/')"; do
		s=$(enrol dev-2 "$bad")
		[ "$s" = 401 ] || { echo "$s for $bad"; return 1; }
	done
	[ "$(enrol dev-2 "$(token sign p256 ES256 "$good" '{"kid": null}')")" = 200 ] # the only one that fits
	# a claim that names the device; algorithms of the default
	accept "$FILE" 'device_claim: device'
	[ "$(enrol dev-3 "$(token sign p256 ES256 "${good/\"s\"/\"s\", \"device\": \"dev-3\"}")")" = 200 ]
	[ "$(enrol dev-4 "$(token sign p256 ES256 "${good/\"s\"/\"s\", \"device\": \"dev-3\"}")")" = 403 ]
	[ "$(enrol dev-4 "$(token sign p256 ES256 "$good")")" = 401 ]
	accept 'public_key_file: "'"$PWD"'/keys.json", algorithms: [ES256]'
	[ "$(enrol dev-5 "$(token sign rsa RS256 "$good")")" = 401 ]
	est_stop
	fails 2 'validate_signature' lamassu --repo pki dms set factory "$AUTH.jwt.validate_signature=false"
	rm keys.json
	fails 3 'keys.json' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 5s
}

@test "E9: a key set at a server is kept, fetched anew when it was rotated, and nobody gets in when it cannot be had" {
	hook_start
	accept "public_key_url: $HOOK_URL/keys" "ca_file: $PWD/hook/cert.pem"
	est_start --workers 1
	[ "$(enrol dev-1 "$(token sign p256 ES256 "$GOOD")")" = 503 ]
	grep -qi '^retry-after' head
	cp keys.json hook/keys
	sleep 5
	for i in 1 2 3; do [ "$(enrol "dev-$i" "$(token sign p256 ES256 "$GOOD")")" = 200 ]; done
	asked() { jq -s length hook/asked; }
	[ "$(asked)" = 2 ]
	old=$(token sign p256 ES256 "$GOOD")
	token keys hook/keys new=P-256
	sleep 5
	began=$SECONDS
	for i in 4 5; do [ "$(enrol "dev-$i" "$(token sign new ES256 "$GOOD")")" = 200 ]; done
	[ "$(asked)" = 3 ]
	[ "$(enrol dev-6 "$old")" = 401 ]
	for i in 1 2 3 4; do [ "$(enrol dev-6 "$(token sign p256 ES256 "$GOOD" "{\"kid\": \"made-up-$i\"}")")" = 401 ]; done
	[ $((SECONDS - began)) -gt 3 ] || [ "$(asked)" = 3 ] # made-up ids do not make us ask, more often than every five seconds
	hook_stop
	[ "$(enrol dev-6 "$(token sign new ES256 "$GOOD")")" = 200 ] # what is known serves on
}
