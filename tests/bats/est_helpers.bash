# A repository with an authority for devices and one for bootstrap certificates, and listeners that end with the test.

est_pki() { # in "pki", below the test's folder; root.pem beside it
	mkdir -p "$BATS_TEST_TMPDIR/est" && cd "$BATS_TEST_TMPDIR/est" || return 1
	L init pki --unencrypted-keys && cd pki || return 1
	L ca create root --subject 'CN=Root,O=Acme' --key-type ecdsa:384 --validity 10y
	L ca create devices --parent root --subject 'CN=Devices,O=Acme' --key-type ecdsa:256 --validity 5y --issuance-profile iot-device
	L ca create boot --parent root --subject 'CN=Bootstrap,O=Acme' --key-type ecdsa:256 --validity 1y --issuance-profile bootstrap
	L ca export root --out ../root.pem
	cd .. || return 1
	est_csr boot-1 && L --repo pki ca sign boot --csr boot-1.csr --out boot-1.pem
}

L() { "$LAMASSU" "$@" >/dev/null 2>"$BATS_TEST_TMPDIR/.err" || { cat "$BATS_TEST_TMPDIR/.err" >&2; return 1; }; }

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
	"$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --tls-name localhost --ready-file ready --timeout 60s "$@" >sum 2>err 3>&- &
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
