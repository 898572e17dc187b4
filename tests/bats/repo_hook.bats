load helpers
load repo_helpers

# A bare server whose hook is `repo verify --pre-receive`, and the repository pushed to it.
guarded_server() {
	two_tier && issue a && git init -q --bare -b main ../server.git || return 1
	printf '#!/bin/sh\nexec "%s" repo verify --pre-receive\n' "$LAMASSU" >../server.git/hooks/pre-receive
	chmod +x ../server.git/hooks/pre-receive
	git remote add origin ../server.git
	ok lamassu repo sync
}

refused() { # refused TEXT COMMAND…
	fails 1 "$1" "${@:2}"
	[[ $stderr == *'pre-receive hook declined'* ]]
}

@test "repo verify hook: the first push, later pushes with plain git and sync pass" {
	guarded_server
	issue b
	ok git push -q origin main ledger
	issue c
	ok lamassu repo sync
	[ "$(git rev-parse main ledger)" = "$(git -C ../server.git rev-parse main ledger)" ]
	ok git -C ../server.git fsck --strict
}

@test "repo verify hook: a ledger that is rewritten, shortened or deleted is refused, and stays" {
	guarded_server
	before=$(git -C ../server.git rev-parse ledger)
	refused 'not a fast-forward' git push -f origin ledger~1:ledger
	refused 'deletes the ledger' git push origin :ledger
	path=$(find_entry "$serial")
	on_ledger git rm -q "$path"
	refused 'removed the entry' git push origin ledger
	git -C "$BATS_TEST_TMPDIR/ledger" reset -q --hard HEAD~1
	on_ledger sed -i 's/^profile: .*/profile: x/' "$path"
	refused 'changed the entry' git push origin ledger
	[ "$(git -C ../server.git rev-parse ledger)" = "$before" ]
}

@test "repo verify hook: a removal that a later commit puts back is refused all the same" {
	guarded_server
	path=$(find_entry "$serial")
	on_ledger git rm -q "$path"
	git -C "$BATS_TEST_TMPDIR/ledger" revert --no-edit HEAD >/dev/null
	refused 'removed the entry' git push origin ledger
}

@test "repo verify hook: private keys and bad entries are refused, on any branch" {
	guarded_server
	git switch -qc feature
	openssl genpkey -algorithm ED25519 -out key.txt
	git add -f key.txt && git commit -qm key && git rm -q key.txt && git commit -qm 'no key'
	refused 'holds a private key' git push origin feature
	git tag -m annotated marked feature
	refused 'holds a private key' git push origin marked
	blob=$(git hash-object -w lamassu.yaml)
	ok git push -q origin "$blob:refs/notes/file"
	git switch -q main
	plant() { mkdir -p revoked/00/00/00 && echo 'nonsense: true' >revoked/00/00/00/77.yaml; }
	on_ledger plant
	refused 'not valid' git push origin ledger
	git -C "$BATS_TEST_TMPDIR/ledger" reset -q --hard HEAD~1
	on_ledger cp "$BATS_TEST_TMPDIR/a.key" issued/a.key
	refused 'holds a private key' git push origin ledger
}

@test "repo verify hook: another name for the ledger in lamassu.yaml takes no protection away" {
	guarded_server
	sed -i '/^ledger_branch/d' lamassu.yaml
	echo 'ledger_branch: fresh' >>lamassu.yaml
	git commit -qam 'rename'
	ok git push -q origin main
	refused 'not a fast-forward' git push -f origin ledger~1:ledger
}

@test "repo verify hook: reads GIT_DIR and lines; anything else is exit 2" {
	guarded_server
	cd /
	zero=$(printf '0%.0s' {1..40})
	GIT_DIR="$BATS_TEST_TMPDIR/server.git" fails 5 '1 reason to refuse the push' lamassu repo verify --pre-receive \
		<<<"$(git -C "$BATS_TEST_TMPDIR/server.git" rev-parse ledger) $zero refs/heads/ledger"
	[[ $output == *'never delete it'* ]]
	GIT_DIR="$BATS_TEST_TMPDIR/server.git" ok lamassu repo verify --pre-receive </dev/null
	GIT_DIR="$BATS_TEST_TMPDIR/server.git" fails 2 'OLD NEW REF' lamassu repo verify --pre-receive <<<nonsense
}
