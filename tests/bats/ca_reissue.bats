#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# New certificates for authorities: with the same key and with a new one, and what both sides know of it.
load helpers
load ca_helpers

meta() { ca_field "$1" ".metadata[\"lamassu.io/ca/$2\"]"; }
cert_meta() { cert_field "$1" ".metadata[\"lamassu.io/ca/$2\"]"; }

@test "C8: the same key: the id stays, every certificate is kept, both sides know each other, what was issued still chains" {
	two_tier
	csr leaf
	sign ca leaf
	old=$(ca_field ca .serial_number) oldroot=$(ca_field root .serial_number)
	ok lamassu ca metadata set ca owner=ops
	ok lamassu ca reissue ca --validity 9y --reason 'longer' -o json
	new=$(jq -r .serial_number <<<"$output")
	[ "$new" != "$old" ]
	[ "$(ca_field ca '.previous_serials | join(" ")')" = "$old" ]
	[ "$(meta ca reissued-from) $(meta ca reissue-reason) $(ca_field ca .metadata.owner)" = "$old longer ops" ]
	[[ $(meta ca reissued-at) == 20*Z ]]
	[ "$(cert_meta "$old" reissued-as)" = "$new" ]
	[[ $(cert_meta "$old" reissued-at) == 20*Z ]]
	[ "$(cert_meta "$new" reissued-from) $(cert_meta "$new" reissue-reason)" = "$old longer" ]
	for s in "$old" "$new"; do [ "$(lamassu ca show "$s" -o id)" = ca ]; done
	ok lamassu ca export ca --out ../ca2.pem
	[ "$(serial_of ../ca2.pem)" = "$new" ]
	cmp <(lamassu ca export ca --link "$old") ../ca.pem
	cmp <(openssl x509 -in ../ca.pem -noout -pubkey) <(openssl x509 -in ../ca2.pem -noout -pubkey)
	[ "$(openssl x509 -in ../ca.pem -noout -ext subjectKeyIdentifier)" = "$(openssl x509 -in ../ca2.pem -noout -ext subjectKeyIdentifier)" ]
	accepted ../leaf.pem ../ca.pem ../root.pem
	accepted ../leaf.pem ../ca2.pem ../root.pem
	ok lamassu ca reissue root
	[ "$(meta root reissued-from)" = "$oldroot" ]
	ok lamassu ca export root --out ../root2.pem
	accepted ../leaf.pem ../ca2.pem ../root2.pem
	accepted ../leaf.pem ../ca2.pem ../root.pem
	ok lamassu ca reissue ca
	[ "$(ca_field ca '.previous_serials | length')" -eq 2 ]
	ok lamassu ca crl ca --out ../ca.crl
	openssl crl -in ../ca.crl -CAfile ../ca.pem -noout 2>&1 | grep -q 'verify OK'
	ok lamassu repo verify
}

@test "C8: the subject stays byte for byte, names and constraints of foreign authorities too; a profile decides when it is named" {
	new_pki
	ext=$'basicConstraints=critical,CA:TRUE,pathlen:2\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\nsubjectAltName=URI:https://ca.example\nnameConstraints=critical,permitted;DNS:example.com\ncertificatePolicies=1.3.6.1.4.1.99999.5\nextendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\n'
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ../o.key -out ../o.pem -subj "/C=DE/O=Old Org/CN=Old" -days 900 -config <(printf '[req]\ndistinguished_name=dn\nstring_mask=default\nx509_extensions=x\n[dn]\n[x]\n%s' "$ext") 2>/dev/null
	ok lamassu ca import old --cert ../o.pem --key ../o.key
	ok lamassu ca reissue old
	ok lamassu ca export old --out ../n.pem
	for f in o n; do openssl x509 -in ../$f.pem -noout -text >../$f.txt; done
	for e in basicConstraints keyUsage subjectAltName nameConstraints certificatePolicies extendedKeyUsage; do
		cmp <(openssl x509 -in ../o.pem -noout -ext $e) <(openssl x509 -in ../n.pem -noout -ext $e)
	done
	python3 - <<-'P'
		from cryptography import x509
		a, b = (x509.load_pem_x509_certificate(open(f, 'rb').read()) for f in ('../o.pem', '../n.pem'))
		assert a.subject.public_bytes() == b.subject.public_bytes() == b.issuer.public_bytes()
		assert abs((a.not_valid_after_utc - a.not_valid_before_utc) - (b.not_valid_after_utc - b.not_valid_before_utc)).total_seconds() < 120
		b.verify_directly_issued_by(b)
	P
	ok lamassu profile create -f - <<<'{id: strict, sign_as_ca: true, honor_subject: false, subject: {common_name: Other}, key_usage: {cert_sign: true}, path_length: 1, validity: {type: Duration, duration: 2y}}'
	ok lamassu ca reissue old --profile strict
	ok lamassu ca export old --out ../s.pem
	[ "$(openssl x509 -in ../s.pem -noout -subject)" = "$(openssl x509 -in ../o.pem -noout -subject)" ]
	text_of ../s.pem | grep -q 'pathlen:1'
	no grep -q 'Name Constraints' < <(text_of ../s.pem)
	fails 2 'sign_as_ca' lamassu ca reissue old --profile tls-client
}

