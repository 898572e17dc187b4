#!/usr/bin/env bats
# Device managers. Documents are judged by what git holds and by python's YAML and JSON readers; cacerts and csrattrs by openssl.
load helpers

# Root, devices and a bootstrap authority.
dms_pki() {
	new_cas && ok lamassu ca create boot --subject 'CN=Boot,O=Acme' --key-type ecdsa:256 --validity 1y --issuance-profile bootstrap
}

factory() { ok lamassu dms create factory --enrollment-ca devices --auth client_certificate --validation-ca boot "$@"; }

# of RECORD PATH: what the committed YAML says at a path of the settings, by python.
of() {
	git show "HEAD:dms/$1.yaml" | python3 -c '
import sys, yaml
d = yaml.safe_load(sys.stdin)["settings"]
for k in sys.argv[1].split("."): d = d[k]
print(d)' "$2"
}

# What an operator gets from the platform that lamassu follows.
original() {
	cat <<-'J'
		{"id": "orig", "name": "Original", "creation_ts": "2026-01-01T00:00:00Z", "metadata": {"a": 1}, "settings": {
		 "server_keygen_settings": {"enabled": true, "key": {"type": "RSA", "bits": 2048}},
		 "enrollment_settings": {"protocol": "EST_RFC7030",
		  "est_rfc7030_settings": {"auth_mode": "CLIENT_CERTIFICATE_AND_EXTERNAL_WEBHOOK",
		   "client_certificate_settings": {"validation_cas": ["boot"], "chain_level_validation": -1, "allow_expired": true},
		   "external_webhook_settings": {"name": "h", "url": "https://hook.example/x", "method": "POST", "config":
		    {"validate_server_cert": true, "log_level": "info", "auth_mode": "jwt", "call_timeout": "2s",
		     "oidc": {"client_id": "a", "client_secret": "${SECRET}", "well_known": "https://idp.example/x"},
		     "apikey": {"key": null, "header": ""}, "mtls": {"cert": "", "key": null}}}},
		  "device_provisioning_profile": {"icon": "BiSolidCreditCardFront", "icon_color": "#25ee32-#222222", "metadata": {}, "tags": ["iot"]},
		  "enrollment_ca": "devices", "enable_replaceable_enrollment": true, "registration_mode": "PRE_REGISTRATION", "verify_csr_signature": true},
		 "reenrollment_settings": {"est_rfc7030_settings": {"auth_mode": "CLIENT_CERTIFICATE"}, "additional_validation_cas": ["boot"],
		  "revoke_on_reenrollment": false, "reenrollment_delta": "1h", "enable_expired_renewal": true, "preventive_delta": "3m", "critical_delta": "2m"},
		 "ca_distribution_settings": {"include_system_ca": true, "include_enrollment_ca": true, "managed_cas": ["root"]},
		 "issuance_profile_id": "", "issuance_profile": null}}
	J
}

emitted() {
	cat <<-'J'
		{ "id": "production-dms", "name": "Production", "metadata": {},
		  "settings": {
		    "enrollment_settings": {
		      "protocol": "EST", "enrollment_ca": "devices", "registration_mode": "JITP", "verify_csr_signature": true, "enable_replaceable_enrollment": false,
		      "est_rfc7030_settings": { "authentication": { "type": "client_certificate",
		        "client_certificate": {"validation_cas": ["boot"], "require_valid_chain": true, "chain_level_validation": -1, "check_revocation": true, "allow_expired": false},
		        "external_webhook": {"name": "", "url": "", "method": "POST", "config": {"validate_server_cert": true, "auth_mode": "noauth", "call_timeout": "10s"}},
		        "jwt": {"issuer": "", "audience": "", "public_key_url": "", "required_claims": ["sub", "exp"], "validate_signature": true}, "psk": {"store": "scrypt"} } },
		      "device_provisioning_profile": {"icon": "", "icon_color": "", "metadata": {}, "tags": []} },
		    "reenrollment_settings": {"authentication": {}, "additional_validation_cas": [], "reenrollment_delta": "100d", "preventive_delta": "90d", "critical_delta": "30d",
		                              "enable_expired_renewal": false, "revoke_on_reenrollment": true, "revoke_after": "first_use"},
		    "ca_distribution_settings": {"include_lamassu_system_ca": false, "include_enrollment_ca": true, "managed_cas": []},
		    "server_keygen_settings": {"enabled": false, "key": {"type": "ECDSA", "bits": 256}, "escrow": null},
		    "issuance_profile_id": "iot-device" } }
	J
}

