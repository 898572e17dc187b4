#!/usr/bin/env bats
# lamassu.yaml for the listeners: TLS, clients' certificates, the manager of addresses without a name, and the local logs. Judges: openssl, curl.
load helpers
load est_helpers

setup() { est_pki && est_dms factory; }
teardown() { est_stop; }

conf() { # conf YAML: these lines at the end of lamassu.yaml, instead of those of the last time
	[ -e first.yaml ] || cp pki/lamassu.yaml first.yaml
	{ cat first.yaml; printf '%s\n' "$1"; } >pki/lamassu.yaml && git -C pki commit -qam "settings" --author 'A <a@example.org>'
}
s_client() { timeout 20 openssl s_client -connect "127.0.0.1:$EST_PORT" -servername localhost -CAfile root.pem "$@" </dev/null 2>&1; }
cipher() { s_client "$@" | sed -n 's/^New, .*Cipher is //p'; } # what was agreed on
# suites_of 1.2|1.3: all that the server takes, one a line
suites_of() {
	local c
	if [ "$1" = 1.3 ]; then
		for c in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_CCM_SHA256; do
			[ "$(cipher -tls1_3 -ciphersuites $c)" = $c ] && echo $c
		done
	else
		for c in $(openssl ciphers -tls1_2 -s 'ALL:COMPLEMENTOFALL:@SECLEVEL=0' | tr : '\n' | grep -v PSK | grep -v SRP); do
			[ "$(cipher -tls1_2 -cipher "$c:@SECLEVEL=0")" = "$c" ] && echo "$c"
		done
	fi
	true
}
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org

@test "E2 S1: cipher suites by their IANA names, those of TLS 1.2 and 1.3 apart; nothing else is agreed on" {
	conf 'http: {tls: {cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}}'
	est_start
	[ "$(suites_of 1.2)" = ECDHE-ECDSA-AES256-GCM-SHA384 ]
	[ "$(suites_of 1.3 | wc -l)" -ge 3 ]
	no s_client -tls1_1 -cipher 'DEFAULT:@SECLEVEL=0'
	no s_client -tls1 -cipher 'DEFAULT:@SECLEVEL=0'
	est_stop
	conf 'http: {tls: {min_version: TLS12, cipher_suites: [TLS_AES_256_GCM_SHA384, tls_ecdhe_ecdsa_with_chacha20_poly1305_sha256, ECDHE-ECDSA-AES128-GCM-SHA256]}}'
	est_start
	[ "$(suites_of 1.2 | sort | xargs)" = 'ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305' ]
	[ "$(suites_of 1.3)" = TLS_AES_256_GCM_SHA384 ]
	est_stop
	# every name that is accepted is one that openssl knows, and is served
	all="TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_CCM_SHA256"
	for a in AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256 AES_128_CCM AES_256_CCM; do all+=", TLS_ECDHE_ECDSA_WITH_$a"; done
	for a in AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256; do all+=", TLS_ECDHE_RSA_WITH_$a"; done
	conf "http: {tls: {cipher_suites: [$all]}}"
	est_start
	[ "$(suites_of 1.2 | wc -l)" = 5 ] # its key is of ECDSA
	[ "$(suites_of 1.3 | wc -l)" = 4 ]
	est_stop
	openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -subj /CN=rsa -addext 'subjectAltName=DNS:localhost' -days 9 2>/dev/null
	rm -f ready
	"$LAMASSU" --repo pki est-serve --listen 127.0.0.1:0 --tls-cert rsa.pem --tls-key rsa.key --ready-file ready --timeout 60s >sum 2>err 3>&- &
	EST_PID=$!
	for ((i = 0; i < 600; i++)); do [ -s ready ] && break; sleep 0.05; done
	EST_PORT=$(sed -n '1s/.*://p' ready)
	[ "$(suites_of 1.2 | sort | xargs)" = 'ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305' ]
	est_stop
	conf 'http: {tls: {min_version: TLS13}}'
	est_start
	[ -z "$(suites_of 1.2)" ]
	[ "$(cipher -tls1_3)" ]
	est_stop
	est_start --min-tls TLS12 # an option wins
	[ "$(cipher -tls1_2)" ]
}

