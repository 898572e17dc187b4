#!/usr/bin/env bats
# Issuance profiles. What a profile says is read back from the certificates by openssl, certtool and python's cryptography.
load helpers

# A repository with a root that issues at will, and a request for an EC key.
pki() {
	new_pki
	ok lamassu ca create root --subject "CN=Root,O=Acme,C=US" --key-type ecdsa:384 --validity 20y
	ok lamassu ca create ca --parent root --subject "CN=Issuing,O=Acme" --key-type ecdsa:256 --validity 19y
}

# csr NAME [OPENSSL-OPTIONS…]: NAME.key and NAME.csr (P-256) outside of the repository
csr() {
	local name=$1
	shift
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../$name.key" -out "../$name.csr" -subj "/CN=$name" "$@" 2>/dev/null
}

rsa_csr() { # rsa_csr NAME BITS
	openssl req -new -newkey "rsa:$2" -nodes -keyout "../$1.key" -out "../$1.csr" -subj "/CN=$1" 2>/dev/null
}

profile() { # profile FILE-TEXT: made or replaced
	printf '%s\n' "$1" >../p.yaml
	lamassu profile create -f ../p.yaml >/dev/null 2>&1 || ok lamassu profile update -f ../p.yaml
}

sign() { # sign CSR PROFILE [OPTIONS…] -> ../NAME.pem, $text
	local name=$1 id=$2
	shift 2
	ok lamassu ca sign ca --csr "../$name.csr" --profile "$id" --out "../$name.pem" "$@" || return 1
	text=$(openssl x509 -in "../$name.pem" -noout -text -nameopt RFC2253,sep_comma_plus_space)
}

@test "P1: a profile is made from JSON, YAML and standard input, printed as it is stored, and never twice" {
	new_pki
	cat >../p.json <<-'J'
		{ "id": "iot-device-profile", "name": "IoT Device Certificate Profile", "description": "…",
		  "validity": {"type": "Duration", "duration": "8760h"}, "sign_as_ca": false, "honor_key_usage": false,
		  "key_usage": {"digital_signature": true, "key_encipherment": true, "content_commitment": false, "data_encipherment": false,
		                "key_agreement": false, "cert_sign": false, "crl_sign": false},
		  "honor_extended_key_usages": false, "extended_key_usages": ["clientAuth", "serverAuth"],
		  "honor_subject": true, "subject": {"organization": "Acme Corp", "country": "US"}, "honor_extensions": false,
		  "crypto_enforcement": {"enabled": true, "allow_rsa_keys": true, "allowed_rsa_key_sizes": [2048, 4096],
		                         "allow_ecdsa_keys": true, "allowed_ecdsa_key_sizes": [256, 384]} }
	J
	ok lamassu profile create -f ../p.json -o json
	[ "$(jq -c '[.id,.validity.duration,.key_usage,.crypto_enforcement.allowed_ecdsa_key_sizes]' <<<"$output")" = \
		'["iot-device-profile","8760h",{"digital_signature":true,"key_encipherment":true},[256,384]]' ]
	[ "$(lamassu profile show iot-device-profile -o json)" = "$output" ]
	git show HEAD:profiles/iot-device-profile.yaml | python3 -c 'import sys; t = sys.stdin.read(); assert "duration: 8760h" in t'
	[ "$(git log -1 --format=%s)" = 'profile: create iot-device-profile' ]
	fails 4 'exists already' lamassu profile create -f ../p.json
	ok lamassu profile create -f - <<<'id: by-stdin'
	[ "$(lamassu profile show by-stdin -o json | jq -r .validity.duration)" = 8760h ]
	ok lamassu profile create other -f ../p.json -o id
	[ "$output" = other ]
	printf 'id: x\nvalidty: {}\n' >../bad.yaml
	fails 2 'bad.yaml:2:1: validty: unknown field; did you mean "validity"' lamassu profile create -f ../bad.yaml
	printf 'id: x\nca_id: nobody\n' >../bad.yaml
	fails 2 'ca "nobody" not found' lamassu profile create -f ../bad.yaml
	printf 'id: ../x\n' >../bad.yaml
	fails 2 'id' lamassu profile create -f ../bad.yaml
	fails 2 'one of them' lamassu profile create
	[ -z "$(git status --porcelain)" ]
}

