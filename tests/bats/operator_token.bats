#!/usr/bin/env bats
# Operators who show a token (JWT): what it proves, what is recorded of it, and what becomes of one that is not good. Tokens by PyJWT; judges: git, jq.
load helpers
load est_helpers

setup() {
	cd "$BATS_TEST_TMPDIR" && new_pki && ok lamassu ca create root --subject CN=Root --key-type ecdsa:256 --validity 10y && cd .. || return 1
	token keys keys.json p256=P-256 p384=P-384 rsa=RSA ed=Ed25519
	unset LAMASSU_TOKEN
	export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
	cp pki/lamassu.yaml first.yaml
}
teardown() { est_stop; hook_stop; }

token() { python3 "$BATS_TEST_DIRNAME/../servers/est_token.py" "$@"; }
extract() { # extract FIELDS: identity_extractors.jwt of lamassu.yaml
	{ cat first.yaml; echo "identity_extractors: {jwt: {issuer: https://idp.example.org/realm, audience: lamassu, $1}}"; } >pki/lamassu.yaml
	git -C pki commit -qam extractors
}
file() { cp keys.json pki/keys.json && git -C pki add keys.json && extract "public_key_file: keys.json${1:+, $1}"; }
GOOD='{"iss": "https://idp.example.org/realm", "aud": "lamassu", "sub": "line-3", "jti": "j1", "roles": ["ca-admin", "device-provisioner"], "exp": 600}'
meta() { (cd pki && LAMASSU_TOKEN=$1 lamassu ca metadata set root "site=$RANDOM-$RANDOM" "${@:2}"); }
tip() { (cd pki && tips); }
trailer() { git -C pki log -1 --format="%(trailers:key=Lamassu-Token-$1,valueonly)" "${2:-main}" | sed '/^$/d'; }
nowhere() { # nowhere TOKEN: neither it nor its signature is in any file or object of the repository
	no grep -rqF "${1##*.}" pki
	git -C pki log --all -p --format=raw >all-commits
	[ -s all-commits ]
	no grep -qF "${1##*.}" all-commits
}

@test "S2: a token says who acts: author, sub, jti and roles are in the commits, the token nowhere" {
	file
	for pair in p256:ES256 p384:ES384 rsa:RS256 rsa:PS256 ed:EdDSA; do
		t=$(token sign "${pair%:*}" "${pair#*:}" "${GOOD/j1/${pair#*:}}")
		ok meta "$t"
		[ "$(git -C pki log -1 --format='%an <%ae>|%cn <%ce>')" = 'line-3 <line-3@idp.example.org>|line-3 <line-3@idp.example.org>' ]
		[ "$(trailer Sub) $(trailer Jti)" = "line-3 ${pair#*:}" ]
		[ "$(trailer Roles | jq -c .)" = '["ca-admin","device-provisioner"]' ]
		nowhere "$t"
	done
	# the ledger's commits too, in files and through a descriptor; a token wins over LAMASSU_OPERATOR, and does without one
	new_csr dev
	printf '  %s\n' "$t" >token
	(cd pki && env -u LAMASSU_OPERATOR "$LAMASSU" --token-file ../token cert issue --ca root --subject CN=a --key-type ecdsa:256 --profile iot-device --out ../a.pem --key-out ../a.key)
	[ "$(git -C pki log -1 --format=%an ledger) $(trailer Sub ledger)" = 'line-3 line-3' ]
	(cd pki && "$LAMASSU" --token-fd 7 cert revoke ../a.pem --reason superseded --yes 7< <(cat ../token))
	[ "$(git -C pki log -1 --format=%s%an ledger | grep -c line-3) $(trailer Jti ledger)" = '1 EdDSA' ]
	(cd pki && lamassu repo log -o json) | jq -e '.list[0].actor == "line-3 <line-3@idp.example.org>"'
	git -C pki fsck --strict
	nowhere "$t"
	# without one, commands work as before
	ok meta ''
	[ "$(git -C pki log -1 --format=%an)" = 'Test Operator' ]
	[ -z "$(trailer Sub)" ]
	(cd pki && ok lamassu repo verify)
}

