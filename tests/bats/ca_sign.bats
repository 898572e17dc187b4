#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# `ca sign` of one request: what it gives, what it refuses, and how long certificates may last.
load helpers
load ca_helpers

profile() { ok lamassu profile create -f - <<<"$1"; }

@test "C7: one request in PEM, DER and on standard input; certificate and chain out in pem, der and p7b" {
	two_tier
	csr a "/CN=a"
	sign ca a
	accepted ../a.pem ../ca.pem ../root.pem
	openssl x509 -in ../a.pem -noout -pubkey | cmp - <(openssl pkey -in ../a.key -pubout)
	[ "$(openssl x509 -in ../a.pem -noout -ext basicConstraints | tail -n 1 | tr -d ' ')" = CA:FALSE ]
	ok lamassu ca sign ca --csr ../a.csr
	openssl x509 -noout -subject <<<"$output" | grep -q 'CN = a'
	openssl req -in ../a.csr -outform DER -out ../a.der
	ok lamassu ca sign ca --csr - --format der --out ../d.der <../a.der
	openssl x509 -inform DER -in ../d.der -noout
	ok lamassu ca sign ca --csr ../a.csr --chain --out ../chain.pem
	[ "$(grep -c BEGIN ../chain.pem)" -eq 3 ]
	openssl verify -trusted ../root.pem -untrusted ../chain.pem ../chain.pem >/dev/null
	ok lamassu ca sign ca --csr ../a.csr --chain --format p7b --out ../a.p7b
	[ "$(openssl pkcs7 -in ../a.p7b -print_certs | grep -c BEGIN)" -eq 3 ]
	ok lamassu ca sign ca --csr ../a.csr --format p7b
	[ "$(openssl pkcs7 -print_certs <<<"$output" | grep -c BEGIN)" -eq 1 ]
	fails 2 'p7b' lamassu ca sign ca --csr ../a.csr --chain --format der --out ../no.der
	ok lamassu ca sign ca --csr ../a.csr -o json
	jq -r .certificate <<<"$output" | openssl x509 -noout -serial | grep -qi "$(jq -r .serial_number <<<"$output")"
	ok lamassu ca sign ca --csr ../a.csr -o id
	[ "$(cert_field "$output" '[.ca,.profile,.subject,.status,.type] | join(" ")')" = 'ca tls-client CN=a ACTIVE ISSUED' ]
	[ "$(cert_field "$output" .request_sha256)" = "$(openssl req -in ../a.csr -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)" ]
	ok lamassu ca sign ca --csr ../a.csr --out ../dir/
	openssl x509 -in ../dir/a.pem -noout
	[ "$(git log -1 --format=%s ledger | sed 's/[0-9a-f]\{32\}/SERIAL/')" = 'ca: sign SERIAL with ca' ]
	no lamassu ca sign ca --csr ../a.csr --out /dev/full
	ok lamassu repo verify
}

@test "C7 P8 P10: options beside the profile; addresses from va_domains" {
	two_tier
	settings 'va_domains: [pki.example.com, "va.example.net:8080/x"]'
	csr a "/CN=a/O=Other" -addext subjectAltName=DNS:evil.example
	sign ca a --profile tls-server --subject "CN=b,OU=Ops" --san DNS:b.example --san 10.0.0.1 --san ops@example.com --validity 10d --device dev-1
	accepted ../a.pem ../ca.pem ../root.pem
	text=$(text_of ../a.pem) ski=$(openssl x509 -in ../ca.pem -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ' :' | tr A-F a-f)
	for want in 'Subject: CN = b, OU = Ops' 'DNS:b.example, IP Address:10.0.0.1, email:ops@example.com' \
		'OCSP - URI:http://pki.example.com/ocsp' 'OCSP - URI:http://va.example.net:8080/x/ocsp' \
		"CA Issuers - URI:http://pki.example.com/ca/$ski.cer" "URI:http://pki.example.com/crl/$ski.crl" \
		"URI:http://va.example.net:8080/x/crl/$ski.crl"; do
		[[ $text == *"$want"* ]] || { echo "missing: $want"; return 1; }
	done
	no grep -q evil <<<"$text"
	[ "$(cert_field "$serial" .device)" = dev-1 ]
	# The authority's own distribution points come first, the profile's before both; a root has none.
	ok lamassu ca set ca 'crl.crl_distribution_points=["http://own.example/ca.crl"]'
	sign ca a --profile tls-server --san DNS:b.example
	openssl x509 -in ../a.pem -noout -ext crlDistributionPoints | grep -q 'URI:http://own.example/ca.crl'
	no grep -q pki.example.com < <(openssl x509 -in ../a.pem -noout -ext crlDistributionPoints)
	ok lamassu ca create r2 --subject CN=R2
	export_ca r2
	no grep -qE 'CRL Distribution|Authority Information' < <(text_of ../r2.pem)
}

