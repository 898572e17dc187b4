#!/usr/bin/env bats
# Secrets of devices: by HTTP Basic and Digest, as curl sends them, and in TLS, as openssl and gnutls show them.
load helpers
load est_helpers

setup() { est_pki && est_dms factory && psk scrypt; }
teardown() { est_stop; }

AUTH=settings.enrollment_settings.est_rfc7030_settings.authentication

psk() { L --repo pki dms set factory "$AUTH={type: psk, psk: {store: $1}}"; }
secret() { ok lamassu --repo pki device psk "$1" --dms "${2:-factory}" --generate --out "${2:-factory}-${1%%/*}.secret" "${@:3}"; }
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
	worker=$(pgrep -P "$EST_PID")
	for at in 8000000000000000 7fffffffffffffff ffffffffffffffff 0; do # times that no listener had
		[ "$(enrol dev-1 -H "Authorization: Digest username=\"dev-1\", realm=\"EST factory\", nonce=\"$at-0\", uri=\"/.well-known/est/factory/simpleenroll\", response=\"0\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"x\"")" = 401 ]
	done
	[ "$(pgrep -P "$EST_PID")" = "$worker" ]
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
	# guesses at names that could share its place in a table do not have it forgotten
	for name in $(python3 -c 'import hashlib; at = lambda n: hashlib.sha256(f"127.0.0.1 {n}".encode()).digest()[8]
print(*[n for n in (f"x-{i}" for i in range(2000)) if at(n) == at("dev-1")][:3])'); do
		[ "$(enrol dev-1 -u "$name:guess-number-1")" = 401 ]
	done
	[ "$(enrol dev-1 -u "dev-1:$(cat one.secret)")" = 429 ]
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

@test "E9 E13 E14: who is deleted takes no secret of others along, and what a list's secret was spent on stays so" {
	for dev in dev dev.1 dev.used; do ok lamassu --repo pki device psk "$dev" --dms factory --generate --out "$dev.secret"; done
	est_start --dms factory
	for dev in dev dev.1; do [ "$(enrol "$dev" -u "$dev:$(cat "$dev.secret")")" = 200 ]; done
	ok lamassu --repo pki --yes device decommission dev
	ok lamassu --repo pki --yes device delete dev
	est_csr again -subj /CN=dev.1
	[ "$(enrol again -u "dev.1:$(cat dev.1.secret)")" = 401 ]
	[ "$(enrol dev.used -u "dev.used:$(cat dev.used.secret)")" = 200 ]
	est_stop
	echo "listed:$(cat dev.secret)" >list
	L --repo pki dms set factory "$AUTH={type: psk, psk: {store: ha1, secrets: \"file:$PWD/list\"}}"
	est_start --dms factory
	[ "$(enrol listed -u "listed:$(cat dev.secret)")" = 200 ]
	ok lamassu --repo pki --yes device decommission listed
	ok lamassu --repo pki --yes device delete listed
	est_csr once-more -subj /CN=listed
	[ "$(enrol once-more -u "listed:$(cat dev.secret)")" = 401 ]
}

# --- in TLS ---

# request NAME [DMS]: NAME.http enrols with NAME.b64
request() {
	[ -e "$1.b64" ] || est_csr "$1"
	{ printf 'POST /.well-known/est/%s/simpleenroll HTTP/1.1\r\nHost: localhost\r\nUser-Agent: t\r\nContent-Type: application/pkcs10\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' \
		"${2:-factory}" "$(wc -c <"$1.b64")"; cat "$1.b64"; } >"$1.http"
}
through() { timeout 60 python3 "$BATS_TEST_DIRNAME/est_client.py" through "$@" >out || true; } # through NAME.http PROGRAM…: what it printed in out
s_psk() { through "$1" openssl s_client -connect "127.0.0.1:$EST_PORT" -psk_identity "$2" -psk "$3" -ign_eof "${@:4}"; } # s_psk FILE IDENTITY KEY
status() { tr -d '\r' <out | sed -n 's|^HTTP/1.1 \([0-9]*\) .*|\1|p'; }
alert() { sed -n 's/.*SSL alert number \([0-9]*\).*/\1/p' out; }
tls_pem() { python3 "$BATS_TEST_DIRNAME/est_client.py" body out >answer && est_pem; }
is() { [ "$(status)" = "$1" ] || { cat out; return 1; }; }

@test "E9 E14 S1: a device enrols with its key in TLS 1.3 and 1.2, with forward secrecy and AEAD alone, once" {
	psk tls
	secret dev-1; secret dev-2; secret dev-3
	one=$(cat factory-dev-1.secret) two=$(cat factory-dev-2.secret) three=$(cat factory-dev-3.secret)
	[[ $one =~ ^[0-9a-f]{64}$ ]]
	[ "$(stat -c %a factory-dev-1.secret pki/.git/lamassu/psk/factory/dev-1.yaml pki/.git/lamassu/psk pki/.git/lamassu/psk/factory | tr '\n' ' ')" = '600 600 700 700 ' ]
	[ -z "$(git -C pki status --porcelain)" ]
	est_start --access-log log
	request dev-1; request dev-2; request dev-3
	s_psk dev-1.http dev-1 "$one" -tls1_3; is 200; tls_pem >first.pem
	grep -aq 'TLSv1.3, Cipher is' out; grep -aq 'no peer certificate' out; grep -aq '^Server Temp Key: X25519' out
	cmp <(openssl x509 -in first.pem -noout -pubkey) <(openssl pkey -in dev-1.key -pubout)
	s_psk dev-1.http dev-1 "$one" -tls1_2; is 200; tls_pem | cmp - first.pem # the answer was lost
	grep -aq 'TLSv1.2, Cipher is ECDHE-PSK-CHACHA20-POLY1305' out
	rm dev-1.*; request dev-1
	for v in tls1_2 tls1_3; do s_psk dev-1.http dev-1 "$one" -$v; is 401; done
	s_psk dev-2.http dev-3 "$three"; is 403 # a good key of another device
	for suite in kPSK kRSAPSK kDHEPSK ECDHE-PSK-AES128-CBC-SHA256 ECDHE-PSK-AES256-CBC-SHA384; do
		s_psk dev-2.http dev-2 "$two" -tls1_2 -cipher "$suite@SECLEVEL=0"; [ -z "$(status)" ]
	done
	through dev-2.http gnutls-cli --port "$EST_PORT" 127.0.0.1 --no-ca-verification --pskusername dev-2 --pskkey "$two" --priority NORMAL:+PSK:+RSA-PSK
	is 401 # psk_ke alone is no way: a certificate took its place
	no grep -aq 'PSK authentication' out
	through dev-2.http gnutls-cli --port "$EST_PORT" 127.0.0.1 --pskusername dev-2 --pskkey "$two" --priority NORMAL:-KX-ALL:+ECDHE-PSK
	is 200; grep -aq "PSK authentication. Connected as 'dev-2'" out
	[ "$(enrol dev-3 -u "dev-3:$three")" = 401 ] # the key is never sent
	s_psk dev-3.http dev-3 "$three"; is 200
	est_stop
	for s in "$one" "$two" "$three"; do no grep -qF "$s" err sum log; done
}

@test "E9: an unknown identity fails as a wrong key does" {
	psk tls; secret dev-1
	one=$(cat factory-dev-1.secret) wrong=$(openssl rand -hex 32)
	est_start
	request dev-1
	for v in tls1_3 tls1_2; do
		s_psk dev-1.http dev-1 "$wrong" -$v; [ -z "$(status)" ]; known=$(alert)
		[ -n "$known" ]
		for who in dev-9 other/dev-1 factory/ .nobody ../factory/dev-1 "$(printf 'x%.0s' $(seq 200))"; do
			s_psk dev-1.http "$who" "$one" -$v
			[ -z "$(status)" ] && [ "$(alert)" = "$known" ] || { echo "$who: $(alert), not $known"; cat out; false; }
		done
	done
	[ "$(enrol dev-1)" = 401 ]
	s_psk dev-1.http factory/dev-1 "$one"; is 200
}

@test "E9 E14: no session is resumed, neither by ticket nor by id; a certificate's session stands for no key" {
	psk tls; secret dev-1; est_dms certs
	one=$(cat factory-dev-1.secret)
	est_start
	request dev-1
	printf 'GET /.well-known/est/factory/cacerts HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n' >get
	for v in '-tls1_3' '-tls1_2' '-tls1_2 -no_ticket'; do
		rm -f psk.sess
		# shellcheck disable=SC2086 # two words
		s_psk get dev-1 "$one" $v -sess_out psk.sess; is 200
		[ ! -s psk.sess ] && continue # nothing to resume by
		# shellcheck disable=SC2086
		through dev-1.http openssl s_client -connect "127.0.0.1:$EST_PORT" $v -sess_in psk.sess -ign_eof
		no grep -aq '^Reused' out; [ "$(status)" != 200 ]
	done
	# devices with certificates resume as ever, and show nobody's key by it
	est_csr dev-2; request dev-2 certs
	for v in tls1_2 tls1_3; do
		through get openssl s_client -connect "127.0.0.1:$EST_PORT" -cert boot-1.pem -key boot-1.key -$v -sess_out $v.sess -ign_eof; is 200
		through dev-2.http openssl s_client -connect "127.0.0.1:$EST_PORT" -$v -sess_in $v.sess -ign_eof; is 200
		grep -aq '^Reused' out
		s_psk dev-1.http dev-1 "$(openssl rand -hex 32)" -$v -sess_in $v.sess; [ "$(status)" != 200 ]
	done
	s_psk dev-1.http dev-1 "$one"; is 200
}

@test "E9: keys that were typed, are of strange names, are reused, made anew, or shared with several managers" {
	psk tls; est_dms other && L --repo pki dms set other "$AUTH={type: psk, psk: {store: tls}}"
	openssl rand -hex 16 >short.key
	ok lamassu --repo pki device psk 'dev 1/ä:x' --dms factory --passphrase-file short.key --reusable
	L --repo pki dms set factory settings.enrollment_settings.enable_replaceable_enrollment=true
	est_start
	for i in 1 2; do
		est_csr dev -subj '/CN=dev 1\/ä:x' -utf8; request dev
		s_psk dev.http 'dev 1/ä:x' "$(cat short.key)"; is 200
	done
	for bad in "$(openssl rand -hex 15)" "$(openssl rand -hex 65)" 'correct horse battery staple!!!!' "$(openssl rand -hex 16)0"; do
		printf '%s' "$bad" >bad.key
		fails 2 'hexadecimal digits' lamassu --repo pki device psk dev-2 --dms factory --passphrase-file bad.key
		[[ $stderr != *"$bad"* ]]
	done
	secret dev-3; secret dev-3 other
	a=$(cat factory-dev-3.secret) b=$(cat other-dev-3.secret)
	request dev-3
	s_psk dev-3.http dev-3 "$a"; [ -z "$(status)" ] # of which manager?
	s_psk dev-3.http other/dev-3 "$b"; is 401
	s_psk dev-3.http factory/dev-3 "$b"; [ -z "$(status)" ]
	s_psk dev-3.http factory/dev-3 "$a"; is 200
	mv factory-dev-3.secret old.secret; secret dev-3
	rm dev-3.*; request dev-3
	s_psk dev-3.http factory/dev-3 "$a"; [ -z "$(status)" ]
	s_psk dev-3.http factory/dev-3 "$(cat factory-dev-3.secret)"; is 200
	# a manager that keeps hashes takes no key of TLS any more
	secret dev-4; request dev-4
	psk scrypt
	s_psk dev-4.http dev-4 "$(cat factory-dev-4.secret)"; is 401
	[ "$(enrol dev-4 -u "dev-4:$(cat factory-dev-4.secret)")" = 401 ]
	psk tls
	s_psk dev-4.http dev-4 "$(cat factory-dev-4.secret)"; is 200
}

@test "E9: a connection does not outlive its key" {
	psk tls; secret dev-1; secret dev-2
	est_start
	printf 'HEAD /.well-known/est/factory/cacerts HTTP/1.1\r\nHost: l\r\n\r\n' >head.http
	for dev in dev-1 dev-2; do
		request $dev
		mkfifo $dev.in
		openssl s_client -connect "127.0.0.1:$EST_PORT" -psk_identity $dev -psk "$(cat factory-$dev.secret)" -quiet -ign_eof <$dev.in >out 2>/dev/null 3>&- & pid=$!
		exec 7>$dev.in
		cat head.http >&7
		for ((i = 0; i < 300; i++)); do [ "$(status)" = 200 ] && break; sleep 0.1; done
		is 200
		[ $dev = dev-2 ] || ok lamassu --repo pki device psk $dev --dms factory --remove
		cat $dev.http >&7
		wait $pid || true
		exec 7>&-
		[ "$(status | tail -n 1)" = "$([ $dev = dev-1 ] && echo 401 || echo 200)" ]
	done
}

@test "E9 S1: suites for keys follow from those of the settings; a hash that does not fit keys never comes first" {
	psk tls; secret dev-1; request dev-1
	cp pki/lamassu.yaml first.yaml
	suites() {
		{ cat first.yaml; echo "http: {tls: {cipher_suites: [$1]}}"; } >pki/lamassu.yaml
		git -C pki -c user.name=A -c user.email=a@example.org commit -qam settings
	}
	suites TLS_AES_256_GCM_SHA384
	fails 2 'suite of TLS 1.3 with SHA-256' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
	suites 'TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'
	est_start
	s_psk dev-1.http dev-1 "$(cat factory-dev-1.secret)" -tls1_3; is 200; grep -aq 'Cipher is TLS_AES_128_GCM_SHA256' out
	s_psk dev-1.http dev-1 "$(cat factory-dev-1.secret)" -tls1_2; no grep -aq CHACHA20 out
	est_stop
	suites 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'
	est_start
	s_psk dev-1.http dev-1 "$(cat factory-dev-1.secret)" -tls1_2; is 200; grep -aq 'Cipher is ECDHE-PSK-CHACHA20-POLY1305' out
	s_psk dev-1.http dev-1 "$(cat factory-dev-1.secret)" -tls1_3; is 200
}

# --- secrets that are elsewhere ---

@test "E9 E14: secrets come from a file, a variable or a program; each serves once, and one that was made anew does again" {
	here() { L --repo pki dms set factory "$AUTH={type: psk, psk: {store: $1, secrets: \"$2\"}}"; }
	one=$(openssl rand -hex 32) two=$(openssl rand -hex 32)
	printf '# of line 3\n\ndev-1:%s\r\ndev-2:pass:with:colons\n' "$one" >list
	here scrypt "file:$PWD/list"
	fails 4 'elsewhere' lamassu --repo pki device psk dev-1 --dms factory --generate --out no.secret
	[ ! -e no.secret ]
	est_start
	[ "$(enrol dev-1 -u "dev-1:$one-")" = 401 ]
	[ "$(enrol dev-1 -u "dev-2:pass:with:colons")" = 403 ]
	[ "$(enrol dev-1 -u "dev-1:$one")" = 200 ]; est_pem >first.pem
	[ "$(enrol dev-1 -u "dev-1:$one")" = 200 ]; est_pem | cmp - first.pem
	[ "$(enrol dev-2 -u 'dev-2:pass:with:colons')" = 200 ]
	[ "$(enrol dev-3 -u 'dev-3:pass:with:colons')" = 401 ]
	est_stop
	no grep -rqF -e "$one" -e pass:with pki/.git/lamassu/psk err sum
	L --repo pki dms set factory settings.enrollment_settings.enable_replaceable_enrollment=true
	est_start
	rm dev-1.*; [ "$(enrol dev-1 -u "dev-1:$one")" = 401 ] # also after another start
	here scrypt env:OTHER
	[ "$(enrol dev-1 -u "dev-1:$two")" = 503 ] # a listener reads them when it starts
	est_stop
	grep -q 'start the listener again' err
	OTHER="dev-1:$two" est_start
	[ "$(enrol dev-1 -u "dev-1:$one")" = 401 ]
	[ "$(enrol dev-1 -u "dev-1:$two")" = 200 ]
	rm dev-1.*; [ "$(enrol dev-1 -u "dev-1:$two")" = 401 ]
	est_stop
	here ha1 "command:printf 'dev-4:%s' '$one'"
	fails 5 allowCommands lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
	LAMASSU_ALLOW_COMMANDS=1 est_start
	[ "$(enrol dev-4 --digest -u "dev-4:wrong")" = 401 ]
	[ "$(enrol dev-4 --digest -u "dev-4:$one")" = 200 ]
	est_stop
	ok lamassu --repo pki --yes device decommission dev-1
	ok lamassu --repo pki --yes device delete dev-1
	[ -n "$(find pki/.git/lamassu/psk -name 'dev-1*')" ] # what its secret was spent on stays, as the secret does
	# in TLS, beside a manager whose secrets are here
	est_dms other && L --repo pki dms set other "$AUTH={type: psk, psk: {store: tls}}"
	secret dev-6 other; secret dev-5 other
	printf 'dev-5:%s\ndev-7:%s\n' "$one" "$two" >list
	here tls "file:$PWD/list"
	est_start
	for dev in dev-5 dev-7; do request $dev; done
	request dev-6 other
	s_psk dev-5.http dev-5 "$one"; [ -z "$(status)" ] # both managers know one
	s_psk dev-5.http factory/dev-5 "$(cat other-dev-5.secret)"; [ -z "$(status)" ]
	s_psk dev-5.http factory/dev-5 "$one"; is 200
	s_psk dev-7.http dev-7 "$two" -tls1_2; is 200
	rm dev-7.*; request dev-7; s_psk dev-7.http dev-7 "$two"; is 401
	s_psk dev-6.http dev-6 "$(cat other-dev-6.secret)"; is 200
	s_psk dev-6.http dev-8 "$one"; [ -z "$(status)" ]
}

@test "E9: what is no list of secrets stops the listener before it serves, and no message holds any of it" {
	here() { L --repo pki dms set factory "$AUTH={type: psk, psk: {store: $1, secrets: \"file:$PWD/list\"}}"; }
	key=$(openssl rand -hex 32)
	refused() { # refused TEXT: the listener says it, and no secret
		fails "${2:-2}" "$1" lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
		[[ $stderr != *"$key"* && $stderr != *battery* ]]
	}
	here scrypt; refused 'list' 3
	printf 'correct-horse-battery\n' >list; refused 'line 1: must be DEVICE:SECRET'
	printf '#x\ndev-1:battery\n' >list; refused 'line 2: the secret must have from 12'
	printf 'dev-1:%s\ndev-2:%s\ndev-1:%s\n' "$key" "$key" "$key" >list; refused 'line 3: the device of line 1 again'
	printf ':%s\n' "$key" >list; refused 'line 1: names no device'
	printf 'dev\001:%s\n' "$key" >list; refused 'line 1: names no device'
	head -c 70000 /dev/zero | tr '\0' x >list; refused 'larger'
	here tls
	printf 'dev-1:%s\ndev-2:correct-horse-battery\n' "$key" >list; refused 'line 2: a secret for TLS must have'
	: >list; refused 'empty' 5
	fails 2 'by reference' lamassu --repo pki dms set factory "$AUTH={type: psk, psk: {secrets: \"dev-1:$key\"}}"
	fails 2 'exclude each other' lamassu --repo pki dms set factory "$AUTH={type: psk, psk: {secrets: env:X, engine: software}}"
	fails 2 'said once' lamassu --repo pki dms set factory 'settings.reenrollment_settings.authentication={type: psk, psk: {secrets: env:X}}'
	fails 2 nowhere lamassu --repo pki dms set factory "$AUTH={type: psk, psk: {engine: nowhere}}"
	L --repo pki dms set factory "$AUTH={type: psk, psk: {engine: software}}"
	refused 'keeps nothing but keys' 1
	fails 1 'keeps nothing but keys' lamassu --repo pki device psk dev-1 --dms factory --generate --out no.secret
	[ ! -e no.secret ]
}
