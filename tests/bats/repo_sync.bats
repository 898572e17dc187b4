bats_require_minimum_version 1.5.0
load helpers
load repo_helpers

@test "S13 repo sync: two clones issue apart, then both have everything; git and verify agree" {
	two_tier
	server_and_clone
	for i in 1 2 3; do issue "one$i"; all="$all $serial"; done
	cd ../two
	for i in 1 2 3; do issue "two$i"; all="$all $serial"; done
	ok lamassu cert revoke "$serial" --reason key_compromise -y
	ok lamassu ca create third --parent root --subject CN=Third
	ok lamassu repo sync
	[[ $output == 'synced with origin: ledger sent, policy sent' ]]
	cd ../pki
	ok lamassu repo sync
	[[ $output == 'synced with origin: ledger united, policy received' ]]
	cd ../two
	ok lamassu repo sync -o json
	[ "$(jq -c '[.ledger_in,.ledger_merged,.ledger_out]' <<<"$output")" = '[true,false,false]' ]
	for dir in ../pki ../two; do
		cd "$dir"
		for s in $all; do ok lamassu cert show "$s"; done
		ok lamassu cert show "$serial" -o json
		[ "$(jq -r .status <<<"$output")" = REVOKED ]
		ok lamassu ca show third
		ok lamassu repo verify --full
		ok git fsck --strict
		[ -z "$(git status --porcelain)" ]
	done
	[ "$(git -C ../pki rev-parse main ledger)" = "$(git -C ../two rev-parse main ledger)" ]
	ok lamassu repo log --filter op=repo.sync -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 1 ]
}

@test "S13 repo sync: clones that sync at the same time lose nothing" {
	two_tier
	server_and_clone
	request shared
	worker() {
		cd "$1" && for i in 1 2 3 4; do
			"$LAMASSU" ca sign sub --csr "$BATS_TEST_TMPDIR/shared.csr" -o id --lock-timeout 60s >/dev/null && "$LAMASSU" repo sync -q ||
				return 1
		done
	}
	worker ../pki & first=$!
	worker ../two & second=$!
	wait "$first"
	wait "$second"
	[ "$(git -C ../server.git ls-tree -r --name-only ledger issued | wc -l)" -eq 10 ] # what was sent is there
	[ -z "$(git -C ../server.git for-each-ref refs/lamassu)" ]
	(cd ../pki && ok lamassu repo sync) && (cd ../two && ok lamassu repo sync)
	for dir in ../pki ../two; do
		cd "$dir"
		ok lamassu cert list --all -o json
		[ "$(jq '[.list[].serial_number] | unique | length' <<<"$output")" -eq 10 ]
		ok lamassu repo verify
	done
}

@test "S13 repo sync: a conflict in policy changes nothing, names the files, and a person settles it with git" {
	two_tier
	server_and_clone
	ok lamassu ca set sub metadata.site=here
	ok lamassu repo sync
	cd ../two
	ok lamassu ca set sub metadata.site=there
	issue a
	before=$(git rev-parse main ledger)
	fails 4 'cas/sub/ca.yaml' lamassu repo sync
	[ "$(git rev-parse main ledger)" = "$before" ]
	[ -z "$(git status --porcelain)" ]
	git merge -q origin/main >/dev/null 2>&1 || git checkout -q --theirs cas/sub/ca.yaml
	git commit -qam 'settled'
	ok lamassu repo sync
	cd ../pki
	ok lamassu repo sync
	ok lamassu cert show "$serial"
	ok lamassu repo verify
}

@test "S13 repo sync: no remote, an unknown one and one that is away are told apart; a dry run moves nothing" {
	two_tier
	fails 3 'no remote' lamassu repo sync
	server_and_clone
	fails 3 'remote "nowhere" not found' lamassu repo sync nowhere
	(cd profiles && ok lamassu repo sync) # the path of the remote is not from here
	git remote add url "file://$(cd .. && pwd)/server.git" && ok lamassu repo sync url && git remote remove url
	issue a
	ok lamassu repo sync -n
	[[ $stderr == *'the ledger would be sent'* ]]
	[ "$(git -C ../server.git rev-parse ledger)" != "$(git rev-parse ledger)" ]
	mv ../server.git ../gone.git
	fails 6 '' lamassu repo sync
	mv ../gone.git ../server.git
	rm -rf ../server.git && git init -q --bare -b main ../server.git
	ok lamassu repo sync
	[ "$(git -C ../server.git rev-parse main ledger)" = "$(git rev-parse main ledger)" ]
}

