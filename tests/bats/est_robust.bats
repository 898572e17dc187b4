# A listener among clients that are slow, hostile or many, and on days when workers die and disks are full. What was acknowledged is in the
# ledger; others are served meanwhile; what is refused leaves no trace.
load helpers
load est_helpers
load ../servers/softhsm

setup_file() {
	est_pki && est_dms factory || return 1
	est_keep main --dms factory --access-log log --workers 2
	pgrep -P "$EST_PID" | sort >workers
	# The slowest of them has time until the last test.
	cp boot-1.* main && cd main && { attack trickle "$EST_PORT" >../trickle 2>&1 3>&- & }
}
teardown_file() { est_end; }
setup() {
	est_share && est_use main
	shared=$BATS_FILE_TMPDIR/est
	with=(--cert boot-1.pem --key boot-1.key)
}
teardown() {
	est_stop
	cd / || return 1
	! mountpoint -q "$BATS_TEST_TMPDIR/small" || umount "$BATS_TEST_TMPDIR/small"
}

attack() { python3 "$BATS_TEST_DIRNAME/est_attack.py" "$@"; }
code() { est_get -o answer -D head -w '%{http_code}' "$@"; }
own() { rm pki && cp -a "$shared/pki" pki && est_start --dms factory "$@"; } # a listener of the test's own on a copy of the repository

got() { local i; for ((i = 0; i < 300; i++)); do [ "$(find got -type f 2>/dev/null | wc -l)" -ge "$1" ] && return; sleep 0.1; done; return 1; } # so many by now

crash() { # crash SIGNAL: ends one of two workers; returns when there is another one
	local old i
	old=$(pgrep -P "$EST_PID" | head -n 1)
	kill "-$1" "$old"
	for ((i = 0; i < 300; i++)); do
		[ "$(pgrep -c -P "$EST_PID")" = 2 ] && ! pgrep -P "$EST_PID" | grep -qx "$old" && return
		sleep 0.1
	done
	return 1
}

