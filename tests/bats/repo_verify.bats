bats_require_minimum_version 1.5.0
load helpers
load repo_helpers

problem() { # problem OBJECT PROBLEM: one of the findings
	jq -e --arg o "$1" --arg p "$2" '.list | any((.object | contains($o)) and (.problem | contains($p)) and (.repair | length > 0))' <<<"$output" >/dev/null ||
		{ printf 'no finding "%s" about "%s" in:\n%s\n' "$2" "$1" "$output"; return 1; }
}

wrong() { # wrong [OPTION…]: verify finds something
	fails 5 problem lamassu repo verify -o json "$@"
}

@test "repo verify C13: a repository with certificates, revocations and CRLs is right, and git fsck agrees" {
	two_tier
	issue a
	ok lamassu cert revoke "$serial" --reason key_compromise -y
	issue b
	ok lamassu cert revoke "$serial" --reason certificate_hold -y
	ok lamassu ca crl sub
	ok lamassu ca crl root
	ok lamassu ca crl sub --delta
	ok lamassu repo verify
	[[ $output == 'nothing is wrong: 2 authorities, 4 certificates, 3 CRLs' ]]
	ok lamassu repo verify --full -o json
	[ "$(jq -c . <<<"$output")" = '{"list":[],"next":null}' ]
	ok git fsck --strict
	[ -z "$stderr" ]
}

@test "repo verify: an entry that somebody changed or removed is named with its commit; so is a foreign commit" {
	two_tier
	issue a
	path=$(find_entry "$serial")
	on_ledger sed -i 's/^profile: .*/profile: other/' "$path"
	wrong
	problem "$path" 'Eve <eve@example.org> changed the entry'
	[[ $stderr == *'was not made by lamassu: "by hand"'* ]]
	on_ledger git rm -q "$path"
	wrong
	problem "$path" 'removed the entry'
	[ "$(jq '[.list[] | select(.problem | contains("the entry, and"))] | length' <<<"$output")" -eq 2 ]
}

@test "repo verify: what was found right is not read again, --full reads everything" {
	two_tier
	echo 'a note' >note.txt
	git add note.txt && git commit -qm note
	ok lamassu repo verify
	[ "$(sed -n 1p .git/lamassu/verified)" = "$(git rev-parse ledger)" ]
	[ "$(sed -n 2p .git/lamassu/verified)" = "$(git rev-parse main)" ]
	issue a
	ok lamassu repo verify
	[ "$(sed -n 1p .git/lamassu/verified)" = "$(git rev-parse ledger)" ]
	ok lamassu repo verify --full
}

@test "repo verify: a private key in any commit of either history is found, also after it was removed" {
	two_tier
	openssl genpkey -algorithm ED25519 -out key.txt
	git add -f key.txt && git commit -qm key && git rm -q key.txt && git commit -qm 'no key'
	wrong
	problem key.txt 'holds a private key'
	openssl genpkey -algorithm ED25519 | openssl pkcs8 -topk8 -passout pass:x -out "$BATS_TEST_TMPDIR/sealed.pem"
	on_ledger cp "$BATS_TEST_TMPDIR/sealed.pem" note.pem
	wrong
	problem note.pem 'holds a private key'
}

@test "repo verify: heads that disagree with their certificates, foreign certificates, bad entries" {
	two_tier
	issue a
	path=$(find_entry "$serial")
	git show "ledger:$path" >"$BATS_TEST_TMPDIR/entry"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../stranger.key -subj /CN=stranger -days 9 \
		-set_serial 0x1234 -out "$BATS_TEST_TMPDIR/stranger.pem" 2>/dev/null
	plant() {
		local dir=issued/00/00/00 print
		sed 's/^subject: .*/subject: CN=somebody/' "$BATS_TEST_TMPDIR/entry" >"$dir/$serial.twin.pem"
		print=$(openssl x509 -in "$BATS_TEST_TMPDIR/stranger.pem" -outform DER | sha256sum | cut -d' ' -f1)
		{
			printf 'serial_number: "1234"\nca: sub\nsubject: CN=stranger\ncommon_name: stranger\nfingerprint: %s\n' "$print"
			openssl x509 -in "$BATS_TEST_TMPDIR/stranger.pem" -noout -startdate -enddate -dateopt iso_8601 |
				sed 's/notBefore=/not_before: /; s/notAfter=/not_after: /; s/\([0-9]\) \([0-9]\)/\1T\2/'
			printf 'is_ca: true\n'
			cat "$BATS_TEST_TMPDIR/stranger.pem"
		} >"$dir/1234.stranger.pem"
		sed 's/^fingerprint: ./fingerprint: x/' "$BATS_TEST_TMPDIR/entry" >"$dir/$serial.broken.pem"
		mkdir -p revoked/00/00/00
		echo 'nonsense: true' >revoked/00/00/00/77.yaml
	}
	on_ledger plant
	wrong
	problem "$serial.twin.pem" 'subject: the head says otherwise'
	problem 1234.stranger.pem 'its issuer is not ca sub'
	problem "$serial.broken.pem" 'SHA-256'
	problem 77.yaml nonsense
}

