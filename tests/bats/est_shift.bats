#!/usr/bin/env bats
# A shift of the listener: how it is started by hand and by systemd, how it ends, and what is left of it.
load helpers
load est_helpers
load ../servers/softhsm

setup() { est_pki; est_dms factory; }
teardown() { est_stop; }

ended() { # ended STATUS: it ends by itself, within a minute
	local s=0 i
	for ((i = 0; i < 600; i++)); do kill -0 "$EST_PID" 2>/dev/null || break; sleep 0.1; done
	wait "$EST_PID" || s=$?
	EST_PID=
	[ "$s" -eq "$1" ] || { echo "exit $s"; cat err; return 1; }
}

enrol() { # enrol NAME
	est_csr "$1" && [ "$(est_post factory/simpleenroll "$1.b64" --cert boot-1.pem --key boot-1.key)" = 200 ]
}

@test "E2: --stop-file ends a shift as SIGTERM does; one that is there already is refused" {
	est_start --stop-file stop
	enrol dev-1
	touch stop
	ended 0
	grep -qx 'enrolled: *1' sum
	run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --stop-file stop --timeout 5s
	[ "$status" -eq 4 ]; [[ $output == *"stop is there already"* ]]
}

@test "E2: --idle-timeout ends a shift that nobody asks anything" {
	est_start --idle-timeout 1s
	enrol dev-1
	ended 0
	grep -qx 'enrolled: *1' sum
}

@test "E2: systemd's sockets and READY=1; what is no listening socket is refused" {
	cat >activate.py <<-'P'
		import os, socket, sys
		notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); notify.bind("notify"); notify.settimeout(60)
		tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen(8)
		open("port", "w").write(str(tcp.getsockname()[1]))
		pid = os.fork()
		if pid == 0:
		    os.dup2(tcp.fileno(), 3); os.set_inheritable(3, True)
		    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=os.path.abspath("notify"))
		    os.execv(sys.argv[1], sys.argv[1:])
		open("told", "w").write(notify.recv(100).decode()); open("child", "w").write(str(pid))
		os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	P
	python3 activate.py "$LAMASSU" --repo pki est-serve --tls-name localhost --timeout 60s --max-enrollments 1 >sum 2>err 3>&- &
	EST_PID=$!
	local i
	for ((i = 0; i < 300; i++)); do [ -s child ] && break; sleep 0.1; done
	[ "$(cat told)" = READY=1 ]
	EST_URL=https://localhost:$(cat port)/.well-known/est
	grep -q "listening on 127.0.0.1:$(cat port)" err
	enrol dev-1
	ended 0
	run env LISTEN_PID=$$ LISTEN_FDS=1 bash -c 'exec env LISTEN_PID=$$ "$0" --repo pki est-serve 3</dev/null' "$LAMASSU"
	[ "$status" -eq 2 ]; [[ $output == *"not a listening socket"* ]]
}

@test "E2 S1: --user becomes another user when the address is bound; no process of the listener stays root" {
	run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --user nobody-of-that-name
	[ "$status" -eq 2 ]; [[ $output == *"there is no such user"* ]]
	local i p at="$EST_TMP/est"
	while [ "$at" != / ]; do chmod a+x "$at"; at=$(dirname "$at"); done
	chown -R nobody: pki
	"$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --tls-name localhost \
		--ready-file pki/ready --timeout 60s --user nobody >sum 2>err 3>&- &
	EST_PID=$!
	for ((i = 0; i < 300; i++)); do [ -s pki/ready ] && break; kill -0 "$EST_PID" 2>/dev/null || break; sleep 0.1; done
	[ -s pki/ready ] || { cat err; false; }
	EST_URL=https://localhost:$(sed 's/.*://' pki/ready)/.well-known/est
	for p in "$EST_PID" $(pgrep -P "$EST_PID"); do
		grep -q "^Uid:[[:space:]]*$(id -u nobody)[[:space:]]*$(id -u nobody)[[:space:]]*$(id -u nobody)" "/proc/$p/status"
		grep -q '^CapEff:[[:space:]]*0*$' "/proc/$p/status"
	done
	enrol dev-1
	est_stop
	[ "$EST_STATUS" -eq 0 ]
	[ -z "$(find pki -user root)" ]
}

@test "E2: the access log has a line of JSON for each request, with nothing that breaks a line or tells a secret" {
	est_start --access-log log
	enrol dev-1
	est_get -o /dev/null "$EST_URL/factory/%0a%22cacerts?x=%0d" || true
	est_get -o /dev/null -u 'me:s3cret-word' "$EST_URL/factory/cacerts"
	est_stop
	jq -es 'length == 3 and all(.[]; .time and .address == "127.0.0.1" and .micros > 0 and .tls and .cipher) and .[0].subject == "dev-1" and .[0].op == "simpleenroll" and
		[.[].status] == [200, 404, 200] and .[1].reason == "not_found" and .[2].realm == "factory"' log
	[ "$(jq -rs '.[0].serial_number' log | tr A-Z a-z)" = "$(est_pem | openssl x509 -noout -serial | cut -d= -f2 | tr A-Z a-z)" ]
	! grep -qi s3cret-word log err sum
}

