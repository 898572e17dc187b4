#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Revoking, deleting and compromised authorities.
load helpers
load ca_helpers

# root > mid > low, with a leaf below each of the last two: ../m.pem and ../l.pem
tree() {
	new_pki || return 1
	ok lamassu ca create root --subject CN=Root --validity 20y || return 1
	ok lamassu ca create mid --parent root --subject CN=Mid --validity 10y --issuance-profile tls-client || return 1
	ok lamassu ca create low --parent mid --subject CN=Low --validity 5y --issuance-profile tls-client || return 1
	export_ca root mid low && csr m && csr l && sign mid m && sign low l
}
reason() { cert_field "$(serial_of "../$1.pem")" '[.status,.revocation_reason] | map(. // "-") | join(" ")'; }

@test "C9: revoking an authority alone; its certificate is in the parent's CRL, what it issued is not touched" {
	tree
	fails 2 '--yes' lamassu --no-input ca revoke mid --reason superseded </dev/null
	fails 2 'RFC 5280 5.3.1' lamassu ca revoke mid --reason because --yes
	fails 2 'remove_from_crl' lamassu ca revoke mid --reason remove_from_crl --yes
	fails 2 '--reason' lamassu ca revoke mid --yes
	ok lamassu ca revoke mid --reason affiliationChanged --note 'sold' --yes
	[[ $output == 'revoked ca mid: 1 certificate' ]]
	[ "$(reason mid)" = 'REVOKED affiliation_changed' ]
	[ "$(reason m) / $(reason l)" = 'ACTIVE - / ACTIVE -' ]
	[ "$(ca_field low .status)" = ACTIVE ]
	ok lamassu ca crl root --out ../root.crl
	[ "$(crl_entries ../root.crl ../root.pem)" = "$(serial_of ../mid.pem) affiliationChanged" ]
	no openssl verify -crl_check_all -trusted ../root.pem -untrusted ../mid.pem -CRLfile ../root.crl ../m.pem
	git grep -q sold ledger
	fails 4 'nothing to revoke' lamassu ca revoke mid --reason superseded --yes
	# its own CRLs go on
	ok lamassu ca crl mid --out ../mid.crl
	openssl crl -in ../mid.crl -CAfile ../mid.pem -noout 2>&1 | grep -q 'verify OK'
	# and the cascade can follow later, with what is below those that were revoked already
	ok lamassu ca revoke mid --reason superseded --cascade --yes
	[ "$(reason mid)" = 'REVOKED affiliation_changed' ]
	[ "$(reason m) / $(reason low) / $(reason l)" = 'REVOKED cessation_of_operation / REVOKED cessation_of_operation / REVOKED cessation_of_operation' ]
}

@test "C9: a cascade reaches every depth, in one commit, with the reasons of RFC 5280" {
	tree
	for n in 1 2 3; do csr x$n; sign low x$n; done
	head=$(git rev-list --count ledger)
	ok lamassu ca revoke mid --reason key_compromise --cascade --yes
	[ "$(($(git rev-list --count ledger) - head))" -eq 1 ]
	[ "$(reason mid)" = 'REVOKED key_compromise' ]
	for n in m low l x1 x2 x3; do [ "$(reason $n)" = 'REVOKED ca_compromise' ]; done
	[ "$(reason root)" = 'ACTIVE -' ]
	for c in root mid low; do ok lamassu ca crl $c --out ../$c.crl; done
	[ "$(crl_entries ../low.crl ../low.pem | wc -l)" -eq 4 ]
	[ "$(crl_entries ../mid.crl ../mid.pem | wc -l)" -eq 2 ]
	for crl in low mid root; do openssl crl -in ../$crl.crl -CAfile ../$crl.pem -noout 2>&1 | grep -q 'verify OK'; done
	ok lamassu repo verify
	# a root that is revoked takes everything along
	ok lamassu ca revoke root --reason cessation_of_operation --cascade --yes
	[ "$(ca_field root .status)" = REVOKED ]
}

@test "C9: a hold of an authority can be lifted, and ends nothing below it for good" {
	tree
	ok lamassu ca revoke mid --reason certificate_hold --cascade --yes
	[ "$(reason mid) / $(reason m) / $(reason low)" = 'HELD certificate_hold / HELD certificate_hold / HELD certificate_hold' ]
	[ "$(ca_field mid .status)" = REVOKED ]
	ok lamassu cert unhold "$(serial_of ../mid.pem)" "$(serial_of ../m.pem)"
	[ "$(ca_field mid .status)" = ACTIVE ]
	[ "$(reason m) / $(reason l)" = 'ACTIVE - / HELD certificate_hold' ]
	# what is on hold is revoked for good by a cascade
	ok lamassu ca revoke mid --reason superseded --cascade --yes
	[ "$(reason low) / $(reason l)" = 'REVOKED cessation_of_operation / REVOKED cessation_of_operation' ]
}

@test "C9: earlier certificates of an authority are revoked with it" {
	tree
	ok lamassu ca reissue mid
	ok lamassu ca revoke mid --reason superseded --yes
	[[ $output == *'2 certificates'* ]]
	[ "$(reason mid)" = 'REVOKED superseded' ]
	ok lamassu ca crl root --out ../root.crl
	[ "$(crl_entries ../root.crl ../root.pem | wc -l)" -eq 2 ]
}

