#!/usr/bin/env bats
# Secrets of devices by HTTP Basic and Digest, as curl sends them.
load helpers
load est_helpers

setup() { est_pki && est_dms factory && psk scrypt; }
teardown() { est_stop; }

AUTH=settings.enrollment_settings.est_rfc7030_settings.authentication

psk() { L --repo pki dms set factory "$AUTH={type: psk, psk: {store: $1}}"; }
enrol() { [ -e "$1.b64" ] || est_csr "$1"; est_post factory/simpleenroll "$1.b64" "${@:2}"; }

@test "E9 E14: a device enrols with its secret, once; nobody else does with it" {
	ok lamassu --repo pki device psk dev-1 --dms factory --generate --out one.secret
	ok lamassu --repo pki device psk dev-2 --dms factory --generate --out two.secret
	[ "$(stat -c %a one.secret pki/.git/lamassu/psk/factory/dev-1.yaml pki/.git/lamassu/psk | sort -u | tr '\n' ' ')" = '600 700 ' ]
	no grep -rqF "$(cat one.secret)" pki
	[ -z "$(git -C pki status --porcelain)" ]
	one=$(cat one.secret) two=$(cat two.secret)
	est_start
	[ "$(enrol dev-1)" = 401 ]
	grep -qi '^www-authenticate: basic realm="EST factory"' head
	no grep -qi '^www-authenticate: digest' head
	for who in "dev-1:$two" "dev-2:$one" "dev-1:" "nobody:$one" ":$two" "dev-1:$one "; do
		[ "$(enrol dev-1 -u "$who")" = 401 ]
		[ ! -s answer ]
	done
	[ "$(enrol dev-1 -u "dev-2:$two")" = 403 ] # a good secret of another device
	[ "$(enrol dev-1 -H 'Authorization: Basic !!')" = 401 ]
	[ "$(enrol dev-1 -H "Authorization: Bearer $one")" = 401 ]
	[ "$(enrol dev-1 -u "dev-1:$one")" = 200 ]; est_pem >first.pem
	[ "$(enrol dev-1 -u "dev-1:$one")" = 200 ]; est_pem | cmp - first.pem # the answer was lost
	rm dev-1.*
	[ "$(enrol dev-1 -u "dev-1:$one")" = 401 ]
	[ "$(enrol dev-2 -u ":$two")" = 200 ] # no user name: the device that the request is for
	# cacerts ignores credentials
	[ "$(est_get -o /dev/null -w '%{http_code}' -u x:y "$EST_URL/factory/cacerts")" = 200 ]
	no grep -qF "$one" err sum
}

@test "E9: a typed secret, used again where that is said; removed; refusals of the command" {
	printf 'correct horse battery\n' >secret
	ok lamassu --repo pki device psk 'dev 1/ä' --dms factory --passphrase-file secret --reusable
	L --repo pki dms set factory settings.enrollment_settings.enable_replaceable_enrollment=true
	est_start
	for i in 1 2; do
		est_csr "dev" -subj '/CN=dev 1\/ä' -utf8
		[ "$(est_post factory/simpleenroll dev.b64 -u 'dev 1/ä:correct horse battery')" = 200 ]
	done
	ok lamassu --repo pki device psk 'dev 1/ä' --dms factory --remove
	est_csr "dev" -subj '/CN=dev 1\/ä' -utf8
	[ "$(est_post factory/simpleenroll dev.b64 -u 'dev 1/ä:correct horse battery')" = 401 ]
	fails 3 'shares no secret' lamassu --repo pki device psk 'dev 1/ä' --dms factory --remove
	echo short >secret
	fails 2 'from 12 to' lamassu --repo pki device psk dev-1 --dms factory --passphrase-file secret
	fails 2 '--out' lamassu --repo pki device psk dev-1 --dms factory --generate
	fails 5 'secret of the device' lamassu --repo pki --no-input device psk dev-1 --dms factory
	fails 2 'colon' lamassu --repo pki device psk a:b --dms factory --passphrase-file secret
	est_dms other
	fails 4 'psk first' lamassu --repo pki device psk dev-1 --dms other --generate --out x
	[ ! -e x ]
}

@test "E9: Digest with SHA-256, only where the manager keeps what it needs" {
	psk ha1
	ok lamassu --repo pki device psk dev-1 --dms factory --generate --out one.secret
	one=$(cat one.secret)
	[ "$(sed -n 's/^hash: *//p' pki/.git/lamassu/psk/factory/dev-1.yaml | tr -d "\"'" | base64 -d | od -An -tx1 | tr -d ' \n')" = "$(printf 'dev-1:EST factory:%s' "$one" | sha256sum | cut -d' ' -f1)" ]
	est_start
	[ "$(enrol dev-1 --digest -u "dev-1:wrong")" = 401 ]
	[ "$(enrol dev-1 --digest -u "dev-1:$one")" = 200 ]
	[ "$(enrol dev-1 -u "dev-1:$one")" = 200 ]
	nonce=$(est_get -o /dev/null -D - -H 'Content-Type: application/pkcs10' -X POST "$EST_URL/factory/simpleenroll" | sed -n 's/.*nonce="\([^"]*\)".*/\1/p' | tr -d '\r')
	[ -n "$nonce" ]
	digest() { # digest USER SECRET NONCE URI
		local ha1 ha2 r
		ha1=$(printf '%s' "$1:EST factory:$2" | sha256sum | cut -d' ' -f1)
		ha2=$(printf '%s' "POST:$4" | sha256sum | cut -d' ' -f1)
		r=$(printf '%s' "$ha1:$3:00000001:c:auth:$ha2" | sha256sum | cut -d' ' -f1)
		enrol dev-1 -H "Authorization: Digest username=\"$1\", realm=\"EST factory\", nonce=\"$3\", uri=\"$4\", response=\"$r\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"${5:-}"
	}
	path=/.well-known/est/factory/simpleenroll
	[ "$(digest dev-1 "$one" "$nonce" $path)" = 200 ]
	[ "$(digest dev-1 "$one" "${nonce%?}0" $path)" = 401 ] || [ "${nonce: -1}" = 0 ]
	[ "$(digest dev-1 "$one" "5${nonce}" $path)" = 401 ]
	[ "$(digest dev-1 "$one" "$nonce" /.well-known/est/factory/cacerts)" = 401 ]
	[ "$(digest dev-1 "$one" "$nonce" $path ', nonce="x"')" = 401 ]
	psk scrypt
	[ "$(digest dev-1 "$one" "$nonce" $path)" = 401 ]
}