@test "E1: a device manager is made by flags, listed, shown, set, updated, edited and deleted, each a commit" {
	dms_pki
	factory --registration pre_registration --profile iot-device --name Factory
	[ "$(of factory enrollment_settings.registration_mode)" = PRE_REGISTRATION ]
	[ "$(of factory issuance_profile_id)" = iot-device ]
	ok lamassu dms list -o id
	[ "$output" = factory ]
	ok lamassu dms set factory settings.reenrollment_settings.reenrollment_delta=60d
	[ "$(of factory reenrollment_settings.reenrollment_delta)" = 60d ]
	git show HEAD:dms/factory.yaml | sed 's/60d/50d/' >../f.yaml
	ok lamassu dms update -f ../f.yaml
	[ "$(of factory reenrollment_settings.reenrollment_delta)" = 50d ]
	EDITOR='sed -i s/50d/40d/' ok lamassu dms edit factory
	[ "$(of factory reenrollment_settings.reenrollment_delta)" = 40d ]
	fails 4 'exists already' lamassu dms create factory --enrollment-ca devices --auth psk
	fails 3 'factry' lamassu dms show factry
	ok lamassu dms delete factory --yes
	no git cat-file -e HEAD:dms/factory.yaml
	[ "$(git log --format=%s | grep -c '^dms: ')" -eq 5 ]
	sound
}

@test "E1: both forms of the document are taken and one is emitted; null is the same as nothing" {
	dms_pki
	emitted >../emitted.json
	ok lamassu dms create -f - -o json <../emitted.json
	python3 - "$output" <<-'P'
		import json, sys
		d = json.loads(sys.argv[1]); s = d["settings"]
		assert s["enrollment_settings"]["est_rfc7030_settings"]["authentication"]["client_certificate"]["validation_cas"] == ["boot"]
		assert s["reenrollment_settings"]["reenrollment_delta"] == "100d" and "escrow" not in s["server_keygen_settings"]
	P
	ok lamassu dms show production-dms -o json
	printf '%s' "$output" >../again.json
	git rev-parse HEAD:dms/production-dms.yaml >../before
	ok lamassu dms update -f ../again.json
	[ "$(git rev-parse HEAD:dms/production-dms.yaml)" = "$(cat ../before)" ]
	original >../original.json
	ok lamassu dms create -f - <../original.json
	[ "$(of orig enrollment_settings.protocol)" = EST ]
	[ "$(of orig enrollment_settings.est_rfc7030_settings.authentication.type)" = client_certificate_and_external_webhook ]
	[ "$(of orig enrollment_settings.est_rfc7030_settings.authentication.client_certificate.allow_expired)" = True ]
	[ "$(of orig enrollment_settings.est_rfc7030_settings.authentication.external_webhook.config.auth_mode)" = oidc ]
	[ "$(of orig enrollment_settings.est_rfc7030_settings.authentication.external_webhook.config.oidc.client_secret)" = '${SECRET}' ]
	[ "$(of orig reenrollment_settings.authentication.type)" = client_certificate ]
	[ "$(of orig ca_distribution_settings.include_lamassu_system_ca)" = True ]
	[ "$(of orig server_keygen_settings.key.bits)" = 2048 ]
	no grep -qE 'auth_mode: CLIENT|include_system_ca|issuance_profile:' dms/orig.yaml
	ok lamassu dms show orig -o json
	[[ $output != *'${SECRET}'* ]]
}

@test "E1: a profile written into the document becomes a profile of its own, in the same commit" {
	dms_pki
	original | sed 's/"issuance_profile": null/"issuance_profile": {"validity": {"type": "Duration", "duration": "48h"}, "honor_subject": true}/' >../d.json
	ok lamassu dms create -f ../d.json
	[ "$(of orig issuance_profile_id)" = orig ]
	[ "$(git show --stat --format= HEAD | grep -c yaml)" -eq 2 ]
	ok lamassu profile show orig -o json
	[[ $output == *'"duration": "48h"'* ]]
	fails 4 'is used by dms orig' lamassu profile delete orig --yes
}