@test "P2: durations in all units are kept as written and counted right; months are refused" {
	pki
	csr d
	for d in 8760h 1y2w3d4h5m6s 1.5h 90d 7200s 5400000ms; do
		profile "{id: dur, validity: {type: Duration, duration: $d}, key_usage: {digital_signature: true}, honor_subject: true}"
		[ "$(lamassu profile show dur -o json | jq -r .validity.duration)" = "$d" ]
		sign d dur
		secs=$(python3 - "$d" <<-'P'
			import re, sys
			unit = dict(ns=1e-9, us=1e-6, ms=1e-3, s=1, m=60, h=3600, d=86400, w=604800, y=31536000)
			print(int(sum(float(n) * unit[u] for n, u in re.findall(r'([0-9.]+)(ns|us|ms|[smhdwy])', sys.argv[1]))))
		P
		)
		python3 - "../d.pem" "$secs" <<-'P'
			import sys
			from cryptography import x509
			c = x509.load_pem_x509_certificate(open(sys.argv[1], 'rb').read())
			got = (c.not_valid_after - c.not_valid_before).total_seconds()
			assert got == int(sys.argv[2]) + 60, (got, sys.argv[2])
		P
	done
	printf 'id: m\nvalidity: {duration: 3M}\n' >../bad.yaml
	fails 2 'month' lamassu profile create -f ../bad.yaml
	printf 'id: m\nvalidity: {duration: -1h}\n' >../bad.yaml
	fails 2 'duration' lamassu profile create -f ../bad.yaml
	printf 'id: m\nvalidity: {duration: 9000y}\n' >../p.yaml
	ok lamassu profile create -f ../p.yaml
	fails 2 '9999' lamassu ca sign ca --csr ../d.csr --profile m
}

@test "P3: a fixed end, and no well-defined end" {
	pki
	csr d
	profile '{id: t, validity: {type: time, time: "2033-03-04T05:06:07+02:00"}, key_usage: {digital_signature: true}, honor_subject: true}'
	sign d t
	[ "$(openssl x509 -in ../d.pem -noout -enddate)" = 'notAfter=Mar  4 03:06:07 2033 GMT' ]
	profile '{id: t, validity: {type: Time, time: "2049-12-31T23:59:59Z"}, key_usage: {digital_signature: true}, honor_subject: true}'
	sign d t --allow-outlive
	openssl asn1parse -in ../d.pem | grep -q 'UTCTIME.*:491231235959Z'
	profile '{id: i, validity: {type: Indefinite}, key_usage: {digital_signature: true}, honor_subject: true}'
	sign d i --allow-outlive
	openssl asn1parse -in ../d.pem | grep -q 'GENERALIZEDTIME.*:99991231235959Z'
}

@test "P4: an authority by sign_as_ca only, whatever the request asks" {
	pki
	csr sub -addext basicConstraints=critical,CA:TRUE,pathlen:7 -addext keyUsage=keyCertSign
	profile '{id: leaf, key_usage: {digital_signature: true}, honor_subject: true, honor_extensions: true, allowed_extensions: ["1.2.3.4"]}'
	sign sub leaf
	[[ $text != *CA:TRUE* && $text != *"Certificate Sign"* ]]
	profile '{id: sub, sign_as_ca: true, path_length: 0, key_usage: {cert_sign: true, crl_sign: true}, honor_subject: true}'
	sign sub sub
	[[ $text == *"X509v3 Basic Constraints: critical"*"CA:TRUE, pathlen:0"* ]]
	printf 'id: bad\nkey_usage: {cert_sign: true}\n' >../bad.yaml
	fails 2 '4.2.1.3' lamassu profile create -f ../bad.yaml
	printf 'id: bad\nsign_as_ca: true\nkey_usage: {crl_sign: true}\n' >../bad.yaml
	fails 2 '4.2.1.9' lamassu profile create -f ../bad.yaml
	profile '{id: h, honor_key_usage: true, key_usage: {digital_signature: true}, honor_subject: true}'
	fails 5 'keyCertSign' lamassu ca sign ca --csr ../sub.csr --profile h
}