@test "E2 S1: what is unknown or not safe in lamassu.yaml is named with its place and the nearest name" {
	bad() { # bad LINE:COLUMN WHY YAML: the fourth line and so on of the file
		conf "$3"
		fails 2 "$2" lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 1s
		[[ $stderr == *"lamassu.yaml:$(($(wc -l <first.yaml) + ${1%:*})):${1#*:}"* ]] || { echo "$stderr"; return 1; }
	}
	bad 3:45 'did you mean "TLS_AES_128_GCM_SHA256"?' $'http:\n  tls:\n    cipher_suites: [TLS_AES_256_GCM_SHA384, TLS_AES_128_GMC_SHA256]'
	bad 1:30 'has no forward secrecy' 'http: {tls: {cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256]}}'
	bad 1:30 'has no authenticated encryption; did you mean "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"?' 'http: {tls: {cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256]}}'
	bad 1:30 'is not a cipher suite that is known here' 'http: {tls: {cipher_suites: ["ALL:@SECLEVEL=0"]}}'
	for v in TLS10 TLS11 SSL3; do bad 1:27 'is not one of TLS12, TLS13' "http: {tls: {min_version: $v}}"; done
	bad 1:13 'cert_file and key_file go together' 'http: {tls: {cert_file: x.pem}}'
	conf 'http: {tls: {cert_file: x.pem, key_file: x.key}}'
	fails 3 'http.tls.cert_file: ' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 1s
}

@test "E2 S1: port, certificate and key from lamassu.yaml, relative to the repository; options win" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout pki/tls.key -out pki/tls.pem -subj /CN=mine -addext 'subjectAltName=DNS:localhost' -days 9 2>/dev/null
	cp pki/tls.pem mine.pem
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	conf "http: {port: $port, tls: {cert_file: tls.pem, key_file: tls.key}}"
	(cd pki && mkdir -p sub)
	rm -f ready
	(cd pki/sub && exec "$LAMASSU" est-serve --ready-file ../../ready --timeout 60s 3>&-) >sum 2>err &
	EST_PID=$!
	for ((i = 0; i < 600; i++)); do [ -s ready ] && break; sleep 0.05; done
	grep -qx "127.0.0.1:$port" ready
	curl -sSf --cacert mine.pem -o answer "https://localhost:$port/.well-known/est/cacerts"
	no grep -q 'TLS certificate of ca' err # none was issued
	est_stop
	est_start # --listen and --tls-name win
	[ "$EST_PORT" != "$port" ]
	est_get -f -o answer "$EST_URL/cacerts"
	est_stop
	# the same for a validation authority, which else speaks plain HTTP
	rm -f ready
	"$LAMASSU" --repo pki va-serve --listen 127.0.0.1:0 --ready-file ready --timeout 60s >sum 2>err 3>&- &
	EST_PID=$!
	for ((i = 0; i < 600; i++)); do [ -s ready ] && break; sleep 0.05; done
	ski=$(openssl x509 -in root.pem -noout -ext subjectKeyIdentifier | tail -1 | tr -d ' :\n' | tr A-F a-f)
	curl -sSf --cacert mine.pem -o answer "https://localhost:$(sed 's/.*://' ready)/ca/$ski.cer"
	openssl x509 -inform DER -in answer -noout -subject | grep -q Root
	est_stop
	rm -f ready
	"$LAMASSU" --repo pki va-serve --plain --listen 127.0.0.1:0 --ready-file ready --timeout 60s >sum 2>err 3>&- &
	EST_PID=$!
	for ((i = 0; i < 600; i++)); do [ -s ready ] && break; sleep 0.05; done
	curl -sSf -o answer "http://127.0.0.1:$(sed 's/.*://' ready)/ca/$ski.cer"
}

# A certificate of an authority that no manager names: vendor.pem, also in the repository; v-1.pem, v-1.key, and v-2 that has expired.
vendor() {
	L --repo pki ca create vendor --subject CN=Vendor --key-type ecdsa:256 --validity 1y --issuance-profile bootstrap
	L --repo pki ca export vendor --out vendor.pem && cp vendor.pem pki/vendor.pem
	est_csr v-1 && L --repo pki ca sign vendor --csr v-1.csr --out v-1.pem
	est_csr v-2 && L --repo pki ca sign vendor --csr v-2.csr --validity 1s --out v-2.pem
	expired v-2.pem
}
expired() { local i; for ((i = 0; i < 300; i++)); do openssl x509 -in "$1" -noout -checkend 0 >/dev/null || break; sleep 0.1; done; }
cacerts() { est_get -f -o answer "$@" "$EST_URL/factory/cacerts" 2>curl.err; }