@test "E1 E3: what a device manager names must exist and be able to do its part; nothing is left open" {
	dms_pki
	bad() { # bad MESSAGE SED-SCRIPT
		emitted | sed "$2" >../bad.json
		fails 2 "$1" lamassu dms create -f ../bad.json && one_line
	}
	bad 'enrollment_ca: ' 's/"enrollment_ca": "devices"/"enrollment_ca": "nowhere"/'
	bad 'validation_cas: ' 's/\["boot"\]/["bot"]/'
	bad 'at least one authority' 's/\["boot"\]/[]/'
	bad 'issuance_profile_id: ' 's/"iot-device"/"nope"/'
	bad 'makes authorities' 's/"iot-device"/"subordinate-ca"/'
	bad 'escrow: ' 's/"escrow": null/"escrow": "nothing"/'
	bad 'managed_cas: ' 's/"managed_cas": \[\]/"managed_cas": ["nothing"]/'
	bad 'nothing would be distributed' 's/"include_enrollment_ca": true/"include_enrollment_ca": false/'
	bad 'is an operation of EST' 's/production-dms/simpleenroll/'
	bad 'type: is required' 's/"type": "client_certificate"/"type": ""/'
	bad 'not one of' 's/"JITP"/"LATER"/'
	bad 'protocol: must be EST' 's/"EST"/"CMP"/'
	bad 'must not be longer' 's/"critical_delta": "30d"/"critical_delta": "91d"/'
	bad 'revoke_after: ' 's/"first_use"/"sometime"/'
	bad 'key.bits: ' 's/"bits": 256/"bits": 255/'
	bad 'url: is required' 's/"type": "client_certificate"/"type": "external_webhook"/'
	bad 'must begin with https' 's/"type": "client_certificate"/"type": "external_webhook"/; s#"url": ""#"url": "http://hook.example"#'
	bad 'issuer and audience' 's/"type": "client_certificate"/"type": "jwt"/'
	bad 'proves nothing' 's/"type": "client_certificate"/"type": "jwt"/; s/"issuer": "", "audience": "", "public_key_url": ""/"issuer": "i", "audience": "a", "public_key_url": "https:\/\/x"/; s/"validate_signature": true/"validate_signature": false/'
	bad 'unknown field' 's/"psk"/"pks"/'
	ok lamassu ca export root --out ../root.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../o.key -out ../o.pem -days 900 -subj /CN=Other 2>/dev/null
	ok lamassu ca import other --cert ../o.pem
	bad 'its key is not here' 's/"enrollment_ca": "devices"/"enrollment_ca": "other"/'
	[ -z "$(git ls-tree HEAD dms/)" ]
	emitted >../good.json
	ok lamassu dms create -f ../good.json
	fails 2 'nothing would be distributed' lamassu dms set production-dms settings.ca_distribution_settings.include_enrollment_ca=false
	fails 2 'makes authorities' lamassu dms set production-dms settings.issuance_profile_id=subordinate-ca
	ok lamassu dms set production-dms settings.enrollment_settings.verify_csr_signature=false
	[[ $stderr == *'--allow-unverified-csr'* ]]
	EDITOR='sed -i /verify_csr/s/false/true/' ok lamassu dms edit production-dms
	[ -z "$stderr" ]
	EDITOR='sed -i /verify_csr/s/true/false/' ok lamassu dms edit production-dms
	[[ $stderr == *'--allow-unverified-csr'* ]]
	ok lamassu dms create open --enrollment-ca devices --auth no_auth
	[[ $stderr == *'--allow-no-auth'* ]]
	fails 2 '--auth' lamassu dms create x --enrollment-ca devices
}

# subjects_of DMS: subject and issuer of each certificate that cacerts answers, as openssl reads them, sorted.
subjects_of() {
	lamassu dms cacerts "$1" | openssl base64 -d | openssl pkcs7 -inform der -print_certs -noout | grep . | paste - - |
		sed 's/subject=//; s/issuer=//; s/ = /=/g; s/\t/ < /' | sort
}