# acknowledged: every certificate that a client got is recorded, no serial number twice, and the repository is sound.
acknowledged() {
	"$LAMASSU" --repo pki cert list --all -o json | jq -r '.list[].serial_number' | sort >known
	[ -z "$(uniq -d known)" ]
	cat got/* | sort >told
	[ -z "$(comm -23 told known)" ] || { comm -23 told known; return 1; }
	ok "$LAMASSU" --repo pki repo verify
}

@test "E2 robust: silent and half-open connections stop nobody, and are closed in time" {
	attack idle "$EST_PORT" 200
}

@test "E2 robust: silent connections stop nobody either where few files may be open, and fill no log" {
	printf '#!/bin/sh\nulimit -n 200\nexec "%s" "$@"\n' "$LAMASSU" >few; chmod +x few
	LAMASSU=$PWD/few own --workers 1
	attack few "$EST_PORT" 300
	[ "$(grep -ci accept err)" = 0 ]
	est_stop; [ "$EST_STATUS" = 0 ]
}

@test "E2 robust: a thousand open connections, and two thousand more that say nothing" {
	attack many "$EST_PORT" $((1000 / (LAMASSU_SLOW > 2 ? 4 : 1)))
}

@test "E2 robust: thousands of open connections from many addresses: what they cost, and others are served meanwhile" {
	own --workers 2
	attack crowd "$EST_PORT" $((2000 / (LAMASSU_SLOW > 2 ? 4 : 1))) "$EST_PID" # 10,000 in `make bench`
	est_stop; [ "$EST_STATUS" = 0 ]
}

@test "E2 robust: more handshakes than can be served: nobody waits for ever, nothing breaks, and then all is as before" {
	own --workers 1
	workers=$(pgrep -P "$EST_PID")
	attack storm "$EST_PORT" 600
	est_csr d-9; [ "$(est_post factory/simpleenroll d-9.b64 "${with[@]}")" = 200 ]
	[ "$(pgrep -P "$EST_PID")" = "$workers" ]
}

@test "E2 robust: an address may have so many connections and handshakes; others, a proxy and this machine do not feel it" {
	own --workers 1 --address-connections 20 --address-handshakes 10 --trusted-proxy 127.0.0.3/32 --trusted-proxy 127.0.3.0/24
	attack greedy "$EST_PORT" 20 10
	[ "$(wc -l <served)" = 4 ]
	est_stop
	est_start --dms factory --workers 1 --address-connections=-1 --address-handshakes=-1
	attack greedy "$EST_PORT" 0 0
}

@test "E2 robust: of a thousand pipelined requests a hundred are answered, whole, though more are still being sent" {
	own --workers 1 --access-log log
	[ "$(attack flood "$EST_PORT" 1000 log)" = 100 ]
}

@test "E2 robust: the last answer of a connection arrives, whatever is sent behind the request and however much" {
	[ "$(attack deaf "$EST_PORT" tls | tr '\n' ,)" = '200,200,200,400,200 400,413,413,' ]
}

@test "E2 robust: many headers, long ones, folded ones, and names that are none" {
	for i in {1..40}; do echo "X-$i: y"; done >few
	for i in {1..2000}; do echo "X-$i: y"; done >flood
	[ "$(code -H @few "$EST_URL/cacerts")" = 200 ]
	[ "$(code -H @flood "$EST_URL/cacerts")" = 400 ]
	printf 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost : x\r\nHost: x\r\nConnection: close\r\n\r\n' | est_raw | head -n 1 | grep ' 400 '
	printf 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n' | est_raw | head -n 1 | grep ' 400 '
	printf 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab' | est_raw | head -n 1 | grep ' 400 '
	printf 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n' | est_raw | head -n 1 | grep ' 4'
	printf 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n' | est_raw | head -n 1 | grep ' 4'
	for body in '1;x=y\r\na\r\n0\r\n\r\n' '1\na\r\n0\r\n\r\n' '1\r\nab\r\n' '0\r\n folded\r\n\r\n'; do
		printf "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n$body" | est_raw | head -n 1 | grep ' 400 '
	done
	printf 'HEAD /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na' | est_raw | head -n 1 | grep ' 400 '
	printf 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n' | est_raw | head -n 1 | grep ' 417 '
	{ printf 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: x\r\n\r\n'; printf 'GET //cacerts HTTP/1.1\r\n\r\n'; } | est_raw >out # the first is answered
	[ "$(grep -ao 'HTTP/1.1 [0-9]*' out | cut -d' ' -f2 | xargs)" = '200 400' ]
	[ "$(code -H 'Content-Encoding: gzip' -H 'Content-Type: application/pkcs10' -d x "$EST_URL/simpleenroll")" = 415 ]
	[ "$(code "${with[@]}" -H 'X-Forwarded-Client-Cert: Cert="x"' -H 'Content-Type: application/pkcs10' -d x "$EST_URL/simpleenroll")" = 403 ]
}

@test "E12 robust: requests that are no requests" {
	est_csr d-1; openssl req -in d-1.csr -outform DER -out der
	head -c 50 der >part; { cat der; printf '\0'; } >long; head -c 300 /dev/urandom >noise; printf '0\200\0\0' >endless
	{ printf '\060\204\377\377\377\377'; cat der; } >huge
	openssl x509 -in boot-1.pem -outform DER -out certificate
	for f in part long noise endless huge certificate; do
		base64 $f >$f.b64
		for b in $f $f.b64; do [ "$(est_post factory/simpleenroll "$b" "${with[@]}")" = 400 ] || { echo "$b"; cat head answer; return 1; }; done
	done
	: >empty; [ "$(est_post factory/simpleenroll empty "${with[@]}")" = 400 ]
	for subject in / /CN=../../etc /CN= "/CN=$(printf 'a\nb')" "/O=none"; do
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -utf8 -subj "$subject" -out r 2>/dev/null || continue
		est_post factory/simpleenroll r "${with[@]}" >status
		grep -Eq '^(400|403|200)$' status; [ "$(wc -l <answer)" -ge 1 ]
	done
}

@test "E7 robust: client certificates: not yet valid, expired, for servers, of strangers, of an end entity, cross-signed" {
	attack foreign
	rm pki && cp -a "$shared/pki" pki
	L --repo pki ca import trusted --cert trusted.pem
	L --repo pki dms create foreign --enrollment-ca devices --auth client_certificate --validation-ca trusted --registration jitp
	L --repo pki dms set foreign settings.enrollment_settings.est_rfc7030_settings.authentication.client_certificate.check_revocation=false \
		settings.enrollment_settings.enable_replaceable_enrollment=true
	est_start --dms foreign
	est_csr d-2
	by() { est_post foreign/simpleenroll d-2.b64 --cert "$1.pem" --key "$1.key"; }
	for c in future expired server unknown by-leaf crossed; do [ "$(by $c)" = 401 ] || { echo "$c: $(head -n 1 head)"; return 1; }; [ ! -s answer ]; done
	for c in good chain both; do [ "$(by $c)" = 200 ] || { echo "$c: $(head -n 1 head)"; return 1; }; done
}

@test "E2 E7 robust: what an operator changes counts at once: profile, credential, device, manager, authority" {
	own
	try() { est_csr "$1"; est_post factory/simpleenroll "$1.b64" "${with[@]}"; }
	[ "$(try c-1)" = 200 ]; est_pem >c-1.pem
	L --repo pki profile set iot-device validity.duration=48h subject.organization=Changed
	[ "$(try c-2)" = 200 ]; est_pem | openssl x509 -noout -subject -checkend 176400 >now || true; grep -q Changed now; grep -q 'will expire' now
	L --repo pki cert revoke c-1.pem --reason key_compromise --yes
	[ "$(est_post factory/simplereenroll c-1.b64 --cert c-1.pem --key c-1.key)" = 401 ]
	est_csr boot-2 && L --repo pki ca sign boot --csr boot-2.csr --out boot-2.pem
	L --repo pki cert revoke boot-1.pem --reason superseded --yes
	[ "$(try c-3)" = 401 ]
	with=(--cert boot-2.pem --key boot-2.key)
	[ "$(try c-4)" = 200 ]
	L --repo pki dms create late --enrollment-ca devices --auth client_certificate --validation-ca boot
	L --repo pki ca revoke devices --reason cessation_of_operation --yes
	[ "$(try c-5)" = 503 ]; grep -qi '^retry-after: [0-9]' head
	[ "$(code "$EST_URL/factory/cacerts")" = 503 ]
	L --repo pki dms delete factory --yes
	[ "$(try c-6)" = 404 ]
}

@test "E2 robust: workers that are killed are replaced, and lose nothing that was acknowledged" {
	own --workers 2
	n=$((80 / (LAMASSU_SLOW > 2 ? 2 : 1)))
	attack load "$EST_PORT" 0 $n 6 >counts 3>&- & job=$!
	for i in 1 2 3; do
		got $((10 * i))
		crash KILL
	done
	wait $job
	cat counts; [ "$(find got -type f | wc -l)" = "$n" ]
	acknowledged
	grep -c 'has been replaced' err | grep -qx 3
	"$LAMASSU" --repo pki device list --all -o json | jq -e "[.list[] | select(.id | startswith(\"load-\"))] | length == $n"
}

@test "E2 robust: workers that crash or end by themselves are replaced; the listener ends when they do nothing else" {
	own --workers 2
	for signal in SEGV TERM KILL; do # by SIGTERM a worker ends as it should, and nobody asked for it
		crash $signal; est_csr "w-$signal"
		[ "$(est_post factory/simpleenroll "w-$signal.b64" "${with[@]}")" = 200 ]
	done
	[ "$(grep -c 'a worker was ended .* and has been replaced' err)" = 3 ]
	for ((i = 0; i < 1500; i++)); do kill -0 "$EST_PID" 2>/dev/null || break; pgrep -P "$EST_PID" | xargs -r kill -KILL 2>/dev/null || true; sleep 0.02; done
	EST_STATUS=0; wait "$EST_PID" || EST_STATUS=$?; EST_PID=
	[ "$EST_STATUS" = 1 ]; grep 'workers end as soon as they are started, the last one by signal 9' err
	ok "$LAMASSU" --repo pki repo verify
}

@test "E2 robust: the parent's end by SIGTERM under load, and by SIGKILL: nothing that was acknowledged is lost" {
	own --workers 2
	attack load "$EST_PORT" 0 400 6 >counts 3>&- & job=$!
	got 10
	est_stop; [ "$EST_STATUS" = 0 ]
	wait $job
	cat counts sum; grep -q '200=' counts; acknowledged
	[ "$(sed -n 's/^enrolled: *//p' sum)" -ge "$(find got -type f | wc -l)" ]
	est_start --dms factory --workers 2
	before=$(find got -type f | wc -l)
	attack load "$EST_PORT" 1000 400 6 >counts 3>&- & job=$!
	got $((before + 10))
	children=$(pgrep -P "$EST_PID")
	kill -KILL "$EST_PID"; wait "$EST_PID" || true; EST_PID=
	wait $job
	cat counts; acknowledged
	for p in $children; do timeout 15 tail --pid "$p" -f /dev/null; done
}