@test "S13 repo sync: a plain git push sends the ledger too, and a diverged one is rejected until sync unites them" {
	two_tier
	server_and_clone
	issue a
	ok git push -q
	[ "$(git -C ../server.git rev-parse ledger)" = "$(git rev-parse ledger)" ]
	cd ../two
	ok lamassu repo sync
	(cd ../pki && issue b && git push -q)
	issue c
	no git push -q 2>/dev/null
	ok lamassu repo sync
	ok git push -q
	ok lamassu repo verify
}

@test "S13 repo sync: a remote whose ledger was rewritten is refused, and nothing is lost here" {
	two_tier
	issue a
	server_and_clone
	git -C ../server.git update-ref refs/heads/ledger "$(git rev-parse ledger~1)"
	cd ../two
	ok lamassu ca list
	on_ledger git rm -q "$(find_entry "$serial")"
	git push -qf origin ledger
	cd ../pki
	issue b
	fails 4 'entries are never removed' lamassu repo sync
	ok lamassu repo verify
}

@test "S13 repo sync: a clone whose clock is ahead is named" {
	two_tier
	server_and_clone
	issue a && ok lamassu repo sync
	(cd ../two && ok lamassu repo sync && [ -z "$stderr" ])
	commit=$(GIT_COMMITTER_DATE='2040-01-01T00:00:00Z' git commit-tree -p ledger -m 'from tomorrow' 'ledger^{tree}')
	git push -q origin "$commit:refs/heads/ledger"
	cd ../two
	ok lamassu repo sync
	[[ $stderr == *'the newest ledger entry of origin is from 2040-01-01T00:00:00Z, ahead of this clock'* ]]
}

@test "C13 crl.sync: a CRL knows what another clone has revoked; required, try and off" {
	two_tier
	issue a
	server_and_clone
	(cd ../two && ok lamassu cert revoke "$serial" --reason key_compromise -y && ok lamassu repo sync)
	ok lamassu ca crl sub --out "$BATS_TEST_TMPDIR/sub.crl"
	openssl crl -in "$BATS_TEST_TMPDIR/sub.crl" -noout -text | grep -qi "Serial Number: $serial"
	mv ../server.git ../gone.git
	ok lamassu ca crl sub --out "$BATS_TEST_TMPDIR/sub.crl"
	[[ $stderr == *'may lack what other clones have revoked'* ]]
	echo 'crl: {sync: required}' >>lamassu.yaml && git commit -qam 'required'
	before=$(git rev-parse ledger)
	fails 6 'crl.sync is required' lamassu ca crl sub
	[ "$(git rev-parse ledger)" = "$before" ]
	sed -i 's/sync: required/sync: off/' lamassu.yaml && git commit -qam 'off'
	ok lamassu ca crl sub
	[ -z "$stderr" ]
}

@test "C13 crl.sync: a ledger that lacks what the last CRL was made from makes no CRL" {
	two_tier
	issue a
	echo 'crl: {sync: off}' >>lamassu.yaml && git commit -qam 'off'
	server_and_clone
	cd ../two
	ok lamassu cert revoke "$serial" --reason key_compromise -y
	ok lamassu ca crl sub
	crl=$(git ls-tree -r --name-only ledger crls)
	git show "ledger:$crl" >"$BATS_TEST_TMPDIR/record"
	cd ../pki
	plant() { mkdir -p "${crl%/*}" && cp "$BATS_TEST_TMPDIR/record" "$crl"; }
	on_ledger plant
	fails 4 'which is not here' lamassu ca crl sub
	fails 5 problem lamassu repo verify
	git update-ref refs/heads/ledger ledger~1 && rm .git/lamassu/ledger-seen
	(cd ../two && ok lamassu repo sync)
	ok lamassu repo sync
	ok lamassu ca crl sub --out "$BATS_TEST_TMPDIR/sub.crl"
	openssl crl -in "$BATS_TEST_TMPDIR/sub.crl" -noout -text | grep -qi "Serial Number: $serial"
}