@test "P5: key usages as the profile says, or the request's; what a key cannot do is left out" {
	pki
	csr ec -addext keyUsage=digitalSignature,keyAgreement
	rsa_csr rsa 2048
	profile '{id: u, key_usage: {digital_signature: true, content_commitment: true, key_encipherment: true, data_encipherment: true}, honor_subject: true}'
	sign rsa u
	[[ $text == *"X509v3 Key Usage: critical"*"Digital Signature, Non Repudiation, Key Encipherment, Data Encipherment"* ]]
	sign ec u
	[[ $text == *"Digital Signature, Non Repudiation"* && $text != *Encipherment* ]]
	profile '{id: u, key_usage: {key_encipherment: true}, honor_subject: true}'
	fails 5 'RFC 8813' lamassu ca sign ca --csr ../ec.csr --profile u
	profile '{id: u, honor_key_usage: true, key_usage: {content_commitment: true}, honor_subject: true}'
	sign ec u
	[[ $text == *"Digital Signature, Key Agreement"* && $text != *"Non Repudiation"* ]]
	profile '{id: u, key_usage: [DigitalSignature, KeyAgreement, EncipherOnly], honor_subject: true}'
	sign ec u
	[[ $text == *"Digital Signature, Key Agreement, Encipher Only"* ]]
	printf 'id: bad\nkey_usage: {encipher_only: true}\n' >../bad.yaml
	fails 2 'key_agreement' lamassu profile create -f ../bad.yaml
	openssl req -new -newkey ed25519 -nodes -keyout ../ed.key -out ../ed.csr -subj /CN=ed 2>/dev/null
	profile '{id: u, key_usage: {digital_signature: true, key_agreement: true}, honor_subject: true}'
	sign ed u
	[[ $text == *"Digital Signature"* && $text != *"Key Agreement"* ]]
}

@test "P6: extended key usages by name and by number, or the request's" {
	pki
	csr d -addext extendedKeyUsage=codeSigning,1.2.3.4.5
	profile '{id: e, key_usage: {digital_signature: true}, extended_key_usages: [ServerAuth, client_auth, emailProtection, "1.3.6.1.4.1.311.20.2.2"], honor_subject: true}'
	[ "$(lamassu profile show e -o json | jq -c '.extended_key_usages[:3]')" = '["serverAuth","clientAuth","emailProtection"]' ]
	sign d e
	[[ $text == *"TLS Web Server Authentication, TLS Web Client Authentication, E-mail Protection, Microsoft Smartcard Login"* ]]
	profile '{id: e, key_usage: {digital_signature: true}, honor_extended_key_usages: true, extended_key_usages: serverAuth, honor_subject: true}'
	sign d e
	[[ $text == *"Code Signing, 1.2.3.4.5"* && $text != *"Web Server"* ]]
	printf 'id: bad\nextended_key_usages: [servrAuth]\n' >../bad.yaml
	fails 2 'serverAuth' lamassu profile create -f ../bad.yaml
	printf 'id: bad\nextended_key_usages: [timeStamping, serverAuth]\n' >../bad.yaml
	fails 2 'RFC 3161' lamassu profile create -f ../bad.yaml
}

