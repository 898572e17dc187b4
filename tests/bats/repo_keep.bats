bats_require_minimum_version 1.5.0
load helpers
load repo_helpers

@test "repo log S4: both histories as one, newest first, what belongs together in one row" {
	two_tier
	issue a
	ok lamassu repo log -o json
	[ "$(jq -c '[.list[].op]' <<<"$output")" = '["ca.sign","ca.create","ca.create","init"]' ]
	[ "$(jq -r '.list[1].policy_commit' <<<"$output")" = "$(git rev-parse main)" ]
	[ "$(jq -r '.list[1].ledger_commit' <<<"$output")" = "$(git rev-parse ledger~1)" ]
	[ "$(jq -r '.list[0].policy_commit' <<<"$output")" = null ]
	[ "$(jq -r '.list[1].op_id' <<<"$output")" = "$(git log -1 --format='%(trailers:key=Lamassu-Op-Id,valueonly)' main | tr -d '\n')" ]
	[ "$(jq -r '.list[0].actor' <<<"$output")" = 'Test Operator <test@example.org>' ]
	ok lamassu repo log
	[[ ${output%%$'\n'*} == 'TIME '*ACTOR*OP*SUBJECT ]]
}

@test "repo log S4: filters by object, actor and time; pages go on by bookmark" {
	two_tier
	issue a
	LAMASSU_OPERATOR='Ada <ada@example.org>' ok lamassu ca disable sub
	ok lamassu repo log --filter object=ca/sub -o json
	[ "$(jq -c '[.list[].op]' <<<"$output")" = '["ca.disable","ca.create"]' ]
	ok lamassu repo log --filter "object=certificate/$serial" -o json
	[ "$(jq -c '[.list[].op]' <<<"$output")" = '["ca.sign"]' ]
	ok lamassu repo log --filter 'actor[ct]=ada' -o json
	[ "$(jq -c '[.list[].op]' <<<"$output")" = '["ca.disable"]' ]
	ok lamassu repo log --filter 'time[bf]=2020-01-01' -o json
	[ "$(jq -c .list <<<"$output")" = '[]' ]
	ok lamassu repo log --filter 'time[af]=-1h' --all -o id
	[ "$(wc -l <<<"$output")" -eq 5 ]
	ok lamassu repo log --page-size 2 -o json
	next=$(jq -r .next <<<"$output")
	seen=$(jq -r '.list[].op_id' <<<"$output")
	ok lamassu repo log --bookmark "$next" --page-size 10 -o json
	[ "$(jq .next <<<"$output")" = null ]
	seen="$seen"$'\n'$(jq -r '.list[].op_id' <<<"$output")
	ok lamassu repo log --all -o id
	[ "$output" = "$seen" ]
	fails 2 'known are' lamassu repo log --filter nonsense=1
}

@test "repo log S4: hostile text of foreign commits is shown harmlessly" {
	two_tier
	git commit -q --allow-empty -m $'evil \e[31mred\n\nLamassu-Op: ca.create'
	ok lamassu repo log --page-size 1
	[[ $output != *$'\e'* ]]
	[[ $output == *'\x1B[31mred'* || $output == *'\x1b[31mred'* ]]
}

@test "repo status: branches, uncommitted files, cache, remotes, locks, and that the keys are only here" {
	two_tier
	ok lamassu repo status -o json
	[ "$(jq -r .branch <<<"$output")" = main ]
	[ "$(jq -r .ledger_commit <<<"$output")" = "$(git rev-parse ledger)" ]
	[ "$(jq -c '[.authorities,.certificates,.revoked,.private_keys]' <<<"$output")" = '[2,2,0,2]' ]
	[ "$(jq -r .cache <<<"$output")" = current ]
	[[ $(jq -r '.advice[]' <<<"$output") == *'2 private keys exist only here'* ]]
	echo '# x' >>lamassu.yaml
	mkdir -p out/of/ours && touch out/of/ours/{1,2}.pem
	touch new.txt .git/lamassu/tmp.x.1.1 .git/refs/heads/main.lock
	rm .git/lamassu/index.db
	ok lamassu repo status -o json
	[ "$(jq -c '.uncommitted' <<<"$output")" = '["lamassu.yaml","new.txt","out/"]' ]
	[ "$(jq -r .cache <<<"$output")" = missing ]
	[ "$(jq '.stale | length' <<<"$output")" -eq 2 ]
	rm -r .git/refs/heads/main.lock new.txt out && git checkout -q lamassu.yaml
	server_and_clone
	issue a
	ok lamassu repo status -o json
	[ "$(jq -c '.remotes[0] | [.name,.ledger_ahead,.ledger_behind,.policy_ahead]' <<<"$output")" = '["origin",1,0,0]' ]
	[[ $(jq -r '.advice[]' <<<"$output") == *'lamassu repo sync origin'* ]]
	(
		exec 9<>.git/lamassu/lock && flock 9 && echo 'process 7 (test)' >.git/lamassu/lock
		ok lamassu repo status -o json && [ "$(jq -r .lock <<<"$output")" = 'process 7 (test)' ]
	)
}