@test "S1: client_auth: whom the handshake lets in, and that this alone enrols nobody" {
	vendor
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key -out self.pem -subj /CN=self -days 9 2>/dev/null
	est_csr stale && L --repo pki ca sign boot --csr stale.csr --validity 1s --out stale.pem && expired stale.pem
	# without settings anything may be shown, and need not be
	est_start
	cacerts && cacerts --cert v-1.pem --key v-1.key && cacerts --cert self.pem --key self.key
	est_stop
	# a list: what is shown must lead to it, or to an authority of a manager, whatever its dates; showing nothing is allowed
	conf 'http: {client_auth: {ca_file: vendor.pem}}'
	est_start
	for v in 1.2 1.3; do
		cacerts --tls-max $v
		cacerts --tls-max $v --cert v-1.pem --key v-1.key
		cacerts --tls-max $v --cert boot-1.pem --key boot-1.key
		cacerts --tls-max $v --cert stale.pem --key stale.key
		no cacerts --tls-max $v --cert self.pem --key self.key
	done
	est_csr dev-1
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert v-1.pem --key v-1.key)" = 401 ] # the manager does not know it
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert stale.pem --key stale.key)" = 401 ]
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_stop
	# required: without one the handshake ends, in TLS 1.2 and 1.3
	conf 'http: {client_auth: {required: true}}'
	est_start
	no cacerts
	no cacerts --tls-max 1.2
	no cacerts --cert v-1.pem --key v-1.key
	no cacerts --tls-max 1.2 --cert self.pem --key self.key
	cacerts --cert boot-1.pem --key boot-1.key
	cacerts --tls-max 1.2 --cert boot-1.pem --key boot-1.key
	est_csr dev-2
	[ "$(est_post factory/simpleenroll dev-2.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_pem >dev-2.pem
	[ "$(est_post factory/simplereenroll dev-2.b64 --cert dev-2.pem --key dev-2.key)" = 200 ] # its issuer is one of the manager's
	est_stop
	L --repo pki dms create secrets --enrollment-ca devices --auth psk --profile iot-device
	L --repo pki dms set secrets settings.enrollment_settings.est_rfc7030_settings.authentication.psk.store=tls
	fails 2 'dms secrets: TLS with secrets has no certificates' lamassu --repo pki est-serve --dms secrets --listen 127.0.0.1:0 --timeout 1s
	L --repo pki dms delete secrets --yes
	# nobody is asked: a manager that wants certificates cannot be served, one that does not can
	conf 'http: {client_auth: {enabled: false}}'
	fails 2 'dms factory: enrolment by client_certificate, and http.client_auth.enabled' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 1s
	L --repo pki dms create open --enrollment-ca devices --auth no_auth --profile iot-device
	est_start --dms open --allow-no-auth
	grep -q 'dms open: devices cannot renew' err
	s_client -tls1_2 -msg >msg
	no grep -q CertificateRequest msg
	grep -q ServerHelloDone msg
	est_stop
	conf 'http: {client_auth: {enabled: false, required: true}}'
	fails 2 'client_auth.required: needs enabled' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 1s
}

@test "S1: client_auth of a validation authority is its ca_file; it is never dropped silently" {
	vendor
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout va.key -out va.pem -subj /CN=va -addext 'subjectAltName=DNS:localhost' -days 9 2>/dev/null
	serve() { "$LAMASSU" --repo pki va-serve --listen 127.0.0.1:0 --timeout 60s "$@"; }
	conf 'http: {client_auth: {required: true}}'
	fails 2 'client_auth.required: needs TLS' serve
	fails 2 'needs ca_file' serve --tls-cert va.pem --tls-key va.key
	conf 'http: {client_auth: {required: true, ca_file: vendor.pem}}'
	rm -f ready
	"$LAMASSU" --repo pki va-serve --listen 127.0.0.1:0 --timeout 60s --tls-cert va.pem --tls-key va.key --ready-file ready >sum 2>err 3>&- &
	EST_PID=$!
	for ((i = 0; i < 600; i++)); do [ -s ready ] && break; sleep 0.05; done
	ski=$(openssl x509 -in root.pem -noout -ext subjectKeyIdentifier | tail -1 | tr -d ' :\n' | tr A-F a-f)
	get() { curl -sSf --cacert va.pem -o answer "https://localhost:$(sed 's/.*://' ready)/ca/$ski.cer" "$@" 2>curl.err; }
	no get
	no get --cert boot-1.pem --key boot-1.key
	no get --cert v-2.pem --key v-2.key # here nobody else looks at the dates
	get --cert v-1.pem --key v-1.key
}