@test "E2 E12: what is no request has a line in the access log too, with who, when and which answer, and not a byte of what was sent" {
	est_start --access-log log --workers 1 -o json
	local bad
	for bad in 'BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n' 'se"cret\n\033[2J\001\r\n\r\n' 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n' \
		'GET /se-cret HTTP/1.1\r\nHost: x\r\nExpect: se-cret\r\n\r\n' 'GET / HTTP/1.1\r\nse-cret\r\n\r\n'; do
		# shellcheck disable=SC2059 # escapes are meant
		printf "$bad" | est_raw >said; head -n 1 said | grep '^HTTP/1.1 [45]'
	done
	est_stop
	jq -es 'length == 5 and all(.[]; .time and .address == "127.0.0.1" and .tls and .cipher and (has("path") or has("method") | not)) and
		[.[] | "\(.status) \(.reason)"] == ["501 method", "400 malformed_request", "413 too_large", "417 unsupported", "400 malformed_request"]' log
	! grep -q cret log err sum
	jq -e '.requests == 5 and .refused == 5 and .failed == 0 and (.refused_by[] | select(.reason == "malformed_request").n) == 2' sum
}

@test "E2 S1 K1: the listener's TLS key is in an engine: in a file of the software engine, in a token" {
	L --repo pki ca create web --parent root --subject 'CN=Web,O=Acme' --key-type ecdsa:256 --validity 5y --issuance-profile tls-server
	L --repo pki ca export web --out web.pem
	softhsm_start "$BATS_TEST_TMPDIR" && export HSM_PIN=1234
	# shellcheck disable=SC2016 # a reference
	L --repo pki kms engine add hsm --type pkcs11 --set "module_path=$softhsm" --set token=lam --set 'pin=${HSM_PIN}'
	local engine
	for engine in software hsm; do
		L --repo pki kms key create "tls-$engine" --engine "$engine" --key-type ecdsa:256
		L --repo pki cert issue --ca web --subject CN=localhost --san DNS:localhost --key "tls-$engine" --chain --out "tls-$engine.pem"
		est_start --tls-cert "tls-$engine.pem" --tls-key "tls-$engine" --workers 2
		cat err;		openssl s_client -connect "127.0.0.1:$EST_PORT" -servername localhost -verify_return_error -CAfile root.pem </dev/null 2>/dev/null |
			openssl x509 -noout -fingerprint >seen
		cmp seen <(openssl x509 -in "tls-$engine.pem" -noout -fingerprint)
		enrol "dev-$engine"
		est_stop
		[ "$EST_STATUS" -eq 0 ]
	done
	run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --tls-cert tls-hsm.pem --tls-key tls-software
	[ "$status" -eq 5 ]; [[ $output == *'does not belong'* ]]
	run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --tls-cert tls-hsm.pem --tls-key tls-hms
	[ "$status" -eq 3 ]; [[ $output == *'tls-hsm'* ]]
	HSM_PIN=0000 run "$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --tls-cert tls-hsm.pem --tls-key tls-hsm
	[ "$status" -eq 5 ]; [[ $output == *PIN* ]]
}

@test "E2 S1: SIGHUP takes a new certificate and a new log, one worker after another; what is not good changes nothing" {
	L --repo pki ca create web --parent root --subject 'CN=Web,O=Acme' --key-type ecdsa:256 --validity 5y --issuance-profile tls-server
	local i n
	for n in 1 2; do
		L --repo pki cert issue --ca web --subject CN=localhost --san DNS:localhost --key-type ecdsa:256 --key-out "tls-$n.key" --chain --out "tls-$n.pem"
	done
	cp tls-1.pem tls.pem; cp tls-1.key tls.key
	serial() { openssl s_client -connect "127.0.0.1:$EST_PORT" -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -serial; }
	est_start --tls-cert tls.pem --tls-key tls.key --access-log log --workers 2 </dev/null
	local before after; before=$(pgrep -P "$EST_PID" | sort)
	enrol dev-1
	cp tls-2.pem tls.pem
	kill -HUP "$EST_PID"
	for ((i = 0; i < 300; i++)); do grep -q 'nothing is read anew: .*does not belong' err && break; sleep 0.1; done
	grep -q 'nothing is read anew: .*does not belong' err
	[ "$(serial)" = "$(openssl x509 -in tls-1.pem -noout -serial)" ]; [ "$(pgrep -P "$EST_PID" | sort)" = "$before" ]
	cp tls-2.key tls.key; mv log log.1
	# Who has connected before, and has not asked for anything yet, is answered by the worker that leaves.
	local -a early=()
	for i in 1 2 3 4; do
		python3 - "$EST_PORT" >"early-$i" 2>&1 <<-'EOF' &
			import os, socket, ssl, sys, time
			tls = ssl.create_default_context(cafile="root.pem")
			with tls.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost") as s:
			    print("connected", flush=True)
			    while not os.path.exists("go"):
			        time.sleep(0.02)
			    s.sendall(b"GET /.well-known/est/factory/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n")
			    print(s.makefile("rb").readline().decode())
		EOF
		early+=($!)
	done
	for ((i = 0; i < 300; i++)); do [ "$(cat early-* | grep -c connected)" -eq 4 ] && break; sleep 0.1; done
	kill -HUP "$EST_PID"
	sleep 0.5; : >go # it passes without the pause too, and then shows less
	wait "${early[@]}"
	[ "$(cat early-* | grep -c 'HTTP/1.1 200')" -eq 4 ] || { tail early-*; return 1; }
	for ((i = 0; i < 300; i++)); do
		enrol "while-$i"
		after=$(pgrep -P "$EST_PID" | sort)
		[ "$(wc -w <<<"$after")" -eq 2 ] && [ -z "$(comm -12 <(echo "$before") <(echo "$after"))" ] && break
		sleep 0.1
	done
	[ -z "$(comm -12 <(echo "$before") <(echo "$after"))" ]
	[ "$(serial)" = "$(openssl x509 -in tls-2.pem -noout -serial)" ]
	enrol dev-2
	grep -q dev-1 log.1; grep -q dev-2 log; ! grep -q dev-2 log.1
	[ "$(grep -c 'has been replaced' err)" -eq 0 ]
	est_stop
	[ "$EST_STATUS" -eq 0 ]
}