@test "C9: delete refuses while live certificates, children or profiles depend on it; the key goes only when asked for" {
	tree
	fails 4 'live certificate' lamassu ca delete low --yes
	fails 2 '--yes' lamassu --no-input ca delete low </dev/null
	ok lamassu cert hold "$(serial_of ../l.pem)" --yes
	fails 4 'live certificate' lamassu ca delete low --yes
	ok lamassu cert revoke "$(serial_of ../l.pem)" --reason superseded --yes
	ok lamassu profile create -f - <<<'{id: only-low, ca_id: low, key_usage: {digital_signature: true}, honor_subject: true}'
	fails 4 'profile only-low' lamassu ca delete low --yes
	ok lamassu profile delete only-low --yes
	key=$(ca_field low .key_id)
	ok lamassu ca delete low --yes
	fails 3 'not found' lamassu ca show low
	[ -f ".git/lamassu/keys/$key.pem" ]
	[ "$(lamassu kms key show "$key" -o json | jq -c '.metadata["lamassu.io/kms/binded-resources"] // []')" = '[]' ]
	[ ! -e cas/low ]
	# what it issued stays in the ledger, and its id is not taken again
	[ "$(cert_field "$(serial_of ../l.pem)" .status)" = REVOKED ]
	fails 4 'take another id' lamassu ca create low --parent mid --subject CN=Low --validity 1y
	# children: only with the parent, when nothing lives
	ok lamassu ca create child --parent mid --subject CN=Child --validity 1y
	fails 4 'live certificate' lamassu ca delete mid --yes
	ok lamassu ca revoke mid --reason superseded --cascade --yes
	fails 4 'parent of child' lamassu ca delete mid --yes
	key=$(ca_field mid .key_id) child=$(ca_field child .key_id)
	ok lamassu ca delete mid --cascade --delete-key --note 'no more' --yes
	[ ! -e ".git/lamassu/keys/$key.pem" ]
	[ -f ".git/lamassu/keys/$child.pem" ]
	git grep -q 'no more' ledger
	# a root that was reissued or switched off is its own only certificate
	ok lamassu ca reissue root
	ok lamassu ca disable root
	ok lamassu ca delete root --yes
	[ "$(lamassu ca list -o json | jq '.list | length')" -eq 0 ]
	ok lamassu repo verify
}

@test "C15: the incident plan: nothing is issued any more, all is revoked, CRLs of all concerned, notice and list" {
	tree
	ok lamassu ca sign low --csr ../l.csr --device sensor-7 --out ../d.pem
	ok lamassu ca compromise mid --out ../incident --note 'stolen' --yes -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 4 ]
	[ "$(jq -r '.list[] | select(.device == "sensor-7") | .action' <<<"$output")" = 'enrol the device again with a new key' ]
	[ "$(jq -r ".list[] | select(.serial_number == \"$(serial_of ../low.pem)\") | .action" <<<"$output")" = 'make a new authority' ]
	[ "$(ca_field mid .status)" = REVOKED ]
	list=$(jq -S .list <<<"$output")
	ok lamassu ca compromise mid --yes -o json # as after a plan that was cut off
	[ "$(jq -S .list <<<"$output")" = "$list" ]
	for n in mid m low l d; do [ "$(reason $n)" = 'REVOKED ca_compromise' ]; done
	crl_entries ../incident/root.crl ../root.pem | grep -qx "$(serial_of ../mid.pem) cACompromise"
	[ "$(crl_entries ../incident/mid.crl ../mid.pem | wc -l)" -eq 2 ]
	[ "$(crl_entries ../incident/low.crl ../low.pem | wc -l)" -eq 2 ]
	no openssl verify -crl_check_all -trusted ../root.pem -untrusted ../mid.pem -untrusted ../low.pem \
		-CRLfile <(cat ../incident/*.crl) ../l.pem
	grep -q 'CN=Mid' ../incident/notice.txt
	grep -qi "$(openssl x509 -in ../mid.pem -noout -fingerprint -sha256 | cut -d= -f2 | tr -d :)" ../incident/notice.txt
	git grep -q stolen ledger
	fails 5 'compromised' lamassu ca enable mid
	fails 5 'compromised' lamassu ca sign mid --csr ../m.csr
	fails 5 '' lamassu ca sign low --csr ../m.csr
	ok lamassu ca sign root --csr ../m.csr --profile tls-client
	fails 2 '--yes' lamassu --no-input ca compromise root </dev/null
	ok lamassu repo verify
}

@test "C15: a parent whose key is elsewhere is named; an authority revoked before can be compromised too" {
	tree
	cd .. && ok lamassu init on --unencrypted-keys && cd on
	ok lamassu ca import mid --cert <(cat ../mid.pem ../root.pem) --key <(cat ../pki/.git/lamassu/keys/"$(openssl x509 -in ../mid.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)".pem)
	ok lamassu ca revoke mid --reason superseded --yes
	ok lamassu ca compromise mid --yes
	[[ $stderr == *'ca root has no key here'* ]]
	[ "$(ca_field mid .status)" = REVOKED ]
}