@test "E2 E12 robust: a full disk is 503 with Retry-After, nothing is acknowledged, and it goes on when there is room" {
	mkdir small && mount -t tmpfs -o size=24m none small || { echo "this test mounts a tmpfs and needs root"; return 1; }
	rm pki && cp -a "$shared/pki" small/pki && ln -s small/pki pki
	est_start --dms factory
	est_csr f-1; est_csr f-2
	[ "$(est_post factory/simpleenroll f-1.b64 "${with[@]}")" = 200 ]
	dd if=/dev/zero of=small/fill bs=64k 2>/dev/null || true
	dd if=/dev/zero of=small/fill bs=4k oflag=append conv=notrunc 2>/dev/null || true
	[ "$(est_post factory/simpleenroll f-2.b64 "${with[@]}")" = 503 ]; est_line 503; grep -qi '^retry-after: [0-9]' head
	[ "$(code "$EST_URL/factory/cacerts")" = 200 ]
	rm small/fill
	"$LAMASSU" --repo pki cert list --all -o json | jq -e '[.list[] | select(.device == "f-2")] | length == 0'
	[ "$(est_post factory/simpleenroll f-2.b64 "${with[@]}")" = 200 ]
	ok "$LAMASSU" --repo pki repo verify
	est_stop
}

@test "E2 robust: a request that trickles is ended; after all this the workers are the same, and every line of the log is JSON" {
	for ((i = 0; i < 400; i++)); do [ -s "$shared/trickle" ] && break; sleep 0.1; done
	cat "$shared/trickle"; [ "$(cat "$shared/trickle")" -ge 10 ]; [ "$(cat "$shared/trickle")" -le 40 ]
	diff "$shared/workers" <(pgrep -P "$(cat "$shared/main/pid")" | sort)
	jq -es 'all(.[]; has("status") and has("time"))' "$shared/main/log" >/dev/null
	no grep -q 'BEGIN' "$shared/main/log"
}