@test "P7: subjects merge field by field, in order; a subject is never silently empty" {
	pki
	openssl ecparam -name prime256v1 -genkey -noout -out ../s.key
	openssl req -new -key ../s.key -out ../s.csr -subj "/C=DE/O=Foo/OU=a/OU=b/CN=dev-7/serialNumber=42"
	profile '{id: s, key_usage: {digital_signature: true}, honor_subject: true, subject: {organization: "Öl & Söhne", common_name: "", locality: [Wien, Graz]}}'
	sign s s
	[ "$(openssl x509 -in ../s.pem -noout -subject -nameopt utf8,sep_comma_plus)" = \
		'subject=C=DE,O=Öl & Söhne,OU=a,OU=b,CN=dev-7,serialNumber=42,L=Wien,L=Graz' ]
	openssl asn1parse -in ../s.pem | grep -A1 ':countryName' | tail -1 | grep -q PRINTABLESTRING
	openssl asn1parse -in ../s.pem | grep -A1 ':serialNumber' | tail -1 | grep -q PRINTABLESTRING
	openssl asn1parse -in ../s.pem | grep -A1 ':commonName' | tail -1 | grep -q UTF8STRING
	profile '{id: s, key_usage: {digital_signature: true}, subject: {common_name: fixed, domain_component: [com, example]}}'
	sign s s
	[ "$(openssl x509 -in ../s.pem -noout -subject -nameopt utf8,sep_comma_plus)" = 'subject=CN=fixed,DC=com,DC=example' ]
	openssl asn1parse -in ../s.pem | grep -A1 ':domainComponent' | tail -1 | grep -q IA5STRING
	profile '{id: s, key_usage: {digital_signature: true}}'
	fails 2 'both be empty' lamassu ca sign ca --csr ../s.csr --profile s
	ok lamassu ca sign ca --csr ../s.csr --profile s --san DNS:a.example --out ../e.pem
	openssl x509 -in ../e.pem -noout -text | grep -q 'Subject Alternative Name: critical'
	printf 'id: bad\nsubject: {country: USA}\n' >../bad.yaml
	fails 2 'two letters' lamassu profile create -f ../bad.yaml
}

@test "P8: alternative names are carried, made from templates or fixed; other extensions only by an allow list" {
	pki
	csr n -addext "subjectAltName=DNS:a.example,DNS:*.b.example,IP:192.0.2.1,IP:2001:db8::1,URI:https://x.example/y,email:m@example.com,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@example.com" \
		-addext 1.2.3.4.5=ASN1:UTF8String:carried -addext 1.2.3.4.6=ASN1:UTF8String:dropped
	profile '{id: n, key_usage: {digital_signature: true}, honor_subject: true, honor_extensions: true, allowed_extensions: "1.2.3.4.5",
	          subject_alternative_names: {dns: ["${cn}.dev.example", fixed.example], uri: "urn://dev/${device_id}"}}'
	sign n n --device d-17
	python3 - ../n.pem <<-'P'
		import sys
		from cryptography import x509
		c = x509.load_pem_x509_certificate(open(sys.argv[1], 'rb').read())
		san = c.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
		assert san.get_values_for_type(x509.DNSName) == ['a.example', '*.b.example', 'n.dev.example', 'fixed.example'], san
		assert [str(i) for i in san.get_values_for_type(x509.IPAddress)] == ['192.0.2.1', '2001:db8::1']
		assert san.get_values_for_type(x509.UniformResourceIdentifier) == ['https://x.example/y', 'urn://dev/d-17']
		assert san.get_values_for_type(x509.RFC822Name) == ['m@example.com']
		other = san.get_values_for_type(x509.OtherName)[0]
		assert other.type_id.dotted_string == '1.3.6.1.4.1.311.20.2.3' and other.value == b'\x0c\x0du@example.com'
		oids = [e.oid.dotted_string for e in c.extensions]
		assert '1.2.3.4.5' in oids and '1.2.3.4.6' not in oids
	P
	profile '{id: n, key_usage: {digital_signature: true}, honor_subject: true}'
	sign n n
	[[ $text != *"Alternative Name"* ]]
	printf 'id: bad\nsubject_alternative_names: {dns: "${host}"}\n' >../bad.yaml
	fails 2 'unknown template' lamassu profile create -f ../bad.yaml
	printf 'id: bad\nallowed_extensions: ["2.5.29.19"]\n' >../bad.yaml
	fails 2 '2.5.29.19' lamassu profile create -f ../bad.yaml
}