@test "C8: a new key makes a new authority; a root gets OldWithNew and NewWithOld, and every path verifies" {
	two_tier
	ok lamassu ca set root crl.crl_update_interval_hours=48
	csr leaf
	sign ca leaf
	old=$(ca_field root .serial_number)
	ok lamassu ca reissue root --new-key -o json
	[ "$(jq -c '[.id,.level,.key_type,.subject]' <<<"$output")" = '["root-g2",0,"ecdsa:384","CN=Root,O=Acme,C=US"]' ]
	[ "$(ca_field root .key_id)" != "$(ca_field root-g2 .key_id)" ]
	new=$(ca_field root-g2 .serial_number)
	[ "$(meta root reissued-as) $(meta root-g2 reissued-from)" = "$new $old" ]
	[ "$(cert_meta "$old" reissued-as) $(cert_meta "$new" reissued-from) $(cert_meta "$new" reissue-reason)" = "$new $old certificate-reissuance" ]
	git show HEAD:cas/root-g2/ca.yaml | grep -q 'crl_update_interval_hours: 48'
	export_ca root-g2
	ok lamassu ca export root --link old-with-new --out ../own.pem
	ok lamassu ca export root-g2 --link new-with-old --out ../nwo.pem
	# Whoever trusts only the old root accepts the new, and the other way round.
	accepted ../leaf.pem ../ca.pem ../root.pem
	accepted ../leaf.pem ../ca.pem ../own.pem ../root-g2.pem
	ok lamassu ca create ca2 --parent root-g2 --subject CN=Two --validity 5y --issuance-profile tls-client
	export_ca ca2
	csr leaf2
	sign ca2 leaf2
	accepted ../leaf2.pem ../ca2.pem ../root-g2.pem
	accepted ../leaf2.pem ../ca2.pem ../nwo.pem ../root.pem
	# RFC 4210 4.4: OldWithNew lasts as long as the old certificate, from its beginning.
	for f in -startdate -enddate; do [ "$(openssl x509 -in ../own.pem -noout $f)" = "$(openssl x509 -in ../root.pem -noout $f)" ]; done
	# The old one goes on with its CRLs, and each signs its own.
	ok lamassu ca crl root --out ../1.crl
	ok lamassu ca crl root-g2 --out ../2.crl
	openssl crl -in ../1.crl -CAfile ../root.pem -noout 2>&1 | grep -q 'verify OK'
	openssl crl -in ../2.crl -CAfile ../root-g2.pem -noout 2>&1 | grep -q 'verify OK'
	ok lamassu ca reissue root-g2 --new-key
	[ "$(ca_field root-g2-g2 .subject)" = "CN=Root,O=Acme,C=US" ]
	[ "$(meta root-g2-g2 reissued-as)" = null ]
	ok lamassu repo verify
}

@test "C8 P4: rollover works under a path length of 0, for another type of key, and for a subordinate near its parent's end" {
	new_pki
	ok lamassu ca create r --subject CN=R --path-length 0 --validity 3y --issuance-profile tls-client
	csr leaf
	sign r leaf
	ok lamassu ca reissue r --key-type rsa:2048 --new-id r-new
	[ "$(ca_field r-new '[.key_type,.id] | join(" ")')" = 'rsa:2048 r-new' ]
	ok lamassu ca export r --link old-with-new --out ../own.pem
	export_ca r r-new
	text_of ../own.pem | grep -q 'pathlen:0'
	# GnuTLS counts self-issued certificates against the path length, which RFC 5280 4.2.1.9 does not.
	openssl verify -x509_strict -trusted ../r-new.pem -untrusted ../own.pem ../leaf.pem
	ok lamassu ca create root --subject CN=Root --validity 4y
	ok lamassu ca create sub --parent root --subject CN=Sub --validity 3y --issuance-profile tls-client
	later=$(now_plus '+2 years')
	ok lamassu --at "$later" ca reissue sub --new-key -o json
	[[ $stderr == *shortened* ]]
	[ "$(jq -r .valid_to <<<"$output")" = "$(ca_field root .valid_to)" ]
	[ "$(jq -r .issuance_profile_id <<<"$output")" = tls-client ]
	ok lamassu --at "$later" ca reissue sub
	[ "$(ca_field sub .valid_to)" = "$(ca_field root .valid_to)" ]
	fails 5 'after its authority' lamassu --at "$later" ca reissue sub --validity 5y
	fails 4 'exists already' lamassu ca reissue sub --new-key --new-id root
	[ ! -e cas/sub/old-with-new.pem ]
}

@test "C8: revoked, expired and disabled authorities are not reissued; a failure leaves no key" {
	two_tier
	keys=$(ls .git/lamassu/keys)
	fails 5 'EXPIRED' lamassu --at "$(now_plus '+11 years')" ca reissue ca
	ok lamassu ca disable ca
	fails 5 'INACTIVE' lamassu ca reissue ca
	ok lamassu ca enable ca
	ok lamassu ca revoke ca --reason superseded --yes
	fails 5 'REVOKED' lamassu ca reissue ca --new-key
	fails 3 'not found' lamassu ca reissue nothing
	fails 2 'not an id' lamassu ca reissue root --new-key --new-id 'A B'
	fails 5 'does not allow' lamassu ca reissue root --new-key --profile root-ca --key-type ecdsa:256
	[ "$(ls .git/lamassu/keys)" = "$keys" ]
}
