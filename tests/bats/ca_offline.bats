#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# An offline root: two repositories that meet only through files. Cross certificates.
load helpers
load ca_helpers

# Two repositories, ../off with a root and ../on without anything; the current folder is ../on.
two_repos() {
	ok lamassu init off --unencrypted-keys && ok lamassu init on --unencrypted-keys && mkdir stick && cd off || return 1
	ok lamassu profile create -f - <<<'{id: sub, sign_as_ca: true, path_length: 0, honor_subject: true, key_usage: {cert_sign: true, crl_sign: true}, validity: {type: Duration, duration: 5y}}' || return 1
	ok lamassu ca create root --subject "CN=Offline Root,O=Acme" --validity 20y || return 1
	ok lamassu ca export root --out ../stick/root.pem
	cd ../on || return 1
}
off() { ( cd ../off && lamassu "$@" ); }

@test "C12 C13: request, sign offline, install; then CRLs travel the same way and revoke what they list" {
	two_repos
	ok lamassu ca request issuing --subject "CN=Acme Issuing CA,O=Acme" --key-type ecdsa:256 --issuance-profile tls-client --out ../stick/issuing.csr
	openssl req -in ../stick/issuing.csr -noout -verify -text >../req.txt 2>&1
	grep -q 'verify OK' ../req.txt
	grep -q 'CA:TRUE' ../req.txt
	[ "$(ca_field issuing '[.status,.type,.key_type] | join(" ")')" = 'PENDING MANAGED ecdsa:256' ]
	[ "$(ca_field issuing .key_id)" = "$(openssl req -in ../stick/issuing.csr -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)" ]
	[ "$(git log -1 --format=%s)" = 'ca: request issuing' ]
	# On the offline machine the request is signed like any other, with a profile.
	fails 2 'ca set CA issuance_profile_id=PROFILE' off ca sign root --csr ../stick/issuing.csr
	ok off ca sign root --csr ../stick/issuing.csr --profile sub --chain --out ../stick/issuing.pem
	ok lamassu ca install issuing --cert ../stick/issuing.pem
	[ "$(ca_field issuing '[.status,.level,.parent_id] | join(" ")')" = 'ACTIVE 1 offline-root' ]
	[ "$(ca_field offline-root .type)" = IMPORTED_WITHOUT_KEY ]
	csr a
	sign issuing a
	export_ca issuing
	accepted ../a.pem ../issuing.pem ../stick/root.pem
	fails 4 'installed already' lamassu ca install issuing --cert ../stick/issuing.pem
	# CRLs: numbers must grow, the signature must be the root's.
	ok off ca crl root --out ../stick/root.crl
	ok lamassu ca install offline-root --crl ../stick/root.crl
	[[ $output == *"installed CRL $(crl_decimal ../stick/root.crl)"* ]]
	fails 4 'is not above' lamassu ca install offline-root --crl ../stick/root.crl
	sed 's/./&/' ../stick/root.crl | openssl crl -outform DER -out ../bad.crl
	python3 -c "d=bytearray(open('../bad.crl','rb').read()); d[-1]^=1; open('../bad.crl','wb').write(d)"
	fails 5 'does not verify' lamassu ca install offline-root --crl ../bad.crl
	ok lamassu ca crl issuing --out ../issuing.crl
	fails 5 'issuer is not' lamassu ca install offline-root --crl ../issuing.crl
	# What the root revokes offline is revoked here when its CRL arrives.
	ok off cert revoke "$(serial_of ../issuing.pem)" --reason cessation_of_operation --yes
	ok off ca crl root --out ../stick/root2.crl
	ok lamassu ca install offline-root --crl ../stick/root2.crl
	[[ $output == *'revokes 1 '* ]]
	[ "$(ca_field issuing .status)" = REVOKED ]
	[ "$(cert_field "$(serial_of ../issuing.pem)" .revocation_reason)" = cessation_of_operation ]
	fails 5 'REVOKED' lamassu ca sign issuing --csr ../a.csr
	# A CRL that was made ahead, for another time than this one, is named.
	ok off ca crl root --horizon 12w --every 4w --out ../stick/ahead
	files=(../stick/ahead/*)
	ok lamassu -n ca install offline-root --crl "${files[0]}"
	[ -z "$stderr" ]
	ok lamassu -n ca install offline-root --crl "${files[1]}"
	[[ $stderr == *'until then there is none'* ]]
	ok lamassu -n --at 30w ca install offline-root --crl "${files[0]}"
	[[ $stderr == *'was good until'* ]]
	no openssl verify -crl_check -trusted ../stick/root.pem -CRLfile ../stick/root2.crl ../issuing.pem
	fails 2 'one of them' lamassu ca install offline-root
	ok lamassu repo verify
}

@test "C12: a renewal by the parent elsewhere; wrong answers are refused" {
	two_repos
	ok lamassu ca request issuing --subject "CN=I" --out ../stick/i.csr
	ok off ca sign root --csr ../stick/i.csr --profile sub --out ../stick/i.pem
	csr other
	ok off ca sign root --csr ../on/../other.csr --profile sub --out ../stick/other.pem
	fails 5 'for the key' lamassu ca install issuing --cert ../stick/other.pem
	ok off ca sign root --csr ../stick/i.csr --profile tls-client --out ../stick/leaf.pem
	fails 5 'not a CA' lamassu ca install issuing --cert ../stick/leaf.pem
	[ "$(ca_field issuing .status)" = PENDING ]
	fails 3 'not found' lamassu ca install nothing --cert ../stick/i.pem
	ok lamassu ca install issuing --cert ../stick/i.pem
	[[ $stderr == *'its parent is not known here'* ]]
	[ "$(ca_field issuing .issuer_metadata.id)" = - ]
	fails 5 'elsewhere' lamassu ca reissue issuing
	# the same subject and key asked again, with the record as it stands
	first=$(ca_field issuing .serial_number)
	ok lamassu ca request issuing --out ../stick/i2.csr
	[ "$(openssl req -in ../stick/i2.csr -noout -subject)" = 'subject=CN = I' ]
	ok lamassu ca request issuing --subject CN=I --out ../stick/i2.csr
	fails 4 'another subject' lamassu ca request issuing --subject CN=J --out ../stick/j.csr
	[ ! -e ../stick/j.csr ]
	ok off ca sign root --csr ../stick/i2.csr --profile sub --out ../stick/i2.pem
	ok lamassu ca install issuing --cert ../stick/i2.pem
	[ "$(ca_field issuing '.previous_serials | join(" ")')" = "$first" ]
	[ "$(lamassu ca show "$first" -o id)" = issuing ]
	ok lamassu ca export issuing --link "$first"
	openssl x509 -noout -serial <<<"$output" | grep -qi "$first"
	ok off ca sign root --csr ../stick/i2.csr --profile sub --subject CN=Renamed --out ../stick/i3.pem
	fails 5 'another subject' lamassu ca install issuing --cert ../stick/i3.pem
	# the parent arrives last
	ok lamassu ca import root --cert ../stick/root.pem
	[ "$(ca_field issuing '[.level,.parent_id] | join(" ")')" = '1 root' ]
	ok lamassu ca revoke issuing --reason superseded --yes
	[ "$(cert_field "$first" .status)" = REVOKED ]
	ok lamassu repo verify
}

@test "C8 C12: a cross certificate gives a second path; openssl follows both" {
	new_pki
	ok lamassu ca create r1 --subject CN=R1 --validity 20y
	ok lamassu ca create r2 --subject CN=R2 --validity 20y
	ok lamassu ca create ca --parent r1 --subject CN=CA --validity 5y --issuance-profile tls-client
	ok lamassu profile create -f - <<<'{id: sub, sign_as_ca: true, honor_subject: true, key_usage: {cert_sign: true, crl_sign: true}, validity: {type: Duration, duration: 5y}}'
	ok lamassu ca request ca --out ../ca.csr
	ok lamassu ca sign r2 --csr ../ca.csr --profile sub --out ../cross.pem
	ok lamassu ca install ca --cert ../cross.pem --cross
	[ "$(ca_field ca .parent_id)" = r1 ]
	fails 4 'installed already' lamassu ca install ca --cert ../cross.pem --cross
	fails 5 'another issuer' lamassu ca install r1 --cert <(lamassu ca export r1) --cross
	fails 5 'for the key' lamassu ca install r1 --cert ../cross.pem --cross
	export_ca r1 r2 ca
	csr leaf
	sign ca leaf
	accepted ../leaf.pem ../ca.pem ../r1.pem
	accepted ../leaf.pem ../cross.pem ../r2.pem
	cross=$(serial_of ../cross.pem)
	ok lamassu ca export ca --link "cross-$cross" --out ../cross2.pem
	cmp ../cross.pem ../cross2.pem
	[ "$(lamassu ca show "$cross" -o id)" = ca ]
	ok lamassu cert list --all --filter "serial_number=$cross" -o id
	[ "$(wc -l <<<"$output")" -eq 1 ]
	# A cascade from R2 revokes the cross certificate, and the other path stays.
	ok lamassu ca revoke r2 --reason cessation_of_operation --cascade --yes
	[ "$(cert_field "$cross" .status)" = REVOKED ]
	[ "$(ca_field ca .status)" = ACTIVE ]
	ok lamassu ca sign ca --csr ../leaf.csr
	ok lamassu repo verify
}
