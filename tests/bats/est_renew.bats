#!/usr/bin/env bats
# Renewals: what becomes of the certificate that is replaced, whose names count, and what it takes once a certificate has ended.
load helpers
load est_helpers

setup() { est_pki && est_dms factory; }
teardown() { est_stop; hook_stop; }

RENEW=settings.reenrollment_settings
# enrol NAME: NAME.pem, NAME.key; renew NEW OLD [CSR-OPTIONS]: the same device with a new key
enrol() { est_csr "$1" && [ "$(est_post factory/simpleenroll "$1.b64" --cert boot-1.pem --key boot-1.key)" = 200 ] && est_pem >"$1.pem"; }
renew() { est_csr "$1" -subj "/CN=$2" && [ "$(est_post factory/simplereenroll "$1.b64" --cert "$3.pem" --key "$3.key")" = 200 ] && est_pem >"$1.pem"; }
status() { lamassu --repo pki cert show "$(serial_of "$1.pem")" -o json | jq -r '.status + " " + (.revocation_reason // "")'; }

@test "E11: revoke_after first_use: the old certificate ends when the device shows the new one, and not before" {
	est_start
	enrol dev-1
	sleep 1; renew new dev-1 dev-1
	[ "$(status dev-1)" = 'ACTIVE ' ]
	# neither strangers, nor the old one, nor nobody at all bring it about
	est_get -o /dev/null "$EST_URL/factory/cacerts"
	est_get -o /dev/null --cert boot-1.pem --key boot-1.key "$EST_URL/factory/cacerts"
	est_get -o /dev/null --cert dev-1.pem --key dev-1.key "$EST_URL/factory/cacerts"
	est_get -o /dev/null -H "ssl-client-cert: $(jq -sRr @uri new.pem)" "$EST_URL/factory/cacerts"
	[ "$(status dev-1)" = 'ACTIVE ' ]
	est_get -o cas --cert new.pem --key new.key "$EST_URL/factory/cacerts"
	openssl base64 -d -in cas | openssl pkcs7 -inform DER -print_certs | grep -q '^subject'
	[ "$(status dev-1)" = 'REVOKED superseded' ]
	[ "$(status new)" = 'ACTIVE ' ]
	[ "$(est_post factory/simplereenroll new.b64 --cert dev-1.pem --key dev-1.key)" = 401 ]
	commits=$(git -C pki rev-list --count ledger)
	est_get -o /dev/null --cert new.pem --key new.key "$EST_URL/factory/csrattrs"
	[ "$(git -C pki rev-list --count ledger)" = "$commits" ]
	# the next renewal is a use too; where only that comes, what was before the shown one ends with it
	sleep 1; renew third dev-1 new
	[ "$(status new)" = 'ACTIVE ' ]
	sleep 1; renew fourth dev-1 third
	[ "$(status new) $(status third) $(status fourth)" = 'REVOKED superseded ACTIVE  ACTIVE ' ]
	L --repo pki dms set factory $RENEW.revoke_on_reenrollment=false
	est_get -o /dev/null --cert fourth.pem --key fourth.key "$EST_URL/factory/cacerts"
	[ "$(status third)" = 'ACTIVE ' ]
	lamassu --repo pki repo verify
}

@test "E11: revoke_after issue: the old certificate ends with the renewal" {
	L --repo pki dms set factory $RENEW.revoke_after=issue
	est_start
	enrol dev-1
	renew new dev-1 dev-1
	[ "$(status dev-1) $(status new)" = 'REVOKED superseded ACTIVE ' ]
}

@test "E11 E15: whoever authenticates a renewal, its names are those of the device's certificate" {
	hook_start
	L --repo pki profile set iot-device honor_extensions=true
	L --repo pki dms set factory "$RENEW.authentication={type: external_webhook, external_webhook: {url: \"$HOOK_URL/yes\", config: {ca_file: $PWD/hook/cert.pem}}}"
	est_start
	est_csr dev-1 -addext 'subjectAltName=DNS:dev-1.example'
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_csr other -subj '/CN=dev-1/OU=Other' -addext 'subjectAltName=DNS:dev-1.example'
	[ "$(est_post factory/simplereenroll other.b64)" = 403 ]
	est_csr other -subj '/CN=dev-1' -addext 'subjectAltName=DNS:bank.example'
	[ "$(est_post factory/simplereenroll other.b64)" = 403 ]
	grep -q 'RFC 7030 4.2.2' answer
	est_csr other -subj '/CN=dev-1'
	[ "$(est_post factory/simplereenroll other.b64)" = 200 ]; est_pem >new.pem
	openssl x509 -in new.pem -noout -ext subjectAltName | grep -q 'DNS:dev-1.example'
}