@test "P9: keys are judged by type and size; weak ones are refused in any case" {
	pki
	csr ec
	rsa_csr rsa2 2048
	rsa_csr weak 1024
	openssl req -new -newkey ed25519 -nodes -keyout ../ed.key -out ../ed.csr -subj /CN=ed 2>/dev/null
	profile '{id: k, key_usage: {digital_signature: true}, honor_subject: true, crypto_enforcement: {enabled: true, allow_rsa_keys: true, allowed_rsa_key_sizes: [3072], allow_ecdsa_keys: true}}'
	fails 5 '2048 bits' lamassu ca sign ca --csr ../rsa2.csr --profile k
	sign ec k
	fails 5 'Ed25519' lamassu ca sign ca --csr ../ed.csr --profile k
	profile '{id: k, key_usage: {digital_signature: true}, honor_subject: true, crypto_enforcement: {enabled: true, allow_ecdsa_keys: true, allowed_ecdsa_key_sizes: [], allow_rsa_keys: true, allow_ed25519_keys: true}}'
	fails 5 'profile k does not allow' lamassu ca sign ca --csr ../ec.csr --profile k
	sign rsa2 k
	sign ed k
	profile '{id: k, key_usage: {digital_signature: true}, honor_subject: true}'
	fails 5 'below 2048 bits' lamassu ca sign ca --csr ../weak.csr --profile k
	openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out ../ex.key
	openssl req -new -key ../ex.key -subj /CN=ex -out ../ex.csr
	fails 5 'explicit' lamassu ca sign ca --csr ../ex.csr --profile k
	printf 'id: bad\ncrypto_enforcement: {allowed_rsa_key_sizes: [1024]}\n' >../bad.yaml
	fails 2 '1024' lamassu profile create -f ../bad.yaml
}

@test "P10: distribution points, information access, policies, constraints, must-staple and extensions of one's own" {
	pki
	csr x
	profile '
id: x
key_usage: {digital_signature: true}
honor_subject: true
crl_distribution_points: ["http://crl.example/ca.crl", "ldap://ldap.example/cn=ca"]
extensions:
  authority_info_access: {ocsp_server: "http://ocsp.example", ca_issuers: ["http://ca.example/ca.cer"]}
  certificate_policies: [{oid: 1.3.6.1.4.1.99999.1, cps: "http://cps.example", user_notice: "for tests"}, {oid: 2.23.140.1.2.1}]
  ocsp_must_staple: true
  custom: [{oid: 1.3.6.1.4.1.99999.2, asn1: "UTF8String:hallo"}, {oid: 1.3.6.1.4.1.99999.3, critical: false, der: 0500}]'
	sign x x
	for want in URI:http://crl.example/ca.crl URI:ldap://ldap.example/cn=ca "OCSP - URI:http://ocsp.example" \
		"CA Issuers - URI:http://ca.example/ca.cer" "Policy: 1.3.6.1.4.1.99999.1" "CPS: http://cps.example" "for tests" \
		status_request 1.3.6.1.4.1.99999.2 hallo 1.3.6.1.4.1.99999.3; do
		[[ $text == *"$want"* ]] || { echo "missing: $want"; return 1; }
	done
	profile '
id: c
sign_as_ca: true
key_usage: {cert_sign: true}
honor_subject: true
extensions:
  name_constraints: {permitted: ["DNS:example.com", "IP:10.0.0.0/8"], excluded: "DNS:bad.example.com"}'
	sign x c
	[[ $text == *"X509v3 Name Constraints: critical"*DNS:example.com*IP:10.0.0.0/255.0.0.0*Excluded*DNS:bad.example.com* ]]
	ok lamassu ca create narrow --parent ca --profile c --subject CN=Narrow --key-type ecdsa:256 --validity 5y
	ok lamassu ca sign narrow --csr ../x.csr --profile x --san DNS:www.example.com --out ../in.pem
	fails 5 'name constraints of narrow' lamassu ca sign narrow --csr ../x.csr --profile x --san DNS:www.example.org
	fails 5 'name constraints of narrow' lamassu ca sign narrow --csr ../x.csr --profile x --san DNS:a.bad.example.com
	ok lamassu cert verify ../in.pem
	printf 'id: bad\nextensions: {name_constraints: {permitted: "DNS:a"}}\n' >../bad.yaml
	fails 2 'sign_as_ca' lamassu profile create -f ../bad.yaml
}

