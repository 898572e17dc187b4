# A repository with an authority for devices and one for bootstrap certificates, and listeners that end with the test, or
# with the file when setup_file starts them.

EST_TMP=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}

est_pki() { # in "pki", below the test's folder; root.pem beside it
	mkdir -p "$EST_TMP/est" && cd "$EST_TMP/est" || return 1
	# shellcheck disable=SC2086 # nothing when empty
	L init pki ${EST_KEYS---unencrypted-keys} && cd pki || return 1
	L ca create root --subject 'CN=Root,O=Acme' --key-type ecdsa:384 --validity 10y
	L ca create devices --parent root --subject 'CN=Devices,O=Acme' --key-type ecdsa:256 --validity 5y --issuance-profile iot-device
	L ca create boot --parent root --subject 'CN=Bootstrap,O=Acme' --key-type ecdsa:256 --validity 1y --issuance-profile bootstrap
	L ca export root --out ../root.pem
	cd .. || return 1
	est_csr boot-1 && L --repo pki ca sign boot --csr boot-1.csr --out boot-1.pem
}

L() { "$LAMASSU" "$@" >/dev/null 2>"$EST_TMP/.err" || { cat "$EST_TMP/.err" >&2; return 1; }; }

est_csr() { # est_csr NAME [OPENSSL-REQ-OPTIONS]: NAME.key, NAME.csr, NAME.b64
	local name=$1; shift
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" "$@" 2>/dev/null &&
		openssl req -in "$name.csr" -outform DER | base64 >"$name.b64"
}

est_dms() { # est_dms ID [OPTIONS]
	local id=$1; shift
	L --repo pki dms create "$id" --enrollment-ca devices --auth client_certificate --validation-ca boot --registration jitp --profile iot-device "$@"
}

est_start() { # est_start [OPTIONS]: $EST_PID, $EST_PORT; its output in sum, err
	rm -f ready
	local tls=(--tls-name localhost)
	[[ " $* " != *" --tls-cert "* ]] || tls=()
	"$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 "${tls[@]}" --ready-file ready --timeout "${EST_TIMEOUT:-60s}" "$@" >sum 2>err 3>&- &
	EST_PID=$!
	local i
	for ((i = 0; i < 200; i++)); do [ -s ready ] && break; kill -0 "$EST_PID" 2>/dev/null || break; sleep 0.05; done
	[ -s ready ] || { cat err; return 1; }
	EST_PORT=$(sed -n '1s/.*://p' ready)
	EST_URL=https://localhost:$EST_PORT/.well-known/est
}

est_stop() { # $EST_STATUS is its exit status
	[ -n "${EST_PID:-}" ] || return 0
	kill -TERM "$EST_PID" 2>/dev/null
	EST_STATUS=0; wait "$EST_PID" || EST_STATUS=$?
	EST_PID=
}

est_get() { curl -sS --cacert root.pem "$@"; }

est_post() { # est_post OP BODY [CURL-OPTIONS]: prints the status; body in answer, head in head
	local op=$1 body=$2; shift 2
	est_get -o answer -D head -w '%{http_code}' -H 'Content-Type: application/pkcs10' --data-binary "@$body" "$@" "$EST_URL/$op"
}

est_pem() { openssl base64 -d -in answer | openssl pkcs7 -inform DER -print_certs | openssl x509; } # the certificate of an answer

hook_start() { # hook_start [CLIENT-CA]: a service over TLS in "hook"; $HOOK_URL, $HOOK_PID
	mkdir -p hook && rm -f hook/port
	[ -s hook/cert.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout hook/key.pem -out hook/cert.pem -subj /CN=localhost \
		-addext 'subjectAltName=DNS:localhost' -days 9 2>/dev/null || return 1
	python3 "$BATS_TEST_DIRNAME/../servers/hook.py" hook hook/cert.pem hook/key.pem "$@" >hook/log 2>&1 3>&- &
	HOOK_PID=$!
	local i
	for ((i = 0; i < 100; i++)); do [ -s hook/port ] && break; sleep 0.05; done
	[ -s hook/port ] || { cat hook/log; return 1; }
	HOOK_URL=https://localhost:$(cat hook/port)
}

hook_stop() {
	[ -n "${HOOK_PID:-}" ] || return 0
	kill "$HOOK_PID" 2>/dev/null
	wait "$HOOK_PID" 2>/dev/null || true
	HOOK_PID=
}

# For files whose tests share listeners, started by setup_file in $BATS_FILE_TMPDIR/est: each test works in a folder of its own.
est_share() {
	cd "$BATS_TEST_TMPDIR" && cp "$BATS_FILE_TMPDIR"/est/{root.pem,boot-1.pem,boot-1.key} . || return 1
	[ -e pki ] || ln -s "$BATS_FILE_TMPDIR/est/pki" pki
}

est_keep() { # est_keep NAME [OPTIONS]: a listener that stays until est_end, in a folder NAME; its port in NAME/port
	local name=$1; shift
	mkdir -p "$name" && cd "$name" && cp ../root.pem . && ln -s ../pki pki && EST_TIMEOUT=600s est_start "$@" || return 1
	echo "$EST_PID" >pid; echo "$EST_PORT" >port
	cd ..
}

est_use() { # est_use NAME: requests go to that one
	EST_PORT=$(cat "$BATS_FILE_TMPDIR/est/$1/port")
	EST_URL=https://localhost:$EST_PORT/.well-known/est
}

est_end() { # all that est_keep has started
	local f
	for f in "$BATS_FILE_TMPDIR"/est/*/pid; do kill -TERM "$(cat "$f")"; done
	for f in "$BATS_FILE_TMPDIR"/est/*/pid; do tail --pid "$(cat "$f")" -f /dev/null; done
}

est_raw() { python3 "$BATS_TEST_DIRNAME/est_client.py" raw "$EST_PORT"; } # standard input as it is, and what comes back

# est_line STATUS [SUBSTRING]: the last answer has this status, and says why in one line of plain text.
est_line() {
	head -n 1 head | grep -q "^HTTP/1.1 $1 " && grep -qi '^content-type: text/plain; charset=utf-8' head && [ "$(wc -l <answer)" = 1 ] &&
		grep -q "${2:-.}" answer && return
	cat head answer
	return 1
}