@test "E7: an expired bootstrap certificate enrols where the manager allows it, and only then" {
	later=$(date -u -d '+40 days' +%FT%TZ)
	L --repo pki device bootstrap --dms factory --count 1 --validity 30d --out line
	L --repo pki dms set factory settings.enrollment_settings.est_rfc7030_settings.authentication.client_certificate.allow_expired=true
	est_start --at "$later"
	est_csr dev-1
	fails 5 'would refuse it' lamassu --repo pki --at "$later" dms check factory --csr dev-1.csr --cert root.pem
	ok lamassu --repo pki --at "$later" dms check factory --csr dev-1.csr --cert line/*.pem
	[ "$(est_post factory/simpleenroll dev-1.b64 -k --cert line/*.pem --key line/*.key)" = 200 ]
	L --repo pki dms set factory settings.enrollment_settings.est_rfc7030_settings.authentication.client_certificate.allow_expired=false
	est_csr dev-2
	[ "$(est_post factory/simpleenroll dev-2.b64 -k --cert line/*.pem --key line/*.key)" = 401 ]
}

@test "E11: what has expired is renewed with a bootstrap certificate or by the webhook's word, where the manager allows it" {
	later=$(date -u -d '+3 days' +%FT%TZ)
	verdict() { lamassu --repo pki --at "$later" dms check factory --renew "$@" -o json 2>/dev/null | jq -r '[.decision, .status, .reason // ""] | join(" ")' || true; }
	L --repo pki profile set iot-device validity.duration=48h
	L --repo pki device bootstrap --dms factory --count 1 --validity 60d --out line
	est_start
	enrol dev-1
	est_stop
	est_csr new -subj /CN=dev-1
	L --repo pki dms set factory $RENEW.revoke_after=issue
	for step in no yes hook; do
		[ $step = no ] || L --repo pki dms set factory $RENEW.enable_expired_renewal=true
		[ $step != hook ] || { hook_start; L --repo pki dms set factory "$RENEW.authentication={type: client_certificate_and_external_webhook, external_webhook: {url: \"$HOOK_URL/yes\", config: {ca_file: $PWD/hook/cert.pem}}}"; }
		est_start --at "$later"
		# the expired one alone never does
		[ $step = hook ] || [ "$(est_post factory/simplereenroll new.b64 -k --cert dev-1.pem --key dev-1.key)" = 401 ]
		[ $step = hook ] || [ "$(verdict --csr new.csr --cert dev-1.pem)" = 'refused 401 expired_certificate' ]
		if [ $step = no ]; then
			[ "$(est_post factory/simplereenroll new.b64 -k --cert line/*.pem --key line/*.key)" = 401 ]
		elif [ $step = yes ]; then
			est_csr other -subj '/CN=dev-1/OU=Other'
			[ "$(est_post factory/simplereenroll other.b64 -k --cert line/*.pem --key line/*.key)" = 403 ]
			[ "$(verdict --csr new.csr --cert line/*.pem)" = 'accepted 200 ' ]
			[ "$(est_post factory/simplereenroll new.b64 -k --cert line/*.pem --key line/*.key)" = 200 ]; est_pem >new.pem
			# sent again: the same; with another request: it is spent
			[ "$(est_post factory/simplereenroll new.b64 -k --cert line/*.pem --key line/*.key)" = 200 ]; est_pem | cmp - new.pem
			est_csr again -subj /CN=dev-1
			[ "$(est_post factory/simplereenroll again.b64 -k --cert line/*.pem --key line/*.key)" = 401 ]
			# one that still holds renews by itself, and a bootstrap certificate does not renew it
			[ "$(est_post factory/simplereenroll again.b64 -k --cert boot-1.pem --key boot-1.key)" = 403 ]
			later=$(date -u -d '+6 days' +%FT%TZ)
		else
			est_csr late -subj /CN=dev-1
			[ "$(est_post factory/simplereenroll late.b64 -k --cert new.pem --key new.key)" = 200 ]
		fi
		est_stop
	done
}