@test "repo verify: records, references, names and keys that do not fit" {
	two_tier
	mkdir -p profiles/odd
	sed 's/^id: .*/id: another/' profiles/tls-server.yaml >profiles/renamed.yaml
	echo 'id: [' >profiles/broken.yaml
	cp profiles/tls-server.yaml 'profiles/Not An Id.yaml'
	sed -i 's/^issuance_profile_id: .*/issuance_profile_id: gone/' cas/sub/ca.yaml
	key=$(sed -n 's/^key: //p' cas/root/ca.yaml)
	sed "s/$key/$(printf '0%.0s' {1..64})/" "keys/$key.yaml" >"keys/$(printf '0%.0s' {1..64}).yaml"
	ln -s /etc/passwd profiles/link.yaml
	git add -A && git commit -qm 'by hand'
	wrong
	problem profiles/renamed.yaml 'as in the name of the file'
	problem profiles/broken.yaml broken.yaml:
	problem 'profiles/Not An Id.yaml' 'it is not a profile'
	problem cas/sub/ca.yaml 'issuance_profile_id: profile "gone" is not there'
	problem keys/000 'the id is not the digest of the public key'
	problem profiles/link.yaml 'symbolic link'
}

@test "repo verify: certificates of authorities that were exchanged or are missing" {
	two_tier
	ok lamassu ca create other --subject CN=Other
	cp cas/other/ca.pem cas/sub/ca.pem
	git commit -qam 'swap'
	wrong
	problem cas/sub/ca.pem 'not the certificate that ca.yaml names'
	git revert -n HEAD && git commit -qm back
	sed -i 's/^parent_id: root/parent_id: other/' cas/sub/ca.yaml
	git commit -qam 'wrong parent'
	wrong
	problem cas/sub/ 'its issuer is not ca other'
	git revert -n HEAD && git commit -qm back
	git rm -q cas/root/ca.pem && git commit -qm gone
	wrong
	problem cas/root/ca.pem 'missing'
}

@test "repo verify C13: CRL numbers that repeat or go back, CRLs of others, ledger commits that are not here" {
	two_tier
	ok lamassu ca crl sub
	ok lamassu ca crl root
	tip=$(git rev-parse ledger)
	forge() {
		local entry
		entry=$(ls -d crls/00/00/00/sub.full.*)
		sed "s/^number: .*/number: \"5\"/; s/^ledger_commit: .*/ledger_commit: $tip/" "$entry" >crls/00/00/00/sub.full.5.forged.yaml
		sed "s/^ledger_commit: .*/ledger_commit: $(printf 'a%.0s' {1..40})/" "$(ls -d crls/00/00/00/root.full.*)" >crls/00/00/00/root.full.9.forged.yaml
		sed 's/^ca: sub/ca: root/; s/^number: .*/number: "99999999999"/' "$entry" >crls/00/00/00/root.full.99999999999.forged.yaml
	}
	on_ledger forge
	wrong
	problem sub.full.5.forged 'number 5 was given after the larger'
	problem root.full.9.forged 'which is not here'
	problem root.full.99999999999.forged 'the CRL has another'
}

@test "repo verify: a truncated pack and a missing object are findings with a way out, not a crash" {
	two_tier
	issue a
	ok git gc -q
	pack=$(ls .git/objects/pack/*.pack)
	chmod u+w "$pack"
	truncate -s -200 "$pack"
	rm -f .git/lamassu/index.db
	wrong
	problem '' 'damaged'
	[ -n "$(jq -r '.list[0].repair' <<<"$output")" ]
}

@test "repo verify: a ledger that was set back is refused and named" {
	two_tier
	issue a
	git branch -f ledger ledger~1
	wrong
	problem repository 'rolled back or rewritten'
	fails 4 'rolled back or rewritten' lamassu ca sign sub --csr "$BATS_TEST_TMPDIR/a.csr"
}

@test "repo verify: a damaged or deleted cache is rebuilt; one that lies is found, and reindex repairs it" {
	two_tier
	issue a
	rm .git/lamassu/index.db
	ok lamassu cert show "$serial"
	head -c 20000 /dev/urandom >.git/lamassu/index.db
	ok lamassu cert show "$serial"
	ok lamassu repo verify
	sqlite3 .git/lamassu/index.db "UPDATE cert SET not_after = not_after + 1"
	wrong
	problem cache not_after
	ok lamassu repo reindex
	[[ $output == 'rebuilt the cache: 3 certificates' ]]
	ok lamassu repo verify
}

@test "repo verify: a certificate of a deleted authority still chains to it" {
	two_tier
	issue a
	ok lamassu cert revoke "$serial" --reason superseded -y
	ok lamassu ca revoke sub --reason superseded -y
	ok lamassu ca delete sub -y
	ok lamassu repo verify --full
}

@test "repo verify: of very many problems the first are shown, and all are counted" {
	two_tier
	blob=$(git hash-object -w --stdin </dev/null)
	seq 10003 | sed "s|.*|100644 $blob\tprofiles/STRAY&.yaml|" | git update-index --add --index-info
	git commit -qm 'by hand'
	run --separate-stderr lamassu -q repo verify -o json
	[ "$status" -eq 5 ]
	[ "$(jq '.list | length' <<<"$output")" -eq 10000 ]
	[[ $stderr == *'"10003 problems"'* ]]
}

@test "repo verify: a thousand certificates are no matter" {
	two_tier
	mkdir "$BATS_TEST_TMPDIR/csrs"
	request a
	for i in $(seq 1000); do
		cp "$BATS_TEST_TMPDIR/a.csr" "$BATS_TEST_TMPDIR/csrs/$i.csr"
	done
	ok lamassu ca sign sub --csr "$BATS_TEST_TMPDIR/csrs" --out "$BATS_TEST_TMPDIR/certs"
	start=$(date +%s%N)
	ok lamassu repo verify --full
	[[ $output == *'1002 certificates'* ]]
	spent=$((($(date +%s%N) - start) / 1000000))
	echo "$spent ms"
	[ "$spent" -lt 5000 ] # a limit for busy machines with sanitizers; without them it is a tenth of a second
}