@test "E9: who guesses is slowed down; requests of others go on" {
	ok lamassu --repo pki device psk dev-1 --dms factory --generate --out one.secret
	ok lamassu --repo pki device psk dev-2 --dms factory --generate --out two.secret
	est_start --workers 1
	est_csr dev-1
	for i in $(seq 10); do [ "$(enrol dev-1 -u "dev-1:guess-number-$i")" = 401 ]; done
	[ "$(enrol dev-1 -u "dev-1:$(cat one.secret)")" = 429 ]
	grep -qi '^retry-after: 60' head
	[ "$(enrol dev-2 -u "dev-2:$(cat two.secret)")" = 200 ]
}

@test "E14: of many requests at once with one secret exactly one gets a certificate" {
	ok lamassu --repo pki device psk dev-1 --dms factory --generate --out one.secret
	L --repo pki dms set factory settings.enrollment_settings.enable_replaceable_enrollment=true
	est_start --workers 2
	for i in 1 2 3 4 5 6; do est_csr "try-$i" -subj /CN=dev-1; done
	for i in 1 2 3 4 5 6; do
		est_get -o /dev/null -w '%{http_code}\n' -H 'Content-Type: application/pkcs10' --data-binary "@try-$i.b64" -u "dev-1:$(cat one.secret)" \
			"$EST_URL/factory/simpleenroll" >"code.$i" & pids[i]=$!
	done
	wait "${pids[@]}"
	[ "$(cat code.? | sort | uniq -c | tr -s ' ' | tr '\n' ';')" = ' 1 200; 5 401;' ]
	[ "$(lamassu --repo pki ca certs devices -o json | jq '[.list[] | select(.device == "dev-1")] | length')" = 1 ]
}

@test "E9 E13: what a deleted device or manager shared is gone with it; whoever is called so later starts anew" {
	psks() { find pki/.git/lamassu/psk -type f | sed 's|.*/psk/||' | sort | tr '\n' ' '; }
	est_dms other && L --repo pki dms set other "$AUTH={type: psk}"
	for dms in factory other; do
		for dev in 'dev 1/ä' dev-2; do ok lamassu --repo pki device psk "$dev" --dms $dms --generate --out "$dms-${dev%%/*}.secret"; done
	done
	est_start --dms factory
	est_csr dev -subj '/CN=dev 1\/ä' -utf8
	[ "$(est_post factory/simpleenroll dev.b64 -u "dev 1/ä:$(cat 'factory-dev 1.secret')")" = 200 ]
	[ "$(psks | wc -w)" = 5 ] # four secrets, one of them used
	ok lamassu --repo pki --dry-run --yes device decommission 'dev 1/ä'
	ok lamassu --repo pki --yes device decommission 'dev 1/ä'
	[ "$(psks | wc -w)" = 5 ]
	ok lamassu --repo pki --dry-run --yes device delete 'dev 1/ä'
	[ "$(psks | wc -w)" = 5 ]
	ok lamassu --repo pki --yes device delete 'dev 1/ä'
	[ "$(psks)" = 'factory/dev-2.yaml other/dev-2.yaml ' ]
	est_csr dev -subj '/CN=dev 1\/ä' -utf8
	[ "$(est_post factory/simpleenroll dev.b64 -u "dev 1/ä:$(cat 'factory-dev 1.secret')")" = 401 ]
	est_stop
	ok lamassu --repo pki --dry-run --yes dms delete factory
	[ "$(psks | wc -w)" = 2 ]
	ok lamassu --repo pki --yes dms delete factory
	[ "$(psks)" = 'other/dev-2.yaml ' ]
	est_dms factory && psk scrypt
	est_start --dms factory
	[ "$(enrol dev-2 -u "dev-2:$(cat factory-dev-2.secret)")" = 401 ]
	ok lamassu --repo pki device psk dev-2 --dms factory --generate --out again.secret
	[ "$(enrol dev-2 -u "dev-2:$(cat again.secret)")" = 200 ]
	rm dev-2.*; [ "$(enrol dev-2 -u "dev-2:$(cat again.secret)")" = 401 ]
	ok lamassu --repo pki device psk dev-2 --dms factory --generate --out third.secret # a secret that is made anew replaces
	L --repo pki dms set factory settings.enrollment_settings.enable_replaceable_enrollment=true
	[ "$(enrol dev-2 -u "dev-2:$(cat again.secret)")" = 401 ]
	[ "$(enrol dev-2 -u "dev-2:$(cat third.secret)")" = 200 ]
}