@test "C7: a leaf does not outlive its CA: a Duration is shortened, what is explicit is refused, and both can be permitted" {
	new_pki
	ok lamassu ca create ca --subject CN=CA --validity 100d
	end=$(ca_field ca .valid_to)
	csr a
	profile '{id: time, validity: {type: Time, time: "2040-01-01T00:00:00Z"}, key_usage: {digital_signature: true}, honor_subject: true}'
	profile '{id: ever, validity: {type: Indefinite}, key_usage: {digital_signature: true}, honor_subject: true}'
	for p in tls-client ever; do
		sign ca a --profile $p
		[[ $stderr == *"shortened to $end"* ]]
		[ "$(cert_field "$serial" .not_after)" = "$end" ]
		[[ $(cert_field "$serial" '.metadata["lamassu.io/certificate/shortened"]') == *"$end"* ]]
		[ "$(date -u -d "$(openssl x509 -in ../a.pem -noout -enddate | cut -d= -f2)" +%FT%TZ)" = "$end" ]
	done
	fails 5 'after its authority ca' lamassu ca sign ca --csr ../a.csr --profile time
	fails 5 'after its authority ca' lamassu ca sign ca --csr ../a.csr --profile tls-client --validity 101d
	fails 5 'after its authority ca' lamassu ca sign ca --csr ../a.csr --profile tls-client --validity 2041-01-01
	sign ca a --profile tls-client --validity 99d
	for args in '--profile time' '--profile tls-client --validity 1y' '--profile tls-client' '--profile ever'; do
		# shellcheck disable=SC2086 # options
		sign ca a $args --allow-outlive
		[[ $stderr != *shortened* && $(cert_field "$serial" .not_after) > $end ]]
	done
	# notBefore is backdated a minute, but never before the issuer's
	[ "$(cert_field "$serial" .not_before)" = "$(ca_field ca .valid_from)" ] || [[ $(cert_field "$serial" .not_before) > $(ca_field ca .valid_from) ]]
	ok lamassu ca create young --parent ca --subject CN=Young --validity 50d
	[[ ! $(ca_field young .valid_from) < $(ca_field ca .valid_from) ]]
	fails 2 'before it begins' lamassu ca sign ca --csr ../a.csr --profile tls-client --validity 2001-01-01
	fails 2 '9999' lamassu ca sign ca --csr ../a.csr --profile tls-client --validity 9000y --allow-outlive
}

