#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Listeners whose authority's key is in a service that dies and comes back: OpenBao's Transit.
load helpers
load est_helpers
load ../servers/openbao

teardown() {
	est_stop
	[ -z "${VA_PID:-}" ] || { kill -TERM "$VA_PID"; wait "$VA_PID" || true; } 2>/dev/null
	[ -z "${BAO_PID:-}" ] || openbao_stop
}

# va_start: $VA is its address
va_start() {
	local i
	"$LAMASSU" --repo pki va-serve --listen 127.0.0.1:0 --ready-file va-ready --timeout 60s --ca far >va-sum 2>va-err 3>&- &
	VA_PID=$!
	for ((i = 0; i < 600; i++)); do [ ! -s va-ready ] || break; kill -0 "$VA_PID" || break; sleep 0.05; done
	[ -s va-ready ] || { cat va-err; return 1; }
	VA=http://$(cat va-ready)
}
enrol() { est_post far/simpleenroll "$1.b64" --cert boot-1.pem --key boot-1.key; }
crl() { curl -sS -o crl.der -D crl.head -w '%{http_code}' "$VA/crl/$ski.crl"; }
# until_ok COMMAND…: it says 503 until the service is back, and nothing else but 200
until_ok() {
	local i said
	for ((i = 0; i < 300 * LAMASSU_SLOW; i++)); do
		said=$("$@")
		[ "$said" = 503 ] || break
		sleep 0.1
	done
	[ "$said" = 200 ]
}

@test "E12 C13 K12: a service of keys that is killed: 503 with Retry-After; enrolments and CRLs go on when it is back, in the same processes" {
	est_pki
	openbao_start_file "$BATS_TEST_TMPDIR/bao"
	bao secrets enable transit >/dev/null
	L --repo pki kms engine add far --type HASHICORP_VAULT_TRANSIT --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" --set token="\${BAO_TOKEN}"
	L --repo pki ca create far --parent root --engine far --subject CN=Far --key-type ecdsa:256 --validity 1y --issuance-profile iot-device
	L --repo pki dms create far --enrollment-ca far --auth client_certificate --validation-ca boot --registration jitp --profile iot-device
	"$LAMASSU" --repo pki ca export far --out far.pem >/dev/null
	ski=$("$LAMASSU" --repo pki ca show far -o json | jq -r .subject_key_id)
	for n in 1 2 3; do est_csr "d-$n"; done
	est_start --dms far --tls-ca devices --workers 1
	va_start
	[ "$(enrol d-1)" = 200 ]
	est_pem >d-1.pem
	workers=$(pgrep -P "$EST_PID,$VA_PID" | sort)
	kill -9 "$BAO_PID"; wait "$BAO_PID" || true
	before=$(cd pki && issued)
	for n in 2 3 2; do
		[ "$(enrol "d-$n")" = 503 ]
		est_line 503 && grep -qi '^retry-after: [1-9]' head
	done
	[ "$(crl)" = 503 ]
	grep -qi '^retry-after: [1-9]' crl.head
	[ "$(cd pki && issued)" = "$before" ]
	openbao_start_file "$BATS_TEST_TMPDIR/bao"
	for n in 2 3; do
		until_ok enrol "d-$n"
		est_pem >"d-$n.pem"
	done
	openssl verify -x509_strict -trusted root.pem -untrusted far.pem d-1.pem d-2.pem d-3.pem
	[ "$(cd pki && issued)" = "$((before + 2))" ]
	L --repo pki cert revoke "$(serial_of d-2.pem)" --reason superseded --yes
	until_ok crl
	openssl crl -inform DER -in crl.der -CAfile far.pem -noout
	openssl crl -inform DER -in crl.der -out crl.pem
	openssl verify -crl_check -partial_chain -trusted far.pem -CRLfile crl.pem d-3.pem
	no openssl verify -crl_check -partial_chain -trusted far.pem -CRLfile crl.pem d-2.pem
	[ "$workers" = "$(pgrep -P "$EST_PID,$VA_PID" | sort)" ]
}
