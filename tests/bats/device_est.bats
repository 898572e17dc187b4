#!/usr/bin/env bats
# Devices that enrol over EST by curl, and what the registry has of it.
load helpers
load est_helpers

setup() { est_pki && est_dms factory; }
teardown() { est_stop; }

@test "E10 E13 E14: a bootstrap certificate serves once, for the device and the manager that it was made for" {
	L --repo pki device bootstrap --dms factory --count 1 dev-b --out line
	est_dms other
	est_start
	est_csr dev-a
	[ "$(est_post other/simpleenroll dev-a.b64 --cert line/bootstrap-000001.pem --key line/bootstrap-000001.key)" = 403 ]
	[ "$(est_post factory/simpleenroll dev-a.b64 --cert line/bootstrap-000001.pem --key line/bootstrap-000001.key)" = 200 ]
	est_pem >dev-a.pem
	# the answer was lost: the same request gets the same certificate, another one nothing
	[ "$(est_post factory/simpleenroll dev-a.b64 --cert line/bootstrap-000001.pem --key line/bootstrap-000001.key)" = 200 ]
	est_pem | cmp - dev-a.pem
	est_csr dev-c
	[ "$(est_post factory/simpleenroll dev-c.b64 --cert line/bootstrap-000001.pem --key line/bootstrap-000001.key)" = 401 ]
	[ "$(est_post factory/simpleenroll dev-c.b64 --cert line/dev-b.pem --key line/dev-b.key)" = 403 ]
	est_csr dev-b
	[ "$(est_post factory/simpleenroll dev-b.b64 --cert line/dev-b.pem --key line/dev-b.key)" = 200 ]
	est_stop
	cd pki
	# one commit has the certificate, the device and the revocation of what it enrolled with
	git show --stat=200 --format= "$(git log --format=%h -1 --grep="est: enrol" ledger)" | grep -c 'issued/.*\|devices/.*dev-b\|revoked/.*' | grep -qx 3
	ok lamassu device show dev-a -o json
	[[ $output == *'"status": "ACTIVE"'* && $output == *"\"serial_number\": \"$(serial_of ../dev-a.pem)\""* && $output == *'"dms": "factory"'* ]]
	ok lamassu device events dev-a -o json
	[[ $output == *CREATED*PROVISIONED* ]]
	ok lamassu device stats -o json
	[[ $output == *'"bootstrap_issued": 2'* && $output == *'"bootstrap_used": 2'* ]]
	no lamassu device show dev-c
	# the incident plan finds the certificate that dev-a enrolled with
	ok lamassu device compromise dev-a --yes
	[[ $output == *'it enrolled with this certificate'* ]]
	sound
}

@test "E11 E13: what dms check says is what the listener does" {
	verdict() { lamassu --repo pki dms check factory "$@" -o json 2>/dev/null | jq -r '[.decision, .status, .reason // ""] | join(" ")' || true; }
	est_csr dev-a
	est_csr dev-b
	[ "$(verdict --csr dev-a.csr)" = 'open 200 ' ]
	[ "$(verdict --csr dev-a.csr --cert boot-1.pem)" = 'accepted 200 ' ]
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key -out self.pem -subj /CN=dev-a -days 9 2>/dev/null
	[ "$(verdict --csr dev-a.csr --cert self.pem)" = 'refused 401 untrusted_certificate' ]
	fails 5 'would refuse it' lamassu --repo pki dms check factory --csr dev-a.csr --cert self.pem
	openssl req -new -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj /CN=weak 2>/dev/null
	[ "$(verdict --csr weak.csr --cert boot-1.pem)" = 'refused 400 policy' ]
	est_start
	[ "$(est_post factory/simpleenroll dev-a.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_pem >dev-a.pem
	cp dev-a.key old.key
	est_csr dev-a
	[ "$(verdict --csr dev-a.csr --cert boot-1.pem)" = 'refused 403 device_exists' ]
	[ "$(est_post factory/simpleenroll dev-a.b64 --cert boot-1.pem --key boot-1.key)" = 403 ]
	[ "$(verdict --renew --csr dev-a.csr --cert dev-a.pem)" = 'accepted 200 ' ]
	est_csr other -subj '/CN=dev-a/OU=Other'
	[ "$(verdict --renew --csr other.csr --cert dev-a.pem)" = 'refused 403 identity_mismatch' ]
	[ "$(est_post factory/simplereenroll other.b64 --cert dev-a.pem --key old.key)" = 403 ]
	L --repo pki dms set factory settings.reenrollment_settings.reenrollment_delta=10d
	[ "$(verdict --renew --csr dev-a.csr --cert dev-a.pem)" = 'refused 403 too_early' ]
	[ "$(est_post factory/simplereenroll dev-a.b64 --cert dev-a.pem --key old.key)" = 403 ]
	L --repo pki dms set factory settings.enrollment_settings.registration_mode=PRE_REGISTRATION
	[ "$(verdict --csr dev-b.csr --cert boot-1.pem)" = 'refused 403 device_not_registered' ]
	L --repo pki device register dev-b --dms factory
	[ "$(verdict --csr dev-b.csr --cert boot-1.pem)" = 'accepted 200 ' ]
	L --repo pki device decommission dev-a --yes
	[ "$(verdict --renew --csr dev-a.csr --cert dev-a.pem)" = 'refused 401 revoked_certificate' ]
	[ "$(est_post factory/simplereenroll dev-a.b64 --cert dev-a.pem --key old.key)" = 401 ]
}

@test "E8 E9 E11: dms check says \"open\" where a hook, token or secret decides, and which; renewals go by their own rule" {
	est_csr dev-a
	local a=settings.enrollment_settings.est_rfc7030_settings.authentication
	said() { lamassu --repo pki dms check factory --csr dev-a.csr "$@" -o json 2>/dev/null | jq -r '.decision + ": " + .text'; }
	[[ $(said) == 'open: nothing speaks against it; the certificate that the device shows decides: give --cert' ]]
	L --repo pki dms set factory "$a={type: external_webhook, external_webhook: {url: \"https://hook.example/ok\"}}"
	[[ $(said) == 'open: nothing speaks against it; the hook decides, and is not asked here' ]]
	L --repo pki dms set factory "$a={type: client_certificate_and_external_webhook, client_certificate: {validation_cas: [boot]}, external_webhook: {url: \"https://hook.example/ok\"}}"
	[[ $(said --cert boot-1.pem) == 'open: nothing speaks against it; the hook decides'* ]]
	# without settings of its own a renewal goes by the certificate that is renewed
	L --repo pki ca sign devices --csr dev-a.csr --device dev-a --out dev-a.pem
	L --repo pki device register dev-a --dms factory
	[ "$(lamassu --repo pki dms check factory --renew --csr dev-a.csr --cert dev-a.pem -o json | jq -r .decision)" = accepted ]
}