@test "C7 P9: requests that are not good are refused with the reason, and nothing is recorded" {
	two_tier
	csr a
	head=$(git rev-parse HEAD ledger)
	fails 3 'no-ca' lamassu ca sign no-ca --csr ../a.csr
	fails 3 'no-profile' lamassu ca sign ca --csr ../a.csr --profile no-profile
	fails 2 '--profile' lamassu ca sign root --csr ../a.csr
	fails 3 'no-file' lamassu ca sign ca --csr ../no-file
	openssl req -in ../a.csr -outform DER -out ../a.der
	python3 - <<-'P'
		d = open('../a.der', 'rb').read()
		flip = bytearray(d); flip[-1] ^= 1; open('../flip.der', 'wb').write(flip)
		open('../tail.der', 'wb').write(d + b'\0')
		open('../cut.der', 'wb').write(d[:-5])
	P
	fails 5 'signature' lamassu ca sign ca --csr ../flip.der
	fails 2 'trailing' lamassu ca sign ca --csr ../tail.der
	fails 2 '' lamassu ca sign ca --csr ../cut.der
	fails 2 '' lamassu ca sign ca --csr <(echo rubbish)
	for size in 1024 1536; do
		openssl req -new -newkey rsa:$size -nodes -keyout ../no.key -out ../w.csr -subj /CN=w 2>/dev/null
		fails 5 '2048' lamassu ca sign ca --csr ../w.csr
	done
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-192 -nodes -keyout ../no.key -out ../w.csr -subj /CN=w 2>/dev/null
	fails 5 'curve' lamassu ca sign ca --csr ../w.csr
	openssl ecparam -name secp256k1 -genkey -noout -out ../k1.key
	openssl req -new -key ../k1.key -subj /CN=w -out ../w.csr
	fails 5 '' lamassu ca sign ca --csr ../w.csr
	openssl genpkey -algorithm ed448 -out ../448.key
	openssl req -new -key ../448.key -subj /CN=w -out ../w.csr
	fails 5 '' lamassu ca sign ca --csr ../w.csr
	python3 - <<-'P'
		# e = 1: a key that signs nothing and proves nothing; and a modulus with the fingerprint of ROCA
		from cryptography.hazmat.primitives.asymmetric import rsa
		from cryptography.hazmat.primitives import serialization as s
		import base64
		def der(tag, body):
		    n = len(body)
		    head = bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x80 | ((n.bit_length() + 7) // 8)]) + n.to_bytes((n.bit_length() + 7) // 8, 'big'))
		    return head + body
		def num(x): b = x.to_bytes(x.bit_length() // 8 + 1, 'big'); return der(2, b)
		def request(n, e, path):
		    key = der(0x30, num(n) + num(e))
		    alg = der(0x30, bytes.fromhex('06092a864886f70d010101') + b'\x05\0')
		    spki = der(0x30, alg + der(3, b'\0' + key))
		    name = der(0x30, der(0x31, der(0x30, bytes.fromhex('0603550403') + der(12, b'x'))))
		    info = der(0x30, num(0) + name + spki + der(0xa0, b''))
		    sig = der(0x30, bytes.fromhex('06092a864886f70d01010b') + b'\x05\0')
		    out = der(0x30, info + sig + der(3, b'\0' + b'\1' * 256))
		    open(path, 'wb').write(out)
		k = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
		request(k, 1, '../e1.der')
		request(k, 2, '../e2.der')
		primes = [3,5,7,11,13,17,19,23,29,31,37,41,43,47,53,59,61,67,71,73,79,83,89,97,101,103,107,109,113,127,131,137,139,149,151,157,163,167]
		m = 2
		for p in primes: m *= p
		n = pow(65537, 12345, m)
		while n.bit_length() < 2048: n += m << (2047 - m.bit_length() - 1)
		n = n | (1 << 2047) if n.bit_length() < 2048 else n
		n += (pow(65537, 12345, m) - n) % m
		request(n, 65537, '../roca.der')
	P
	fails 5 '' lamassu ca sign ca --csr ../e1.der
	fails 5 '' lamassu ca sign ca --csr ../e2.der
	fails 5 'ROCA' lamassu ca sign ca --csr ../roca.der
	[ "$(git rev-parse HEAD ledger)" = "$head" ]
}

@test "C7 P4: an authority from elsewhere is signed by a profile that signs as CA, a leaf never becomes one" {
	two_tier
	csr sub "/CN=Sub" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
	sign ca sub --profile tls-client
	[ "$(openssl x509 -in ../sub.pem -noout -ext basicConstraints | tail -n 1 | tr -d ' ')" = CA:FALSE ]
	profile '{id: sub, sign_as_ca: true, key_usage: {cert_sign: true, crl_sign: true}, honor_subject: true, validity: {type: Duration, duration: 2y}}'
	sign ca sub --profile sub --path-length 0
	text_of ../sub.pem | grep -q 'CA:TRUE, pathlen:0'
	csr leaf
	openssl x509 -req -in ../leaf.csr -CA ../sub.pem -CAkey ../sub.key -days 9 -out ../leaf.pem 2>/dev/null
	openssl verify -x509_strict -trusted ../root.pem -untrusted ../ca.pem -untrusted ../sub.pem ../leaf.pem >/dev/null ||
		openssl verify -trusted ../root.pem -untrusted ../ca.pem -untrusted ../sub.pem ../leaf.pem >/dev/null
	[ "$(cert_field "$serial" .is_ca)" = true ]
}

@test "P10 C7: name constraints of every ancestor hold, and openssl accepts what was issued" {
	two_tier
	profile '{id: narrow, sign_as_ca: true, key_usage: {cert_sign: true, crl_sign: true}, honor_subject: true, validity: {type: Duration, duration: 5y},
		extensions: {name_constraints: {permitted: ["DNS:example.com", "IP:10.0.0.0/8", "email:example.com", "dirName:O=Acme"], excluded: ["DNS:bad.example.com"]}}}'
	ok lamassu ca create n1 --parent root --subject "O=Acme,CN=N1" --profile narrow
	ok lamassu ca create n2 --parent n1 --subject "O=Acme,CN=N2" --validity 4y
	export_ca n1 n2
	csr a "/O=Acme/CN=a"
	sign n2 a --profile tls-server --san DNS:www.example.com --san 10.1.2.3
	accepted ../a.pem ../n2.pem ../n1.pem ../root.pem
	for san in DNS:www.example.org DNS:x.bad.example.com 192.0.2.1 a@example.org; do
		fails 5 'name constraints of n1' lamassu ca sign n2 --csr ../a.csr --profile tls-server --san "$san"
	done
	fails 5 'name constraints of n1' lamassu ca sign n2 --csr ../a.csr --profile tls-server --san DNS:www.example.com --subject "O=Other,CN=a"
	fails 5 'name constraints of n1' lamassu ca create n3 --parent n2 --subject "O=Other,CN=N3" --validity 1y
}

@test "C7 C15: an authority that is not ACTIVE refuses; one whose key is elsewhere too" {
	two_tier
	csr a
	ok lamassu ca compromise ca --yes
	fails 5 'compromised' lamassu ca sign ca --csr ../a.csr
	fails 5 'compromised' lamassu ca enable ca
	fails 5 'compromised' lamassu ca create x --parent ca --subject CN=X
	ok lamassu ca disable root
	fails 5 'INACTIVE' lamassu ca sign root --csr ../a.csr --profile tls-client
}