@test "E2: est.default_dms serves addresses without a name; it must be there and be served" {
	est_dms other
	est_start
	[ "$(est_get -o answer -w '%{http_code}' "$EST_URL/cacerts")" = 404 ] # which of two is not said
	est_stop
	conf 'est: {default_dms: other}'
	est_start
	est_csr dev-1
	[ "$(est_post simpleenroll dev-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_pem >dev.pem
	ok lamassu --repo pki device show dev-1 -o json
	[ "$(jq -r .dms <<<"$output")" = other ]
	# a change counts for the next request
	conf 'est: {default_dms: factory}'
	est_csr dev-2
	for ((i = 0; i < 600; i++)); do
		[ "$(est_post simpleenroll dev-2.b64 --cert boot-1.pem --key boot-1.key)" = 200 ] || true
		[ "$(lamassu --repo pki device show dev-2 -o json | jq -r .dms)" = factory ] && break
		sleep 0.1; est_csr dev-2
	done
	[ "$(lamassu --repo pki device show dev-2 -o json | jq -r .dms)" = factory ]
	est_stop
	fails 4 'dms factory is named by lamassu.yaml (default_dms)' lamassu --repo pki dms delete factory --yes
	fails 2 'est.default_dms: factory is not served: add --dms factory' lamassu --repo pki est-serve --dms other --listen 127.0.0.1:0 --timeout 1s
	conf 'est: {default_dms: factroy}'
	fails 3 'est.default_dms: dms "factroy" not found; did you mean "factory"?' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 1s
	fails 5 '' lamassu --repo pki repo verify
	[[ $output$stderr == *'est.default_dms: dms "factroy" is not there'* ]]
}

@test "S5: each switch of logs silences its class in the local logs, and never in the ledger" {
	est_dms closed && L --repo pki dms set closed settings.enrollment_settings.registration_mode=PRE_REGISTRATION
	shift_of() { # two enrolments, a 401, a 403, and a request that is malformed; lines in log and security.log
		rm -f log pki/.git/lamassu/security.log
		conf "$1"
		est_start --access-log log
		cacerts
		est_csr "dev-$2"
		[ "$(est_post factory/simpleenroll "dev-$2.b64" --cert boot-1.pem --key boot-1.key)" = 200 ]
		[ "$(est_post factory/simpleenroll "dev-$2.b64")" = 401 ]
		[ "$(est_post closed/simpleenroll "dev-$2.b64" --cert boot-1.pem --key boot-1.key)" = 403 ]
		[ "$(est_post factory/simpleenroll root.pem --cert boot-1.pem --key boot-1.key)" = 400 ]
		est_stop
		touch log pki/.git/lamassu/security.log
		logged=$(jq -rs 'map("\(.op) \(.status)") | join(", ")' log)
		events=$(jq -rs 'map("\(.data.status)") | join(", ")' pki/.git/lamassu/security.log)
	}
	# the first shift of an hour: what it counts is in the ledger when it ends
	shift_of 'logs: {level: none, security_events: {enabled: false}}' 1
	[ "$logged/$events" = / ]
	[ "$(git -C pki ls-tree -r --name-only ledger events | wc -l)" -ge 3 ]
	shift_of '' 2
	[ "$logged" = 'cacerts 200, simpleenroll 200, simpleenroll 401, simpleenroll 403, simpleenroll 400' ] || { echo "$logged"; return 1; }
	[ "$events" = '401, 403, 400' ]
	shift_of 'logs: {security_events: {log_authentication: false}}' 3
	[ "$logged/$events" = 'cacerts 200, simpleenroll 200, simpleenroll 403, simpleenroll 400/403, 400' ] || { echo "$logged/$events"; return 1; }
	shift_of 'logs: {security_events: {log_authorization: false, log_ca_operations: false}}' 4
	[ "$logged/$events" = 'cacerts 200, simpleenroll 200, simpleenroll 401, simpleenroll 400/401, 400' ] || { echo "$logged/$events"; return 1; }
	shift_of 'logs: {security_events: {log_certificate_issuance: false}}' 5
	[ "$logged/$events" = 'cacerts 200, simpleenroll 401, simpleenroll 403/401, 403' ] || { echo "$logged/$events"; return 1; }
	shift_of 'logs: {security_events: {enabled: false}}' 6
	[ "$logged/$events" = 'cacerts 200/' ] || { echo "$logged/$events"; return 1; }
	shift_of 'logs: {level: warn}' 7
	[ "$logged/$events" = 'simpleenroll 401, simpleenroll 403, simpleenroll 400/401, 403, 400' ] || { echo "$logged/$events"; return 1; }
}
