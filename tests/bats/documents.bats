# What documents tell is true: the tour of the README works when it is pasted, and no document names a command that is not there.
load helpers

@test "documents: the tour of the README works when it is pasted" {
	sed -n '/^```sh$/,/^```$/p' "$LAMASSU_SOURCE/README.md" | grep -v '^```' >tour.sh
	[ "$(grep -c lamassu tour.sh)" -gt 10 ]
	mkdir bin && ln -s "$LAMASSU" bin/lamassu
	unset LAMASSU_OPERATOR LAMASSU_PASSPHRASE
	PATH=$PWD/bin:$PATH ok bash -eu tour.sh
	[[ $output == *"ca: create root"* ]]
	ok openssl crl -in pki/devices.crl -noout -text
	[[ $output == *"Key Compromise"* ]]
	ok lamassu -C pki ca export root --out root.pem
	ok lamassu -C pki ca export web --out web.pem
	ok openssl verify -CAfile root.pem -untrusted web.pem -verify_hostname www.example.org pki/www.pem
}

@test "documents: every command that a document names exists" {
	grep -rhoE '(^|[`( ])lamassu [a-z][a-z-]+ [a-z-]+( [a-z-]+)?' "$LAMASSU_SOURCE"/README.md "$LAMASSU_SOURCE"/docs \
		"$LAMASSU_SOURCE"/examples/*/README.md | sed 's/^[^l]*lamassu //' | sort -u >named
	[ "$(wc -l <named)" -gt 10 ]
	"$LAMASSU" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' >nouns
	while read -r noun verb rest; do
		case $noun in init | completion | help | version) continue ;; esac
		grep -qx "$noun" nouns || continue
		[ "$noun" != kms ] || verb="$verb $rest"
		# shellcheck disable=SC2086 # one or two words
		ok "$LAMASSU" help "$noun" $verb
	done <named
}

@test "documents: every link between documents leads somewhere" {
	for doc in "$LAMASSU_SOURCE"/*.md "$LAMASSU_SOURCE"/docs/*.md "$LAMASSU_SOURCE"/examples/*.md "$LAMASSU_SOURCE"/examples/*/*.md; do
		grep -oE '\]\([^)#: ]+[)#]' "$doc" | sed 's/^](//; s/[)#]$//' | while read -r link; do
			[ -e "${doc%/*}/$link" ] || { echo "$doc: $link"; exit 1; }
		done
	done
}

@test "completion: paths where one form of a value is a path, and the words that are known" {
	"$LAMASSU" init pki --operator 'Ada <ada@example.org>' >/dev/null
	offered() { "$LAMASSU" __complete -C pki "$@" | cut -f1 | paste -sd' '; }
	[ "$(offered ca sign x --csr '')" = @file ]
	[ "$(offered est-serve --tls-key '')" = @file ]
	[ "$(offered ca import x --cert '')" = @file ]
	[ "$(offered cert revoke x --reason p)" = privilege_withdrawn ]
	[ "$(offered cert revoke x --reason '')" = "unspecified key_compromise ca_compromise affiliation_changed superseded \
cessation_of_operation certificate_hold privilege_withdrawn aa_compromise" ]
	[ "$(offered ca create x --key-type ecdsa:3)" = ecdsa:384 ]
	[ "$(offered kms key sign k --algorithm ECDSA_SHA_2)" = ECDSA_SHA_256 ]
}
