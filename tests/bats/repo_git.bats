bats_require_minimum_version 1.5.0
load helpers
load repo_helpers

@test "repo with git: a fresh clone reads everything at once, checks it, and says that the keys are elsewhere" {
	two_tier
	issue a
	ok lamassu cert revoke "$serial" --reason superseded -y
	ok lamassu ca crl sub --out "$BATS_TEST_TMPDIR/sub.crl"
	cd .. && git clone -q pki two && cd two
	ok lamassu ca list -o id
	[ "$output" = "$(printf 'root\nsub')" ]
	ok lamassu cert show "$serial" -o json
	[ "$(jq -r .status <<<"$output")" = REVOKED ]
	ok lamassu repo verify
	ok lamassu repo status -o json
	[ "$(jq .private_keys <<<"$output")" -eq 0 ]
	request b
	fails 3 'no private key here' lamassu ca sign sub --csr "$BATS_TEST_TMPDIR/b.csr"
	ok git fsck --strict
}

@test "repo with git: a clone of one branch only says what to fetch, and works then" {
	two_tier
	cd .. && git clone -q --single-branch pki two && cd two
	fails 3 'git fetch origin ledger:ledger' lamassu ca list
	ok git fetch -q origin ledger:ledger
	ok lamassu ca list
}

@test "repo with git: what people commit on main by hand counts; what they have not committed does not" {
	two_tier
	sed -i 's/^issuance_profile_id: .*/issuance_profile_id: tls-client/' cas/sub/ca.yaml
	ok lamassu ca show sub -o json
	[ "$(jq -r .issuance_profile_id <<<"$output")" = tls-server ]
	[[ $stderr == *'cas/sub/ca.yaml differs from what is committed'* ]]
	git commit -qam 'by hand'
	ok lamassu ca show sub -o json
	[ "$(jq -r .issuance_profile_id <<<"$output")" = tls-client ]
	issue a
	openssl x509 -in "$BATS_TEST_TMPDIR/a.pem" -noout -ext extendedKeyUsage | grep -q 'TLS Web Client Authentication'
	ok lamassu repo log --page-size 3 -o json
	[ "$(jq -c '[.list[] | .op // "-"]' <<<"$output")" = '["ca.sign","-","ca.create"]' ]
	ok lamassu repo verify
	[ -z "$(git status --porcelain)" ]
}

@test "repo with git: branch, rebase and merge of main; the ledger is not concerned" {
	two_tier
	git switch -qc review
	sed -i '1a # reviewed' profiles/tls-server.yaml && git commit -qam 'comment'
	git switch -q main
	ok lamassu ca create third --parent root --subject CN=Third
	git rebase -q main review && git switch -q main && git merge -q --ff-only review
	ok lamassu ca list -o id
	[ "$output" = "$(printf 'root\nsub\nthird')" ]
	issue a
	ok lamassu repo verify
	ok git fsck --strict
}

@test "repo with git: another branch, a detached HEAD and a merge in progress refuse every change with exit 4" {
	two_tier
	git switch -qc elsewhere
	fails 4 'git switch main first' lamassu ca create x --subject CN=X
	ok lamassu ca list
	ok lamassu repo status
	[[ $output == *'git switch main: policy is there'* ]]
	git checkout -q --detach main
	fails 4 'HEAD is detached' lamassu ca create x --subject CN=X
	git switch -q elsewhere
	sed -i 's/^name: .*/name: one/' lamassu.yaml && echo 'name: one' >>lamassu.yaml && git commit -qam one
	git switch -q main
	echo 'name: two' >>lamassu.yaml && git commit -qam two
	git merge -q elsewhere >/dev/null 2>&1 || true
	fails 4 'merge is in progress' lamassu ca create x --subject CN=X
	ok lamassu repo status
	[[ $output == *'finish or abort the merge'* ]]
	git merge --abort
	ok lamassu ca create x --subject CN=X
}

@test "repo with git: an uncommitted edit of the same file is never overwritten; of another file it stays" {
	two_tier
	sed -i '1a # mine' cas/sub/ca.yaml
	fails 4 'cas/sub/ca.yaml' lamassu ca disable sub
	grep -q '^# mine' cas/sub/ca.yaml
	ok lamassu ca disable root
	grep -q '^# mine' cas/sub/ca.yaml
	[ "$(git status --porcelain)" = ' M cas/sub/ca.yaml' ]
}

@test "repo with git: works in a bare repository and in a linked work tree" {
	two_tier
	git worktree add -q -b other ../linked main
	(cd ../linked && ok lamassu ca list -o id && [ "$output" = "$(printf 'root\nsub')" ])
	cd .. && git clone -q --bare pki bare.git && cp -a pki/.git/lamassu bare.git/ && rm -f bare.git/lamassu/index.db && cd bare.git
	ok lamassu ca create third --parent root --subject CN=Third
	ok lamassu repo verify
	git show main:cas/third/ca.pem | openssl x509 -noout -subject | grep -q 'CN = Third'
	ok git fsck --strict
}

@test "repo with git: a newer format is read with a warning and never written; upgrade has nothing to do today" {
	two_tier
	ok lamassu repo upgrade
	[[ $output == *'format 1, the newest: nothing to do' ]]
	sed -i 's/^format: 1/format: 2/' lamassu.yaml && git commit -qam 'from the future'
	ok lamassu ca list
	[[ $stderr == *'format 2, newer than the 1'* ]]
	fails 1 'use a newer lamassu' lamassu ca disable sub
	fails 1 'use a newer lamassu' lamassu repo upgrade
}