@test "E3: cacerts are the authorities named, whole chains, both generations of a root, and nothing compromised" {
	dms_pki
	factory
	[ "$(subjects_of factory)" = "$(printf '%s\n' 'CN=Devices, O=Acme < CN=Root, O=Acme, C=US' 'CN=Root, O=Acme, C=US < CN=Root, O=Acme, C=US')" ] ||
		{ subjects_of factory; false; }
	ok lamassu dms set factory settings.ca_distribution_settings.managed_cas='[boot]'
	[ "$(subjects_of factory | grep -c Boot)" -eq 1 ]
	ok lamassu dms set factory settings.ca_distribution_settings.full_chain=false
	[[ $stderr == *'does not distribute whole chains'* ]]
	[ "$(subjects_of factory | grep -c Root)" -eq 1 ]
	ok lamassu dms set factory settings.ca_distribution_settings.full_chain=true
	# a device that trusts only the old root finds a path to what the new one issues
	ok lamassu ca export root --out ../old.pem
	ok lamassu ca reissue root --new-key
	ok lamassu ca export root-g2 --out ../new.pem
	ok lamassu ca create next --parent root-g2 --subject CN=Next --key-type ecdsa:256 --validity 3y --issuance-profile iot-device
	ok lamassu ca export next --out ../next.pem
	ok lamassu dms cacerts factory --format pem --out ../bag.pem
	[ "$(grep -c BEGIN ../bag.pem)" -eq 6 ]
	python3 - ../bag.pem ../links.pem <<-'P'
		import sys
		from cryptography import x509
		from cryptography.hazmat.primitives.serialization import Encoding
		def own(c):
		    try: c.verify_directly_issued_by(c)
		    except Exception: return False
		    return True
		certs = x509.load_pem_x509_certificates(open(sys.argv[1], "rb").read())
		open(sys.argv[2], "wb").write(b"".join(c.public_bytes(Encoding.PEM) for c in certs if not own(c)))
	P
	ok lamassu ca export devices --out ../devices.pem
	openssl verify -CAfile ../old.pem -untrusted ../links.pem ../next.pem
	openssl verify -CAfile ../new.pem -untrusted ../links.pem ../devices.pem
	# the set is in the order of DER (X.690 11.6)
	lamassu dms cacerts factory --format der >../bag.der
	python3 - ../bag.der <<-'P'
		import sys
		from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
		got = [c.public_bytes(Encoding.DER) for c in pkcs7.load_der_pkcs7_certificates(open(sys.argv[1], "rb").read())]
		assert len(got) == 6 and got == sorted(got)
	P
	ok lamassu ca compromise boot --yes
	[ "$(subjects_of factory | grep -c Boot)" -eq 0 ]
	ok lamassu ca compromise devices --yes
	[ "$(subjects_of factory)" = '' ]
	fails 4 'compromised, revoked or expired' lamassu dms cacerts factory
}

@test "E6: csrattrs follow the profile: key usages, the one kind of key, a template; an empty list asks for nothing" {
	dms_pki
	cat >../ec.json <<-'J'
		{"id": "ec", "key_usage": {"digital_signature": true}, "honor_subject": true, "subject": {"organization": "Acme"},
		 "crypto_enforcement": {"enabled": true, "allow_ecdsa_keys": true, "allowed_ecdsa_key_sizes": [256]}}
	J
	ok lamassu profile create -f ../ec.json
	factory --profile ec
	# extensionRequest of the type Extensions, P-256 and ecdsa-with-SHA256: what every EST client that we know reads
	[ "$(lamassu dms csrattrs factory | tr -d '\n')" = 'MEIwHwYJKoZIhvcNAQkOMRIwEDAOBgNVHQ8BAf8EBAMCB4AwFQYHKoZIzj0CATEKBggqhkjOPQMBBwYIKoZIzj0EAwI=' ]
	text=$(lamassu dms csrattrs factory --pop | openssl base64 -d | openssl asn1parse -inform der -i)
	[[ $text == *challengePassword* && $text == *1.2.840.113549.1.9.16.2.58* ]]
	text=$(lamassu dms csrattrs factory --template --format der | openssl asn1parse -inform der -i)
	[[ $text == *1.2.840.113549.1.9.16.2.61* && $text == *1.2.840.113549.1.9.16.2.62* && $text == *prime256v1* && $text == *'UTF8STRING        :Acme'* ]]
	[[ $text != *'Extension Request'* ]]
	ok lamassu profile set ec crypto_enforcement.allow_rsa_keys=true
	no bash -c '"$LAMASSU" dms csrattrs factory | openssl base64 -d | openssl asn1parse -inform der | grep prime256v1'
	ok lamassu profile set ec crypto_enforcement.allow_ecdsa_keys=false crypto_enforcement.allowed_rsa_key_sizes='[4096, 3072]'
	text=$(lamassu dms csrattrs factory | openssl base64 -d | openssl asn1parse -inform der)
	[[ $text == *rsaEncryption* && $text == *'INTEGER           :0C00'* && $text == *sha256WithRSAEncryption* ]]
	ok lamassu profile set ec honor_key_usage=true crypto_enforcement.enabled=false
	[ "$(lamassu dms csrattrs factory)" = MAA= ]
}