@test "E12 robust: a token that is away is 503 with Retry-After at once, and serves again when it is back" {
	rm pki && cp -a "$shared/pki" pki
	softhsm_start "$PWD/soft" && export HSM_PIN=1234
	# shellcheck disable=SC2016 # the reference is for lamassu to resolve
	L --repo pki kms engine add hsm --type pkcs11 --set "module_path=$softhsm" --set token=lam --set pin='${HSM_PIN}'
	L --repo pki ca create hard --parent root --engine hsm --subject CN=Hard --key-type ecdsa:256 --validity 1y --issuance-profile iot-device
	L --repo pki dms create hard --enrollment-ca hard --auth client_certificate --validation-ca boot --profile iot-device
	est_start --dms hard --tls-ca devices --workers 1
	mv soft/tokens gone; mkdir soft/tokens
	est_csr h-1
	SECONDS=0
	for i in $(seq 20); do
		[ "$(est_post hard/simpleenroll h-1.b64 --cert boot-1.pem --key boot-1.key)" = 503 ]
		grep -qi '^retry-after:' head
	done
	[ "$SECONDS" -lt 30 ]
	rmdir soft/tokens; mv gone soft/tokens
	for ((i = 0; i < 300; i++)); do
		[ "$(est_post hard/simpleenroll h-1.b64 --cert boot-1.pem --key boot-1.key)" = 503 ] || break
		sleep 0.1
	done
	[ "$(est_post hard/simpleenroll h-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
}