@test "repo on read-only media: everything that reads works, without a cache; what writes fails and says why" {
	two_tier
	issue a
	rm .git/lamassu/index.db
	printf '[safe]\n\tdirectory = %s\n' "$PWD" >"$BATS_TEST_TMPDIR/.gitconfig"
	chmod a+rx "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" && chmod -R a+rX "$BATS_TEST_TMPDIR"
	reader() { HOME=$BATS_TEST_TMPDIR setpriv --reuid=65534 --regid=65534 --clear-groups "$LAMASSU" "$@"; }
	ok reader cert show "$serial"
	ok reader repo log
	ok reader repo status
	ok reader repo verify
	fails 1 'Permission denied' reader ca disable sub
	[ ! -e .git/lamassu/index.db ]
}

@test "repo gc: asks, repacks, loses nothing, and git agrees" {
	two_tier
	for i in 1 2 3; do issue "c$i"; done
	fails 2 'give --yes' lamassu repo gc
	ok lamassu repo gc -n
	packs=$(find .git/objects/pack -name '*.pack' | wc -l)
	[ "$packs" -gt 3 ]
	ok lamassu repo gc -y
	[ "$(find .git/objects/pack -name '*.pack' | wc -l)" -lt "$packs" ]
	ok git fsck --strict
	ok lamassu repo verify --full
	issue after
}

# packs_that_stay N: so many more that joining small packs leaves alone, because all have one object in common.
packs_that_stay() {
	local common i
	common=$(git -c core.fsync=none hash-object -w --stdin <<<common)
	for ((i = 0; i < $1; i++)); do
		printf '%s\n' "$common" "$(git -c core.fsync=none hash-object -w --stdin <<<"$RANDOM $i")" |
			git -c core.fsync=none pack-objects -q .git/objects/pack/pack >/dev/null
	done
}
packs() { find .git/objects/pack -name '*.pack' | wc -l; }

@test "repo gc: past the threshold a command starts it in the background; the user's hooks are not run" {
	two_tier
	issue a
	printf '#!/bin/sh\ntouch "%s"\n' "$BATS_TEST_TMPDIR/hooked" >.git/hooks/pre-auto-gc && chmod +x .git/hooks/pre-auto-gc
	packs_that_stay 60
	issue b
	[ "$(packs)" -ge 60 ]
	packs_that_stay 50
	issue c
	for ((i = 0; i < 300; i++)); do
		[ -e .git/gc.pid ] || [ "$(packs)" -gt 90 ] || break
		sleep 0.1
	done
	[ "$(packs)" -lt 10 ]
	[ ! -e "$BATS_TEST_TMPDIR/hooked" ]
	ok lamassu cert list --all -o id
	[ "$(wc -l <<<"$output")" -eq 5 ]
	ok git fsck --strict
	ok lamassu repo verify --full
	issue d
}

# lists: everything in every order that there is.
lists() {
	for by in issued_at serial_number ca not_after subject common_name status profile fingerprint; do
		lamassu cert list --all --sort-by $by -o id && lamassu cert list --all --sort-by $by --sort-mode desc -o id
		lamassu cert list --all --sort-by $by --filter ca=sub -o id
	done
	lamassu cert list --all -o json
}

@test "repo reindex: certificates of one second keep their places, whoever issued them; pages agree with the whole" {
	two_tier
	server_and_clone
	request same
	at=$(date -u -d "+1 day" +%Y-%m-%dT%H:%M:%SZ)
	for i in 1 2 3 4 5 6 7 8 9; do cat "$BATS_TEST_TMPDIR/same.csr"; done >"$BATS_TEST_TMPDIR/nine"
	(cd ../two && ok lamassu --at "$at" ca sign sub --csr - <"$BATS_TEST_TMPDIR/nine" && ok lamassu repo sync)
	ok lamassu --at "$at" ca sign sub --csr - <"$BATS_TEST_TMPDIR/nine"
	ok lamassu repo sync
	ok lamassu --at "$at" ca sign sub --csr - <"$BATS_TEST_TMPDIR/nine"
	lists >"$BATS_TEST_TMPDIR/before"
	ok lamassu repo reindex
	lists | cmp - "$BATS_TEST_TMPDIR/before"
	(cd ../two && ok lamassu repo sync && ok lamassu repo reindex)
	ok lamassu repo sync && lists >"$BATS_TEST_TMPDIR/here"
	cd ../two && ok lamassu repo sync && lists | cmp - "$BATS_TEST_TMPDIR/here"
	next= ids=
	while [ "$next" != null ]; do
		ok lamassu cert list --page-size 4 ${next:+--bookmark "$next"} -o json
		next=$(jq -r .next <<<"$output") ids="$ids $(jq -r '.list[].serial_number' <<<"$output" | xargs)"
	done
	[ "$(xargs <<<"$ids")" = "$(lamassu cert list --all -o id | xargs)" ]
}

@test "repo reindex: rebuilds from nothing, and a dry run leaves the cache alone" {
	two_tier
	issue a
	before=$(stat -c %i-%Y .git/lamassu/index.db)
	ok lamassu repo reindex -n
	[ "$(stat -c %i-%Y .git/lamassu/index.db)" = "$before" ]
	ok lamassu repo reindex
	[[ $output == 'rebuilt the cache: 3 certificates' ]]
	ok lamassu repo verify
}