@test "S2: mail, subjects and roles as providers write them; what could forge a commit is refused" {
	file
	who() { meta "$(token sign p256 ES256 "$1")" >/dev/null && git -C pki log -1 --format='%an <%ae>'; }
	[ "$(who "${GOOD/\"jti\"/\"email\": \"ada@example.org\", \"jti\"}")" = 'line-3 <ada@example.org>' ]
	[ "$(who "${GOOD/\"jti\"/\"email\": \"root@example.org\", \"email_verified\": false, \"jti\"}")" = 'line-3 <line-3@idp.example.org>' ]
	[ "$(who "${GOOD/line-3/ada@example.org}")" = 'ada@example.org <ada@example.org>' ]
	[ "$(who "${GOOD/line-3/auth0|5f 3a}")" = 'auth0|5f 3a <auth0%7C5f%203a@idp.example.org>' ]
	[ "$(who "${GOOD/line-3/Zoë}")" = 'Zoë <Zo%C3%AB@idp.example.org>' ]
	before=$(tip)
	for sub in '' ' ' 'a\nLamassu-Token-Sub: root' 'a <root@example.org>' "$(printf 'a%.0s' {1..300})" 'a\u0000b' 'a\u0007'; do
		fails 5 'token:' meta "$(token sign p256 ES256 "${GOOD/line-3/$sub}")"
	done
	fails 5 '' meta "$(token sign p256 ES256 "${GOOD/\"sub\": \"line-3\", /}")"
	fails 5 'jti' meta "$(token sign p256 ES256 "${GOOD/\"j1\"/\"j\\nx: y\"}")"
	[ "$(tip)" = "$before" ]
	ok meta "$(token sign p256 ES256 "${GOOD/\"ca-admin\"/\"a\\nLamassu-Token-Sub: root\", \"b, \\\"c\\\"\", 7}")"
	[ "$(trailer Roles | jq -c .)" = '["a\nLamassu-Token-Sub: root","b, \"c\"","device-provisioner"]' ]
	[ "$(trailer Sub)" = line-3 ]
	file 'roles_claim: realm_access.roles'
	ok meta "$(token sign p256 ES256 "${GOOD/\"roles\": [/\"realm_access\": {\"roles\": [\"x\"]\}, \"r\": [}")"
	[ "$(trailer Roles)" = '["x"]' ]
	file 'roles_claim: scope'
	ok meta "$(token sign p256 ES256 "${GOOD/\"roles\"/\"scope\": \"read  issue\", \"roles\"}")"
	[ "$(trailer Roles | jq -c .)" = '["read","issue"]' ]
}

@test "S2: a token that is not good is exit 5 before anything happens, and says nothing of it" {
	file 'required_claims: [sub, exp, line]'
	good=${GOOD/\"jti\"/\"line\": 3, \"jti\"}
	ok meta "$(token sign p256 ES256 "$good")"
	before=$(tip)
	keys=$(ls pki/.git/lamassu/keys)
	t=$(token sign p256 ES256 "$good")
	old=$(token sign p256 ES256 "${good/600/-120}")
	for bad in "$old" "$(token sign p256 ES256 "${good/\"exp\": 600/\"exp\": 600, \"nbf\": 300}")" "$(token sign p256 ES256 "${good/\"lamassu\"/\"other\"}")" \
		"$(token sign p256 ES256 "${good/realm/elsewhere}")" "$(token sign p256 ES256 "${good/\"line\": 3, /}")" "$(token sign p256 ES256 "${good/, \"exp\": 600/}")" \
		"$(token raw '{"alg":"none"}' "$good")" "$(token hmac p256 "$good")" "$(token sign p256 ES256 "$good" '{"kid": "p384"}')" \
		"$(token sign p256 ES256 "$good" '{"kid": "unknown"}')" "$(token sign p256 ES256 "$good" '{"crit": ["x"], "x": 1}')" "${t%.*}." "${t%?????}AAAAA" rubbish a.b.c \
		"$(printf 'a%.0s' {1..20000}).b.c"; do
		fails 5 'token: ' meta "$bad"
		one_line
		[[ $stderr != *"${bad##*.}"* ]] || [ "${#bad}" -lt 300 ]
		fails 5 'token: ' env LAMASSU_TOKEN="$bad" "$LAMASSU" --repo pki ca create other --subject CN=Other --key-type ecdsa:256
		fails 5 'token: ' env LAMASSU_TOKEN="$bad" "$LAMASSU" --repo pki ca list
	done
	# the clock is the machine's, not --at's
	fails 5 'has expired' meta "$old" --at -10m
	[ "$(tip)" = "$before" ]
	[ "$(ls pki/.git/lamassu/keys)" = "$keys" ]
	fails 5 'token: ' env LAMASSU_TOKEN="$old" "$LAMASSU" --repo pki est-serve --timeout 1s --listen 127.0.0.1:0
	: >empty
	fails 2 'it is empty' lamassu --repo pki --token-file empty ca list
	fails 2 'more than one token' lamassu --repo pki --token-file <(echo "$t" "$t") ca list
	fails 2 'exclude each other' lamassu --repo pki --token-file empty --token-fd 3 ca list
	fails 3 '--token-file' lamassu --repo pki --token-file none ca list
}

@test "S2: the keys of a server are kept between commands, fetched anew when they were rotated, and are not had for nothing" {
	hook_start
	cp keys.json hook/keys
	extract "public_key_url: $HOOK_URL/keys, ca_file: ca.pem" && cp hook/cert.pem pki/ca.pem
	asked() { jq -s length hook/asked; }
	t=$(token sign p256 ES256 "$GOOD")
	for _ in 1 2 3 4; do ok meta "$t"; done
	[ "$(asked)" = 1 ]
	cache=$(echo pki/.git/lamassu/jwks-*)
	[ "$(stat -c %a "$cache")" = 600 ]
	cmp "$cache" keys.json
	# rotated: the key id is not known, so the server is asked once more
	touch -d '10 seconds ago' "$cache"
	token keys hook/keys new=P-256
	new=$(token sign new ES256 "$GOOD")
	began=$SECONDS
	ok meta "$new"
	[ "$(asked)" = 2 ]
	fails 5 'no key of the set' meta "$t"
	fails 5 'no key of the set' meta "$t"
	[ $((SECONDS - began)) -gt 3 ] || [ "$(asked)" = 2 ] # not within five seconds
	# what others could have written is not believed
	n=$(asked)
	cp keys.json "$cache" && chmod 666 "$cache"
	fails 5 'no key of the set' meta "$t"
	[ "$(asked)" -gt "$n" ]
	cmp "$cache" hook/keys
	# older than five minutes: asked for again; out of reach: the old ones serve for an hour
	n=$(asked)
	touch -d '10 minutes ago' "$cache"
	ok meta "$new"
	[ "$(asked)" = "$((n + 1))" ]
	hook_stop
	touch -d '10 minutes ago' "$cache"
	ok meta "$new"
	[[ $stderr == *'those of a while ago'* ]]
	touch -d '2 hours ago' "$cache"
	before=$(tip)
	fails 6 'the keys of tokens cannot be had' meta "$new"
	[ "$(tip)" = "$before" ]
	rm "$cache"
	fails 6 'the keys of tokens cannot be had' meta "$new"
}

@test "S2: required refuses changes without a token; what cannot be verified is said; mistakes have their place" {
	t=$(token sign p256 ES256 "$GOOD")
	ok meta "$t"
	[[ $stderr == *'LAMASSU_TOKEN is not used'* ]]
	[ "$(git -C pki log -1 --format=%an)" = 'Test Operator' ]
	echo "$t" >token
	fails 2 'no identity_extractors.jwt' lamassu --repo pki --token-file token ca list
	file 'required: true'
	before=$(tip)
	fails 5 'a token is needed' meta ''
	fails 5 'a token is needed' lamassu --repo pki est-serve --timeout 1s --listen 127.0.0.1:0
	[ "$(tip)" = "$before" ]
	ok lamassu --repo pki ca list # who can read can clone
	ok meta "$t"
	bad() { # bad WHY FIELDS
		{ cat first.yaml; printf 'identity_extractors:\n  jwt: {%s}\n' "$2"; } >pki/lamassu.yaml
		git -C pki commit -qam bad
		fails 2 "$1" lamassu --repo pki ca list
		[[ $stderr == *"lamassu.yaml:$(($(wc -l <first.yaml) + 2)):"* ]]
	}
	bad 'issuer and audience are required' 'public_key_file: keys.json'
	bad 'give public_key_url or public_key_file' 'issuer: x, audience: y'
	bad 'proves nothing' 'issuer: x, audience: y, public_key_file: keys.json, validate_signature: false'
	bad 'such as ES256' 'issuer: x, audience: y, public_key_file: keys.json, algorithms: [HS256]'
	bad 'must begin with https://' 'issuer: x, audience: y, public_key_url: "http://idp.example.org/keys"'
	bad 'did you mean "issuer"?' 'isuer: x'
}

@test "E9 S2: identity_extractors.jwt is the default of managers that accept tokens; a shift is its operator's" {
	cd "$BATS_TEST_TMPDIR"
	L --repo pki ca export root --out root.pem
	L --repo pki ca set root issuance_profile_id=iot-device
	fails 2 'issuer and audience are required' lamassu --repo pki dms create factory --enrollment-ca root --auth jwt --profile iot-device
	file
	L --repo pki dms create factory --enrollment-ca root --auth jwt --profile iot-device
	L --repo pki dms create own --enrollment-ca root --auth jwt --profile iot-device
	L --repo pki dms set own settings.enrollment_settings.est_rfc7030_settings.authentication.jwt.audience=est
	no grep -q issuer pki/dms/factory.yaml
	export LAMASSU_TOKEN; LAMASSU_TOKEN=$(token sign p256 ES256 "$GOOD")
	est_start
	unset LAMASSU_TOKEN
	t=$(token sign p256 ES256 "$GOOD") e=$(token sign ed EdDSA "${GOOD/\"lamassu\"/\"est\"}")
	for i in 1 2 3; do est_csr "dev-$i"; done
	[ "$(est_post factory/simpleenroll dev-1.b64)" = 401 ]
	[ "$(est_post factory/simpleenroll dev-1.b64 -H "Authorization: Bearer $e")" = 401 ]
	[ "$(est_post factory/simpleenroll dev-1.b64 -H "Authorization: Bearer $t")" = 200 ]
	[ "$(est_post own/simpleenroll dev-2.b64 -H "Authorization: Bearer $t")" = 401 ]
	[ "$(est_post own/simpleenroll dev-2.b64 -H "Authorization: Bearer $e")" = 200 ]
	[ "$(git -C pki log -1 --format=%an ledger) $(trailer Sub ledger)" = 'line-3 line-3' ]
	est_stop
	[ "$(trailer Jti ledger)" = j1 ]
	nowhere "$t"
	# the section goes: the manager cannot be served, and that is said
	cp first.yaml pki/lamassu.yaml && git -C pki commit -qam none
	fails 2 'dms factory: ' lamassu --repo pki est-serve --dms factory --timeout 1s --listen 127.0.0.1:0
}