@test "P12: nine templates come along, each makes what it is for, and foreign programs accept it" {
	pki
	ok lamassu profile templates -o id
	[ "$(tr '\n' ' ' <<<"$output")" = "bootstrap code-signing iot-device ocsp-responder root-ca subordinate-ca timestamping tls-client tls-server " ]
	for t in $output; do
		[ "$(lamassu profile templates "$t" -o json)" = "$(lamassu profile show "$t" -o json)" ]
		[ -n "$(lamassu profile templates "$t" -o json | jq -r '.description // empty')" ]
	done
	ok lamassu profile create --template tls-server web
	[ "$(lamassu profile show web -o json | jq -r .name)" = "TLS Server Certificate" ]
	fails 4 'exists already' lamassu profile create --template tls-server
	fails 3 'did you mean "tls-server"' lamassu profile create --template tls-servr
	rsa_csr r 4096
	ok lamassu ca export root --out ../root.pem
	ok lamassu ca export ca --out ../ca.pem
	while read -r profile purpose; do
		sign r "$profile" --san DNS:www.example.com
		openssl verify -x509_strict -CAfile ../root.pem -untrusted ../ca.pem -purpose "$purpose" ../r.pem
		cat ../r.pem ../ca.pem ../root.pem >../chain.pem
		certtool --verify-chain --infile ../chain.pem | grep -q 'Chain verification output: Verified'
		python3 -W error -c 'import sys
from cryptography import x509
c = x509.load_pem_x509_certificate(open(sys.argv[1], "rb").read())
assert c.version == x509.Version.v3 and c.serial_number.bit_length() <= 159
[e.value for e in c.extensions]' ../r.pem
	done <<-'L'
		iot-device sslclient
		iot-device sslserver
		tls-server sslserver
		tls-client sslclient
		bootstrap sslclient
		timestamping timestampsign
		code-signing any
		ocsp-responder ocsphelper
		subordinate-ca any
	L
	sign r timestamping
	[[ $text == *"Extended Key Usage: critical"*"Time Stamping"* ]]
	sign r ocsp-responder
	[[ $text == *"OCSP No Check"* ]]
	sign r subordinate-ca
	[[ $text == *CA:TRUE* && $text == *"Digital Signature, Certificate Sign, CRL Sign"* && $text != *"Extended Key Usage"* ]]
	csr e
	fails 5 'does not allow' lamassu ca sign ca --csr ../e.csr --profile subordinate-ca
	sign e tls-server
	[[ $text == *"Digital Signature"* && $text != *Encipherment* ]]
}

@test "P13: lists are filtered, sorted and paged; show finds the nearest name" {
	new_pki
	ok lamassu profile list --filter 'name[ct]=device' -o id
	[ "$output" = iot-device ]
	ok lamassu profile list --filter sign_as_ca=true --sort-by id --sort-mode desc -o id
	[ "$output" = $'subordinate-ca\nroot-ca' ]
	ok lamassu profile list --page-size 4 -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 4 ]
	ok lamassu profile list --bookmark "$(jq -r .next <<<"$output")" --page-size 100 -o json
	[ "$(jq -c '[(.list | length), .next]' <<<"$output")" = '[5,null]' ]
	fails 2 'unknown field "nam"' lamassu profile list --filter nam=x
	fails 3 'did you mean "iot-device"' lamassu profile show iot-devic
}

