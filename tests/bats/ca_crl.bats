#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# CRLs, judged by openssl and python's cryptography: full, delta, partitioned, indirect, ahead of time, published, from two clones.
load helpers
load ca_helpers

revoke() { ok lamassu cert revoke "$(serial_of "../$1.pem")" --reason "${2:-superseded}" --yes; }
# What openssl says of ../NAME.pem with the CRLs of files: good or revoked, else its words.
judged() { # NAME CRL… [-- OPTIONS…]
	local name=$1 args=() said
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do args+=(-CRLfile "$1"); shift; done
	[ $# -eq 0 ] || { shift; args+=("$@"); }
	said=$(openssl verify -crl_check -CAfile ../root.pem -untrusted ../ca.pem "${args[@]}" "../$name.pem" 2>&1) && { echo good; return; }
	[[ $said == *'certificate revoked'* ]] && echo revoked || echo "$said"
}
idp() { openssl crl -in "$1" -noout -text | grep -A4 'Issuing Distribution Point'; }

@test "C13: a full CRL: numbers, times, reasons, dates; openssl refuses the revoked and accepts the others" {
	two_tier
	for n in a b c d; do csr $n; sign ca $n; done
	ok lamassu ca crl ca --out ../0.crl
	[ "$(crl_entries ../0.crl ../ca.pem)" = '' ]
	grep -q 'No Revoked Certificates' < <(openssl crl -in ../0.crl -noout -text)
	revoke a key_compromise
	revoke b unspecified
	ok lamassu cert revoke "$(serial_of ../c.pem)" --reason superseded --at 2026-01-02 --invalidity 2025-12-24T18:00:00Z --yes
	ok lamassu ca crl ca --out ../1.crl
	openssl crl -in ../1.crl -CAfile ../ca.pem -noout 2>&1 | grep -q 'verify OK'
	[ "$(crl_entries ../1.crl ../ca.pem)" = "$(printf '%s\n' "$(serial_of ../a.pem) keyCompromise" "$(serial_of ../b.pem) -" "$(serial_of ../c.pem) superseded" | sort)" ]
	text=$(openssl crl -in ../1.crl -noout -text)
	[[ $text == *'Version 2'* && $text == *'Jan  2 00:00:00 2026'* && $text == *'Dec 24 18:00:00 2025'* ]]
	no grep -q 'Distribution Point' <<<"$text"
	[ "$(judged a ../1.crl) $(judged d ../1.crl)" = 'revoked good' ]
	openssl crl -in ../1.crl -noout -text | grep -A1 'Authority Key' | tail -n 1 | tr -d ' :' | grep -qi "$(ca_field ca .subject_key_id)"
	[ "$(crl_decimal ../1.crl)" -gt "$(crl_decimal ../0.crl)" ]
	week=$(( $(date -d "$(openssl crl -in ../1.crl -noout -nextupdate | cut -d= -f2)" +%s) - $(date -d "$(openssl crl -in ../1.crl -noout -lastupdate | cut -d= -f2)" +%s) ))
	[ "$week" -eq $((7 * 86400)) ]
	ok lamassu ca crl ca --validity 3d --format der --out ../2.der -o json
	[ "$(jq -c '[.ca,.scope,.entries,.stored]' <<<"$output")" = '["ca","full",3,true]' ]
	[ "$(jq -r .sha256 <<<"$output")" = "$(openssl dgst -sha256 -r ../2.der | cut -d' ' -f1)" ]
	openssl crl -inform DER -in ../2.der -CAfile ../ca.pem -noout 2>&1 | grep -q 'verify OK'
	[ "$(git log -1 --format=%s ledger)" = 'ca: crl of ca' ]
	fails 2 '' lamassu ca crl ca --validity -1d
	fails 2 'no partitions' lamassu ca crl ca --partition 0
	no lamassu ca crl ca --out /dev/full
	ok lamassu repo verify
}

@test "C13: numbers grow within one second, with a clock that stands still, and after a horizon" {
	two_tier
	at=$(now_plus '+1 hour')
	for n in 1 2 3; do ok lamassu --at "$at" ca crl ca --out ../$n.crl; done
	[ "$(crl_decimal ../1.crl)" -lt "$(crl_decimal ../2.crl)" ]
	[ "$(crl_decimal ../2.crl)" -lt "$(crl_decimal ../3.crl)" ]
	[ "$(crl_decimal ../1.crl)" -ge "$(date -d "$at" +%s)" ]
	csr a; sign ca a --profile tls-client --validity 90d
	revoke a
	ok lamassu ca crl ca --horizon 52w --every 4w --out ../crls
	[ "$(find ../crls -name 'ca.*.crl' | wc -l)" -eq 13 ]
	last=0 n=0
	for f in ../crls/*; do
		[ "$(crl_decimal "$f")" -gt "$last" ]
		last=$(crl_decimal "$f")
		openssl crl -in "$f" -CAfile ../ca.pem -noout 2>&1 | grep -q 'verify OK'
		this=$(date -d "$(openssl crl -in "$f" -noout -lastupdate | cut -d= -f2)" +%s)
		next=$(date -d "$(openssl crl -in "$f" -noout -nextupdate | cut -d= -f2)" +%s)
		[ "$n" -eq 0 ] || [ "$this" -le "$end" ]
		end=$next n=$((n + 1))
		# RFC 5280 3.3: the entry stays for one CRL past its end, and then goes
		[ "$(crl_entries "$f" ../ca.pem | wc -l)" -eq "$([ "$n" -le 5 ] && echo 1 || echo 0)" ]
	done
	# A CRL made now is still a whole one, although later ones are recorded.
	ok lamassu ca crl ca --out ../now.crl
	[ "$(crl_entries ../now.crl ../ca.pem | wc -l)" -eq 1 ]
	[ "$(crl_decimal ../now.crl)" -gt "$last" ]
	fails 2 '--out' lamassu ca crl ca --horizon 52w
	fails 2 '1000' lamassu ca crl ca --horizon 52w --every 1m --out ../x
	[ "$(git log --format=%s ledger | grep -c 'crl of ca')" -eq 5 ]
	ok lamassu repo verify
}

@test "C13: an entry stays until one CRL past the end of its certificate" {
	two_tier
	csr a; sign ca a --validity 10d
	revoke a
	ok lamassu ca crl ca --out ../1.crl
	ok lamassu --at "$(now_plus '+9 days')" ca crl ca --out ../2.crl
	ok lamassu --at "$(now_plus '+11 days')" ca crl ca --out ../3.crl
	ok lamassu --at "$(now_plus '+12 days')" ca crl ca --out ../4.crl
	for n in 1 2 3; do [ "$(crl_entries ../$n.crl ../ca.pem | wc -l)" -eq 1 ]; done
	[ "$(crl_entries ../4.crl ../ca.pem)" = '' ]
}

@test "C13: delta CRLs: critical indicator, only what changed, removeFromCRL after a release, one sequence of numbers" {
	two_tier
	settings 'va_domains: [va.example]' 'crl: {delta: true}'
	for n in a b c; do csr $n; sign ca $n; done
	fails 4 'a full one first' lamassu ca crl ca --delta
	revoke a
	ok lamassu cert hold "$(serial_of ../b.pem)" --yes
	ok lamassu ca crl ca --out ../full.crl
	ski=$(openssl x509 -in ../ca.pem -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ' :' | tr A-F a-f)
	openssl crl -in ../full.crl -noout -text | grep -A3 'Freshest CRL' | grep -q "URI:http://va.example/crl/$ski.delta.crl"
	[ "$(crl_entries ../full.crl ../ca.pem | wc -l)" -eq 2 ]
	revoke c
	ok lamassu cert unhold "$(serial_of ../b.pem)"
	ok lamassu ca crl ca --delta --out ../delta.crl
	openssl crl -in ../delta.crl -CAfile ../ca.pem -noout 2>&1 | grep -q 'verify OK'
	openssl crl -in ../delta.crl -noout -text | grep -q 'Delta CRL Indicator: critical'
	no grep -q Freshest < <(openssl crl -in ../delta.crl -noout -text)
	[ "$(crl_entries ../delta.crl ../ca.pem)" = "$(printf '%s\n' "$(serial_of ../b.pem) removeFromCRL" "$(serial_of ../c.pem) superseded" | sort)" ]
	python3 - <<-'P'
		from cryptography import x509
		d, f = (x509.load_pem_x509_crl(open(n, 'rb').read()) for n in ('../delta.crl', '../full.crl'))
		base = d.extensions.get_extension_for_class(x509.DeltaCRLIndicator)
		num = lambda c: c.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
		assert base.critical and base.value.crl_number == num(f) and num(d) > num(f)
	P
	# openssl puts both together
	for n in a c; do [ "$(judged $n ../full.crl ../delta.crl -- -use_deltas -extended_crl)" = revoked ]; done
	[ "$(judged b ../full.crl) $(judged b ../full.crl ../delta.crl -- -use_deltas -extended_crl)" = 'revoked good' ]
	# Made together they have one number and say the same (RFC 5280 5.2.4).
	ok lamassu ca set ca "crl.publish=[$PWD/../pub]"
	ok lamassu ca crl ca --out ../full2.crl
	openssl crl -inform DER -in ../pub/ca.crl -out ../p.crl
	cmp ../p.crl ../full2.crl
	openssl crl -inform DER -in ../pub/ca.delta.crl -out ../pd.crl
	[ "$(crl_number ../pd.crl)" = "$(crl_number ../full2.crl)" ]
	[ "$(crl_entries ../pd.crl ../ca.pem)" = "$(crl_entries ../delta.crl ../ca.pem)" ]
	[ "$(crl_entries ../full2.crl ../ca.pem | cut -d' ' -f1)" = "$(printf '%s\n' "$(serial_of ../a.pem)" "$(serial_of ../c.pem)" | sort)" ]
	ok lamassu repo verify
}

@test "C13: partitions: each certificate's distribution point names its CRL; what is in none stays on a complete one" {
	two_tier
	csr old; sign ca old
	settings 'va_domains: [va.example]'
	ok lamassu ca set ca crl.partitions=3
	for n in 1 2 3 4 5 6; do csr p$n; sign ca p$n; revoke p$n; done
	revoke old
	ok lamassu ca crl ca --out ../crls
	[ "$(ls ../crls)" = $'ca.0.crl\nca.1.crl\nca.2.crl\nca.crl' ]
	total=0
	for p in 0 1 2; do
		crl_entries "../crls/ca.$p.crl" ../ca.pem >"../entries.$p"
		total=$((total + $(wc -l <"../entries.$p")))
		openssl crl -in ../crls/ca.$p.crl -noout -text | grep -q 'Issuing Distribution Point: critical'
	done
	[ "$total" -eq 6 ]
	[ "$(crl_entries ../crls/ca.crl ../ca.pem | wc -l)" -eq 7 ]
	no grep -q 'Distribution Point' < <(openssl crl -in ../crls/ca.crl -noout -text)
	for n in 1 2 3 4 5 6; do
		uri=$(openssl x509 -in ../p$n.pem -noout -ext crlDistributionPoints | sed -n 's/ *URI://p')
		p=${uri%.crl} p=${p##*.}
		grep -q "$(serial_of ../p$n.pem)" ../entries.$p
		idp ../crls/ca.$p.crl | grep -qF "URI:$uri"
		[ "$(judged p$n "../crls/ca.$p.crl" -- -extended_crl)" = revoked ]
		# the CRL of another partition does not cover it
		[[ $(judged p$n "../crls/ca.$(( (p + 1) % 3 )).crl" -- -extended_crl) == *'CRL scope'* ]]
	done
	[ "$(judged old ../crls/ca.crl)" = revoked ]
	ok lamassu ca crl ca --partition 1 --out ../one.crl
	[ "$(crl_entries ../one.crl ../ca.pem)" = "$(cat ../entries.1)" ]
	fails 2 'partitions 0 to 2' lamassu ca crl ca --partition 3
	# Fewer partitions, or none: those in use go on, and nobody falls off.
	ok lamassu ca set ca crl.partitions=1
	ok lamassu ca crl ca --out ../fewer -o json
	all=$(for f in ../fewer/ca.[0-9].crl; do crl_entries "$f" ../ca.pem; done | wc -l)
	[ "$all" -eq 6 ]
	ok lamassu ca set ca crl.partitions=
	ok lamassu ca crl ca --out ../none
	[ "$(for f in ../none/ca.[0-9].crl; do crl_entries "$f" ../ca.pem; done | wc -l)" -eq 6 ]
	# Addresses that do not tell partitions apart
	ok lamassu ca set ca crl.partitions=2 'crl.crl_distribution_points=["http://x.example/ca.crl"]'
	fails 2 '${partition}' lamassu ca crl ca
	csr q; sign ca q
	[ "$(cert_field "$serial" .partition)" = null ] || [ "$(cert_field "$serial" .partition)" = -1 ]
	ok lamassu ca set ca 'crl.crl_distribution_points=["http://x.example/${partition}.crl"]'
	sign ca q
	openssl x509 -in ../q.pem -noout -ext crlDistributionPoints | grep -qE 'http://x.example/[01].crl'
	ok lamassu repo verify
}

@test "C13: an indirect CRL: the issuer's key signs, the certificates name it, every entry belongs to the authority" {
	two_tier
	ok lamassu profile create -f - <<<'{id: crl-issuer, key_usage: {crl_sign: true, digital_signature: true}, honor_subject: true, validity: {type: Duration, duration: 5y}}'
	ok lamassu kms key create crl-key --key-type ecdsa:256
	settings 'va_domains: [va.example]'
	ok lamassu cert issue --ca ca --subject "CN=CRL Issuer,O=Acme" --key crl-key --profile crl-issuer --out ../issuer.pem
	ok lamassu ca set ca crl.issuer_key=crl-key
	for n in a b c d; do csr $n; sign ca $n; done
	for n in a b c; do revoke $n; done
	openssl x509 -in ../a.pem -noout -ext crlDistributionPoints | grep -A1 'CRL Issuer' | grep -q 'CN = CRL Issuer'
	ok lamassu ca crl ca --out ../i.crl
	openssl crl -in ../i.crl -noout -issuer | grep -q 'CN = CRL Issuer'
	[ "$(crl_entries ../i.crl ../issuer.pem | wc -l)" -eq 3 ]
	openssl crl -in ../i.crl -noout -text | grep -A3 'Issuing Distribution Point: critical' | grep -q 'Indirect CRL'
	for n in a b c; do [ "$(judged $n ../i.crl -- -extended_crl -untrusted ../issuer.pem)" = revoked ]; done
	[ "$(judged d ../i.crl -- -extended_crl -untrusted ../issuer.pem)" = good ]
	ok lamassu repo verify
	ok lamassu kms key create other --key-type ecdsa:256
	ok lamassu ca set ca crl.issuer_key=other
	fails 3 'no certificate in the ledger' lamassu ca crl ca
}

@test "C13: --due is silent until the interval or the CRL's end; a CRL never ends before the next is due" {
	two_tier
	ok lamassu ca crl ca --due
	[ "$output$stderr" = '' ]
	ok lamassu ca set ca crl.crl_update_interval_hours=6
	ok lamassu ca crl ca --due --out ../1.crl
	openssl crl -in ../1.crl -noout
	head=$(git rev-parse ledger)
	ok lamassu --at "$(now_plus '+5 hours')" ca crl ca --due --out ../2.crl
	[ ! -e ../2.crl ]
	[ "$(git rev-parse ledger)" = "$head" ]
	ok lamassu --at "$(now_plus '+361 minutes')" ca crl ca --due --out ../2.crl
	[ "$(crl_decimal ../2.crl)" -gt "$(crl_decimal ../1.crl)" ]
	ok lamassu ca set ca crl.crl_update_interval_hours=
	ok lamassu --at "$(now_plus '+8 days')" ca crl ca --due --out ../3.crl
	openssl crl -in ../3.crl -noout
	ok lamassu ca set ca crl.crl_update_interval_hours=720
	ok lamassu --at "$(now_plus '+9 days')" ca crl ca --out ../4.crl
	[ "$(date -d "$(openssl crl -in ../4.crl -noout -nextupdate | cut -d= -f2)" +%s)" -gt "$(date -d '+39 days' +%s)" ]
	ok lamassu ca set ca crl.crl_update_interval_hours= crl.validity=2d
	ok lamassu --at "$(now_plus '+10 days')" ca crl ca --out ../5.crl
	[ "$(date -d "$(openssl crl -in ../5.crl -noout -nextupdate | cut -d= -f2)" +%s)" -lt "$(date -d '+13 days' +%s)" ]
	# the profile that shapes an authority gives the interval
	ok lamassu profile create -f - <<<'{id: sub, sign_as_ca: true, honor_subject: true, key_usage: {cert_sign: true, crl_sign: true}, validity: {type: Duration, duration: 2y}, crl_update_interval_hours: 12, crl_validity: 1d}'
	ok lamassu ca create x --parent root --subject CN=X --profile sub
	git show HEAD:cas/x/ca.yaml | grep -A2 '^crl:' | grep -q 'crl_update_interval_hours: 12'
}

@test "C13 C3: authorities that are revoked, disabled or expired still sign CRLs" {
	two_tier
	ok lamassu ca disable root
	ok lamassu ca crl root --out ../1.crl
	ok lamassu ca revoke ca --reason superseded --yes
	ok lamassu ca crl ca --out ../2.crl
	openssl crl -in ../2.crl -CAfile ../ca.pem -noout 2>&1 | grep -q 'verify OK'
	ok lamassu ca crl root --out ../3.crl
	[ "$(crl_entries ../3.crl ../root.pem)" = "$(serial_of ../ca.pem) superseded" ]
	ok lamassu --at "$(now_plus '+21 years')" ca crl root --out ../4.crl
	ok lamassu profile create -f - <<<'{id: no-crl, sign_as_ca: true, honor_subject: true, key_usage: {cert_sign: true}, validity: {type: Duration, duration: 2y}}'
	ok lamassu ca create n --subject CN=N --profile no-crl
	fails 5 'cRLSign' lamassu ca crl n
}

@test "C13 S13: two clones: nobody's revocation is lost; without the remote, as crl.sync says" {
	two_tier
	for n in a b; do csr $n; sign ca $n; done
	git init -q --bare -b main ../hub.git
	git remote add origin ../hub.git
	ok lamassu repo sync
	git clone -q ../hub.git ../two
	mkdir -m 700 ../two/.git/lamassu
	cp -rp .git/lamassu/keys ../two/.git/lamassu/
	revoke a
	(cd ../two && ok lamassu cert revoke "$(serial_of ../b.pem)" --reason superseded --yes)
	# `ca crl` syncs first: the CRL of each has both
	(cd ../two && ok lamassu ca crl ca --out ../two.crl && ok lamassu repo sync)
	ok lamassu ca crl ca --out ../one.crl
	[ "$(crl_entries ../one.crl ../ca.pem | wc -l)" -eq 2 ]
	[ "$(crl_decimal ../one.crl)" -gt "$(crl_decimal ../two.crl)" ]
	# without the remote: a warning, or a refusal
	mv ../hub.git ../gone.git
	ok lamassu ca crl ca --out ../x.crl
	[[ $stderr == *'may lack what other clones have revoked'* ]]
	settings 'crl: {sync: required}'
	fails 6 'crl.sync' lamassu ca crl ca
	printf '%s\n' "$(sed 's/sync: required/sync: off/' lamassu.yaml)" >lamassu.yaml
	git -c user.name=t -c user.email=t@e commit -qam off
	ok lamassu ca crl ca --out ../x.crl
	[ "$stderr" = '' ]
	ok lamassu repo verify
}

@test "C13 C11: published folders of the repository are its own, wherever the command runs" {
	two_tier
	ok lamassu ca set ca 'crl.publish=[site/crls]'
	mkdir deep && cd deep
	ok lamassu ca crl ca -o json
	[ "$(jq -r .scope <<<"$output")" = full ]
	openssl crl -inform DER -in ../site/crls/ca.crl -noout
}