@test "E2 S1: the listener's own certificate is issued anew before it ends; when it cannot be, the listener says so and goes on" {
	local life=$((LAMASSU_SLOW > 2 ? 18 : 9)) i
	mkdir data && cp -r "$LAMASSU_DATADIR/profiles" data/
	sed -i "s/duration: 2160h/duration: ${life}s/" data/profiles/tls-server.yaml; grep -q "duration: ${life}s" data/profiles/tls-server.yaml
	serial() { openssl s_client -connect "127.0.0.1:$EST_PORT" -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -serial | cut -d= -f2; }
	EST_TIMEOUT=600s LAMASSU_DATADIR=$PWD/data est_start --workers 2 --tls-ca root </dev/null
	local before after first last; before=$(pgrep -P "$EST_PID" | sort); first=$(serial); enrol dev-1
	for ((i = 0; i < life * 60; i++)); do
		after=$(pgrep -P "$EST_PID" | sort)
		[ "$(wc -w <<<"$after")" -eq 2 ] && [ -z "$(comm -12 <(echo "$before") <(echo "$after"))" ] && break
		sleep 0.1
	done
	last=$(serial); [ "$last" != "$first" ]
	enrol dev-2 # which trusts it
	L --repo pki ca revoke root --reason cessation_of_operation --yes
	for ((i = 0; i < life * 60; i++)); do grep -q 'TLS certificate ends .* is not issued anew: .*root' err && break; sleep 0.1; done
	grep -q 'TLS certificate ends .* is not issued anew: .*root' err
	[ "$(pgrep -c -P "$EST_PID")" -ge 2 ]; [ "$(serial)" != "$first" ]
	est_stop
	[ "$EST_STATUS" -eq 0 ]; no grep 'has been replaced' err
	"$LAMASSU" --repo pki cert show "$last" -o json | jq -e '.serial_number'
	[ "$("$LAMASSU" --repo pki repo log --all -o json | grep -c 'certificate of the listener')" -ge 2 ]
	ok "$LAMASSU" --repo pki repo verify
}

@test "E2: SIGHUP twice at once: a worker that has only begun ends, and not its listener" {
	est_dms one
	cc -shared -fPIC -o slow.so -x c - <<-'C'
		#include <pthread.h>
		#include <time.h>
		static void slow(void) { const struct timespec t = { .tv_sec = 1 }; nanosleep(&t, 0); }
		__attribute__((constructor)) static void begin(void) { pthread_atfork(0, 0, slow); }
	C
	LD_PRELOAD=$PWD/slow.so ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 est_start --dms one --workers 1 </dev/null
	other() { # other PID...: $worker is the one, and none of these
		for ((i = 0; i < 300 * ${LAMASSU_SLOW:-1}; i++)); do
			kill -0 "$EST_PID" && worker=$(pgrep -P "$EST_PID") && [[ " $* " != *" $worker "* ]] && return
			sleep 0.1
		done
		return 1
	}
	other none; first=$worker
	[ "$(est_get -o answer -w '%{http_code}' "$EST_URL/one/cacerts")" = 200 ]
	kill -HUP "$EST_PID"; other "$first"; second=$worker
	kill -HUP "$EST_PID"; other "$first" "$second"
	[ "$(est_get -o answer -w '%{http_code}' "$EST_URL/one/cacerts")" = 200 ]
	est_stop; [ "$EST_STATUS" = 0 ]
}