@test "P14: update replaces, set keeps comments, and only new certificates are concerned" {
	pki
	csr d
	cat >profiles/mine.yaml <<-'Y'
		# who may change this: the platform team
		id: mine
		validity: {type: Duration, duration: 10d} # short
		key_usage: {digital_signature: true}
		honor_subject: true
	Y
	git add profiles/mine.yaml
	git -c user.name=T -c user.email=t@example.org commit -qm 'by hand'
	sign d mine
	before=$(openssl x509 -in ../d.pem -noout -enddate)
	cp ../d.pem ../old.pem
	ok lamassu profile set mine validity.duration=20d subject.organization='Acme Corp'
	grep -q '^# who may change this' profiles/mine.yaml
	grep -q '# short' profiles/mine.yaml
	sign d mine
	[[ $text == *"O=Acme Corp"* ]]
	[ "$(openssl x509 -in ../d.pem -noout -enddate)" != "$before" ]
	[ "$(lamassu cert export ../old.pem | openssl x509 -noout -enddate)" = "$before" ]
	# what belongs together is given together, in any order
	ok lamassu profile set mine validity.type=Time validity.time=2040-01-01T00:00:00Z validity.duration=
	grep -q '^# who may change this' profiles/mine.yaml
	ok lamassu profile set mine validity.duration=20d validity.time= validity.type=Duration
	ok lamassu profile set mine sign_as_ca=true path_length=0 key_usage.cert_sign=true
	ok lamassu profile set mine key_usage.cert_sign= path_length= sign_as_ca=false
	fails 2 'cert_sign' lamassu profile set mine description=x sign_as_ca=true
	no grep -q 'description' profiles/mine.yaml
	fails 2 'did you mean "validity"' lamassu profile set mine validty.duration=1d
	fails 2 'duration' lamassu profile set mine validity.duration=soon
	fails 2 'ca "nobody" not found' lamassu profile set mine ca_id=nobody
	fails 2 'as in the name of the file' lamassu profile set mine id=other
	fails 2 'profile "nobody" not found' lamassu ca set ca issuance_profile_id=nobody
	printf 'id: mine\ndescription: new\n' >../u.yaml
	ok lamassu profile update -f ../u.yaml
	[ "$(cat profiles/mine.yaml)" = $'id: mine\ndescription: new\nvalidity:\n  type: Duration\n  duration: 8760h\nsign_as_ca: false' ] || { cat profiles/mine.yaml; return 1; }
	fails 3 'nobody' lamassu profile update -f - <<<'id: nobody'
	fails 2 'never change' lamassu profile update other -f ../u.yaml
	ok lamassu -n profile set mine description=dry
	[ "$(lamassu profile show mine -o json | jq -r .description)" = new ]
	cat >../ed.sh <<-'S'
		#!/bin/sh
		sed -i 's/^description: new/description: edited/' "$1"
	S
	chmod +x ../ed.sh
	EDITOR=../ed.sh ok lamassu profile edit mine
	[ "$(lamassu profile show mine -o json | jq -r .description)" = edited ]
	printf '#!/bin/sh\nsed -i "s/^id: .*/id: other/" "$1"\n' >../ed.sh
	EDITOR=../ed.sh fails 2 'as in the name of the file' lamassu profile edit mine --yes
	[ "$(lamassu profile show mine -o id)" = mine ]
	[ -z "$(git status --porcelain)" ]
}

@test "P15: a profile in use is not deleted, and it is said by whom" {
	pki
	ok lamassu ca set ca issuance_profile_id=iot-device
	fails 4 'used by ca ca (issuance_profile_id)' lamassu profile delete iot-device --yes
	fails 2 '--yes' lamassu profile delete tls-client
	ok lamassu profile delete tls-client --yes
	[ ! -e profiles/tls-client.yaml ]
	ok lamassu profile delete iot-device --force --yes
	[[ $stderr == *"still used by ca ca"* ]]
	fails 3 'iot-device' lamassu profile show iot-device
	fails 3 'nothing' lamassu profile delete nothing --yes
}

@test "P16: lint warns, and --strict fails" {
	new_pki
	printf 'id: bad\nvalidity: {duration: 10y}\nkey_usage: {digital_signature: true}\n' >../p.yaml
	ok lamassu profile create -f ../p.yaml
	ok lamassu profile lint bad -o json
	rules=$(jq -r '.list[].rule' <<<"$output" | sort | tr '\n' ' ')
	[[ $rules == *crypto-enforcement*long-validity* ]]
	ok lamassu profile lint subordinate-ca -o json
	[ "$(jq -r '.list[].rule' <<<"$output")" = no-path-length ]
	ok lamassu profile lint tls-client tls-server bootstrap code-signing timestamping ocsp-responder --strict
	[ -z "$output" ]
	fails 5 'findings' lamassu profile lint --strict
}

@test "P17: JSON Schemas of every record type; documents hold against them" {
	new_pki
	for t in profile ca ca-create ca-crl engine key config certificate revocation crl change; do
		ok lamassu profile schema --type "$t"
		jq -e '."$schema" and .type == "object" and .properties' <<<"$output" >/dev/null
	done
	ok lamassu profile schema
	jq -e '.required == ["id"] and .properties.validity.properties.duration and .additionalProperties == false' <<<"$output" >/dev/null
	printf '%s' "$output" >../schema.json
	fails 2 'none of profile, ca' lamassu profile schema --type thing
	for p in $(lamassu profile list -o id); do
		lamassu profile show "$p" -o json >../doc.json
		python3 - <<-'P'
			import json
			def hold(doc, schema, path=''):
			    kinds = dict(object=dict, array=list, string=str, boolean=bool, integer=int)
			    for alt in schema.get('anyOf', schema.get('oneOf', [])):
			        try:
			            return hold(doc, alt, path)
			        except AssertionError:
			            pass
			    assert 'anyOf' not in schema and 'oneOf' not in schema, path
			    assert 'type' not in schema or isinstance(doc, kinds[schema['type']]), path
			    assert 'enum' not in schema or doc in schema['enum'], path
			    if isinstance(doc, dict) and 'properties' in schema:
			        for k, v in doc.items():
			            assert k in schema['properties'], path + '.' + k
			            hold(v, schema['properties'][k], path + '.' + k)
			    if isinstance(doc, list) and 'items' in schema:
			        for v in doc:
			            hold(v, schema['items'], path + '[]')
			hold(json.load(open('../doc.json')), json.load(open('../schema.json')))
		P
	done
}

@test "P18: preview shows what would be issued and why, and what is dropped; it is what is issued then" {
	pki
	ok lamassu ca set ca issuance_profile_id=iot-device
	csr s -subj "/CN=s/O=Foo" -addext subjectAltName=DNS:a.example -addext basicConstraints=CA:TRUE -addext keyUsage=keyAgreement
	ok lamassu profile preview --ca ca --csr ../s.csr -o json
	preview=$output
	[ "$(jq -c '[.subject,.issuer,.ca,.profile,.key_type,.is_ca]' <<<"$preview")" = \
		'["CN=s,O=Acme Corp","CN=Issuing,O=Acme","ca","iot-device","ecdsa:256",false]' ]
	[ "$(jq -r '.fields[] | select(.field == "subject.organization") | .source' <<<"$preview")" = profile ]
	[ "$(jq -r '.fields[] | select(.field == "subject.common_name") | .source' <<<"$preview")" = request ]
	[ "$(jq -r '.fields[] | select(.field == "authority_key_id") | .source' <<<"$preview")" = authority ]
	[ "$(jq -r '.dropped[] | .field' <<<"$preview" | sort | tr '\n' ' ')" = 'basicConstraints keyUsage subject.organization subjectAltName ' ]
	[ "$(jq -r '.dropped[] | select(.field == "subjectAltName") | .reason' <<<"$preview")" = 'honor_extensions is false' ]
	n=$(git rev-parse ledger)
	ok lamassu profile preview --csr ../s.csr iot-device
	[[ $output == *"subject.organization"*"Acme Corp"*profile* ]]
	[ "$(git rev-parse ledger)" = "$n" ]
	ok lamassu profile preview tls-server --ca ca --csr ../s.csr --validity 10d --san DNS:b.example -o json
	[ "$(jq -c '[.san, ([.fields[] | select(.field == "not_after") | .source][0])]' <<<"$output")" = '[["DNS:b.example"],"operator"]' ]
	fails 5 'does not allow' lamassu profile preview root-ca --ca ca --csr ../s.csr
	sign s iot-device
	[ "$(openssl x509 -in ../s.pem -noout -subject -nameopt utf8,sep_comma_plus)" = "subject=$(jq -r .subject <<<"$preview")" ]
	printf junk >../junk.csr
	fails 2 '' lamassu profile preview iot-device --csr ../junk.csr
}
