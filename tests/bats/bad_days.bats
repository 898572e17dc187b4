#!/usr/bin/env bats
# Bad days: full disks, lost permissions, kill -9, many writers, and repositories that somebody else has had in hand. Each
# has one outcome, said in one line, and what was acknowledged before stays.
load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" && new_cas && new_csr ../one && many_csrs 200 ../batch && many_csrs 5 ../five || return 1
	ok lamassu ca sign devices --csr ../one.csr --out ../first.pem
	serial_of ../first.pem >../serial
}

setup() {
	cp -a "$BATS_FILE_TMPDIR/pki" "$BATS_TEST_TMPDIR/pki"
	cd "$BATS_TEST_TMPDIR/pki" || return 1
	files=$BATS_FILE_TMPDIR one=$BATS_FILE_TMPDIR/one.csr serial=$(cat "$BATS_FILE_TMPDIR/serial")
	before=$(tips)
}

teardown() {
	cd / || return 1
	! mountpoint -q "$BATS_TEST_TMPDIR/small" || umount "$BATS_TEST_TMPDIR/small"
	[ -z "${open_dir:-}" ] || rm -rf "$open_dir"
}

by_git() { git -c user.name=Eve -c user.email=eve@example.org "$@"; }

# refuses STATUS TEXT CMD…: fails like that, in one line, and nothing moves.
refuses() {
	fails "$@" && one_line && [ "$(tips)" = "$before" ]
}

# serials: of the certificates whose files are named on standard input; what is not whole yet is left out.
serials() {
	python3 -c '
import sys
from cryptography import x509
for path in sys.stdin.read().split("\n"):
    try:
        with open(path, "rb") as f:
            print("%032x" % x509.load_pem_x509_certificate(f.read()).serial_number)
    except (OSError, ValueError):
        pass' | sort
}

# recorded: the certificates whose files are named on standard input are in the ledger, and no serial number is there twice.
# One file of a batch that went on may have been told by two runs.
recorded() {
	lamassu cert list --all -o json | jq -r '.list[].serial_number' | sort >"$BATS_TEST_TMPDIR/known"
	[ -z "$(uniq -d "$BATS_TEST_TMPDIR/known")" ] || { echo "a serial number twice"; return 1; }
	serials | uniq >"$BATS_TEST_TMPDIR/told"
	[ -z "$(comm -23 "$BATS_TEST_TMPDIR/told" "$BATS_TEST_TMPDIR/known")" ] && return
	echo "told, but not recorded:"
	comm -23 "$BATS_TEST_TMPDIR/told" "$BATS_TEST_TMPDIR/known"
	return 1
}

# --- disks ---

@test "robust: on a disk with less and less room commands fail whole, and work again when there is room" {
	small=$BATS_TEST_TMPDIR/small
	mkdir "$small"
	mount -t tmpfs -o size=16m none "$small" || { echo "this test mounts a tmpfs and needs root"; return 1; }
	cp -a "$BATS_TEST_TMPDIR/pki" "$small/pki"
	cd "$small/pki"
	failed=0
	for room in 0 1 2 3 4 6 8 12; do
		for what in "ca sign devices --csr $one --out ../out.pem" "ca sign devices --csr $files/five --out ../outs" \
			"ca create new --parent root --subject CN=New --validity 1y" "cert revoke $serial --reason superseded -y" \
			"ca crl devices --out ../out.crl" "profile create new --template iot-device" "repo reindex" "ca list"; do
			rm -rf ../pki ../out* && cp -a "$BATS_TEST_TMPDIR/pki" ../pki && cd ../pki
			dd if=/dev/zero of=../fill bs=64k 2>/dev/null || true
			dd if=/dev/zero of=../fill bs=4k oflag=append conv=notrunc 2>/dev/null || true
			truncate -s -$((room * 4096)) ../fill
			status=0
			# shellcheck disable=SC2086 # a list of words
			stderr=$(lamassu $what 2>&1 >"$BATS_TEST_TMPDIR/printed") || status=$?
			rm ../fill
			echo "$room pages, $what: exit $status $stderr"
			if [ "$status" -ne 0 ]; then
				failed=$((failed + 1))
				[ "$status" -eq 1 ]
				[[ $stderr == *"No space left"* || $stderr == *full* ]]
				one_line
				# Recorded, but no room to say so: then the line names the output.
				[ "$(tips)" = "$before" ] || [[ $stderr == *../out* ]]
			fi
			find .. -maxdepth 2 -name '*.pem' -path '*out*' -not -path '*/pki/*' | recorded
			ok lamassu ca sign devices --csr "$one" --out "$BATS_TEST_TMPDIR/next.pem"
			sound
			rm "$BATS_TEST_TMPDIR/next.pem"
		done
	done
	[ "$failed" -gt 15 ]
}

@test "robust: a full device as standard output or --out is an error, and what was issued is recorded" {
	n=$(issued)
	for what in "ca sign devices --csr $one" "ca crl devices" "ca export root" "cert export $serial" "ca list" "ca show root" \
		"cert list -o json" "profile show iot-device -o yaml" "repo log" "repo status" "help ca sign" "version" \
		"completion bash" "ca tree" "profile schema"; do
		status=0
		# shellcheck disable=SC2086 # a list of words
		stderr=$(lamassu $what 2>&1 >/dev/full) || status=$?
		echo "$what: $status $stderr"
		[ "$status" -eq 1 ]
		one_line
		[[ $stderr == *'standard output: No space left on device'* ]]
	done
	for what in "ca sign devices --csr $one" "ca crl devices" "ca export root" "cert export $serial"; do
		# shellcheck disable=SC2086 # a list of words
		fails 1 '/dev/full: ' lamassu $what --out /dev/full
		one_line
	done
	[ "$(issued)" -eq $((n + 2)) ]
	sound
	# A reader that has enough is no error.
	ok bash -c '"$0" cert list --all -o json | head -c 1; exit "${PIPESTATUS[0]}"' "$LAMASSU"
}

# --- permissions ---

# as_nobody CMD…: the program as a user without rights; everything that it needs is in $open_dir.
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$@"; }

open_to_nobody() {
	open_dir=$(mktemp -d /tmp/lamassu-nobody-XXXXXX) && chmod 755 "$open_dir" && mkdir "$open_dir/lib" || return 1
	cp "$LAMASSU" "$open_dir/lamassu.bin" && cp -a "$BATS_TEST_TMPDIR/pki" "$open_dir/pki" && cp "$one" "$open_dir/one.csr" &&
		cd "$open_dir/pki" && chown -R 65534:65534 "$open_dir/pki" && chmod 644 "$open_dir/one.csr" || return 1
	LAMASSU=$open_dir/lamassu.bin
	as_nobody "$LAMASSU" version >/dev/null || { echo "cannot become an ordinary user: run the tests as root"; return 1; }
	before=$(as_nobody git for-each-ref --format='%(refname) %(objectname)' refs/heads)
}

@test "robust: without the right to write anywhere, reading works and every change fails in one line" {
	open_to_nobody
	as_nobody "$LAMASSU" ca sign devices --csr ../one.csr >/dev/null
	before=$(as_nobody git for-each-ref --format='%(refname) %(objectname)' refs/heads)
	for where in . .git .git/objects/pack .git/refs/heads .git/lamassu .git/objects; do
		chmod -R u+w .
		if [ "$where" = . ]; then chmod -R a-w .; else chmod a-w "$where"; fi
		for what in "ca list" "cert list --all" "repo log" "profile show iot-device" "cert show $serial"; do
			# shellcheck disable=SC2086 # a list of words
			ok as_nobody "$LAMASSU" $what
		done
		case $where in
		.git/objects) continue ;; # git needs the folders in it only
		.git | .git/lamassu) what="profile create new --template iot-device" ;;
		*) what="ca sign devices --csr ../one.csr" ;;
		esac
		status=0
		# shellcheck disable=SC2086 # a list of words
		stderr=$(LAMASSU_DATADIR=$BATS_TEST_TMPDIR/none as_nobody env "LAMASSU_DATADIR=$open_dir/pki" "$LAMASSU" ${what/profile create new --template iot-device/ca metadata set devices a=b} 2>&1) || status=$?
		echo "$where: $status $stderr"
		[ "$status" -ne 0 ]
		one_line
		[[ $stderr == *"Permission denied"* || $stderr == *ermission* ]]
		chmod -R u+w .
		[ "$(as_nobody git for-each-ref --format='%(refname) %(objectname)' refs/heads)" = "$before" ]
		as_nobody git fsck --strict
	done
	ok as_nobody "$LAMASSU" ca sign devices --csr ../one.csr
	[ -z "$(as_nobody git status --porcelain)" ]
}

@test "robust: a repository of another user is refused with git's own remedy" {
	open_to_nobody
	chown -R 0:0 .
	fails 5 'safe.directory' as_nobody "$LAMASSU" ca list
	one_line
}

@test "K11: key files that others own or may read are refused, as are links" {
	open_to_nobody
	ok as_nobody "$LAMASSU" ca sign devices --csr ../one.csr
	before=$(as_nobody git for-each-ref --format='%(refname) %(objectname)' refs/heads)
	key=.git/lamassu/keys/$(as_nobody "$LAMASSU" ca show devices -o json | jq -r .key_id).pem
	for mode in 0644 0640 0604 0666; do
		chmod $mode "$key"
		fails 5 "mode $mode" as_nobody "$LAMASSU" ca sign devices --csr ../one.csr
		one_line
	done
	chmod 600 "$key"
	chown 0 "$key"
	fails 5 'key file' as_nobody "$LAMASSU" ca sign devices --csr ../one.csr
	chown 0:0 "$key" && chmod 604 "$key"
	fails 5 'another user' as_nobody "$LAMASSU" ca sign devices --csr ../one.csr
	chmod 600 "$key" && chown 65534:65534 "$key" && mv "$key" ../moved.pem && ln -s "$PWD/../moved.pem" "$key"
	fails 5 'symbolic link' as_nobody "$LAMASSU" ca sign devices --csr ../one.csr
	[ "$(as_nobody git for-each-ref --format='%(refname) %(objectname)' refs/heads)" = "$before" ]
}

# --- keys ---

@test "K11: a wrong passphrase or none is refused, and neither changes anything" {
	cd .. && mkdir enc && cd enc && new_pki --encrypted
	ok lamassu ca create root --subject CN=Root --issuance-profile iot-device
	before=$(tips)
	refuses 5 passphrase env LAMASSU_PASSPHRASE=wrong "$LAMASSU" ca sign root --csr "$one"
	printf 'wrong\n' >../../pass
	refuses 5 passphrase lamassu ca sign root --csr "$one" --passphrase-file ../../pass
	refuses 5 passphrase env LAMASSU_PASSPHRASE= "$LAMASSU" ca sign root --csr "$one" --passphrase-file ../../pass
	status=0
	stderr=$(env -u LAMASSU_PASSPHRASE setsid "$LAMASSU" ca sign root --csr "$one" --no-input 2>&1 </dev/null) || status=$?
	echo "$status $stderr"
	[ "$status" -eq 5 ]
	[[ $stderr == *--passphrase-file* ]]
	[ "$(tips)" = "$before" ]
	[[ $stderr != *wrong* ]]
	ok lamassu ca sign root --csr "$one"
	key=$(echo .git/lamassu/keys/*.pem)
	chmod u+w "$key" && sed -i '5s/[A-Za-z0-9]/A/g' "$key"
	before=$(tips)
	status=0
	lamassu ca sign root --csr "$one" 2>../err >../out || status=$?
	[ "$status" -eq 5 ] || [ "$status" -eq 2 ]
	[ ! -s ../out ] && [ "$(tips)" = "$before" ]
}

@test "C2 K11: a key that does not match its certificate is refused" {
	root=$(lamassu ca show root -o json | jq -r .key_id) devices=$(lamassu ca show devices -o json | jq -r .key_id)
	cat ".git/lamassu/keys/$root.pem" >".git/lamassu/keys/$devices.pem"
	status=0
	stderr=$(lamassu ca sign devices --csr "$one" 2>&1 >../out) || status=$?
	echo "$status $stderr"
	[ "$status" -eq 5 ] || [ "$status" -eq 2 ]
	[ ! -s ../out ] && [ "$(tips)" = "$before" ]
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../a.key -out ../a.pem -subj /CN=A -days 30 \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	openssl ecparam -name prime256v1 -genkey -noout -out ../b.key
	status=0
	stderr=$(lamassu ca import other --cert ../a.pem --key ../b.key 2>&1) || status=$?
	echo "$status $stderr"
	[ "$status" -eq 5 ] || [ "$status" -eq 2 ]
	[ "$(tips)" = "$before" ]
	[ "$(ls .git/lamassu/keys | wc -l)" -eq 2 ]
}

# --- killed, and many at once ---

# struck MS CMD…: runs it and kills it after up to so many milliseconds.
struck() {
	local ms=$((RANDOM % $1)) pid
	shift
	"$LAMASSU" "$@" >/dev/null 2>&1 &
	pid=$!
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# How many milliseconds it takes, and a little more.
lasts() {
	local start
	start=$(date +%s%N)
	"$@" >/dev/null 2>&1 || return 1
	echo $((($(date +%s%N) - start) / 1000000 * 5 / 4 + 5))
}

@test "C7 robust: kill -9 at two hundred moments of issuing loses nothing that was told" {
	alone=$(lasts lamassu ca sign devices --csr "$one")
	many=$(lasts lamassu ca sign devices --csr "$files/batch" --out ../outs-0)
	for ((i = 1; i <= 200 / LAMASSU_SLOW; i++)); do
		if ((i % 4)); then
			struck "$alone" ca sign devices --csr "$one" --out "../out-$i.pem"
		else
			struck "$many" ca sign devices --csr "$files/batch" --out "../outs-$i"
		fi
		((i % 20)) || { ok lamassu ca sign devices --csr "$one" --out "../out-next-$i.pem" && sound; }
	done
	find .. -path '*/pki/*' -prune -o -name '*.pem' -print | recorded
	echo "$(wc -l <../told) certificates told"
	[ "$(wc -l <../told)" -gt $((40 / LAMASSU_SLOW)) ]
	ok lamassu ca sign devices --csr "$one" --lock-timeout 1s
	sound
}

@test "C7 robust: a batch that is killed again and again goes on, and issues to nobody twice" {
	n=$(issued)
	many=$(lasts lamassu -n ca sign devices --csr "$files/batch" --out ../dry)
	for ((i = 1; i <= 20; i++)); do
		struck $((many * 2)) ca sign devices --csr "$files/batch" --out ../outs
		# killed after its last step: it was done
		[ "$(issued)" -gt "$n" ] && [ -z "$(ls .git/lamassu/batches 2>/dev/null)" ] && break
	done
	[ "$(issued)" -gt "$n" ] && [ -z "$(ls .git/lamassu/batches 2>/dev/null)" ] ||
		ok lamassu ca sign devices --csr "$files/batch" --out ../outs
	[ "$(issued)" -eq $((n + 200)) ]
	ls ../outs/*.pem | recorded
	[ "$(wc -l <../told)" -eq 200 ]
	sound
}

@test "C7 robust: two, five and eight writers at once, single and batch: none lost, none twice, none fails" {
	told=0
	for writers in 2 5 8; do
		for ((w = 1; w <= writers; w++)); do
			(
				for i in 1 2 3; do
					lamassu ca sign devices --csr "$one" --out "../w-$writers-$w-$i.pem" >/dev/null || echo failed
				done
				lamassu ca sign devices --csr "$files/five" --out "../v-$writers-$w" >/dev/null || echo failed
				[ "$w" -ne 1 ] || lamassu cert revoke "$(serial_of "../w-$writers-$w-1.pem")" --reason superseded -y >/dev/null || echo failed
				[ "$w" -ne 2 ] || lamassu ca crl devices --out "../c-$writers.crl" >/dev/null || echo failed
				[ "$w" -ne 2 ] || lamassu profile create "p-$writers" --template iot-device >/dev/null || echo failed
			) >>../log 2>&1 &
		done
		wait
		told=$((told + writers * 8))
		cat ../log
		no grep -q failed ../log
		no grep -v '^lamassu: warning' ../log
	done
	ls ../w-*.pem ../v-*/*.pem | recorded
	[ "$(wc -l <../told)" -eq "$told" ]
	sound
}

@test "robust: a writer that does not let go is named after the time-out" {
	flock .git/lamassu/lock -c 'printf "process 7 (test)\n" >.git/lamassu/lock; touch ../held; sleep 4' &
	holder=$!
	until [ -e ../held ]; do sleep 0.05; done
	refuses 4 'held by process 7 (test): try again, or wait longer with --lock-timeout' lamassu ca sign devices --csr "$one" --lock-timeout 200ms
	ok lamassu cert list
	ok lamassu ca sign devices --csr "$one" --lock-timeout 30s
	wait "$holder"
	touch .git/index.lock
	before=$(tips)
	refuses 4 'index.lock: git holds this lock' lamassu ca metadata set devices a=b --lock-timeout 200ms
	[ -e .git/index.lock ]
	ok lamassu ca sign devices --csr "$one" --lock-timeout 200ms
	rm .git/index.lock
	ok lamassu ca metadata set devices a=b
	sound
}

# --- people and git ---

@test "robust: uncommitted, staged and deleted files of the same record are left alone; others do not matter" {
	echo '# mine' >>cas/devices/ca.yaml
	refuses 4 'cas/devices/ca.yaml has changes that are not committed' lamassu ca metadata set devices a=b
	[ "$(tail -n 1 cas/devices/ca.yaml)" = '# mine' ]
	git add cas/devices/ca.yaml
	refuses 4 'cas/devices/ca.yaml has' lamassu ca metadata set devices a=b
	git reset -q && git checkout -q cas/devices/ca.yaml && rm cas/devices/ca.yaml
	refuses 4 'cas/devices/ca.yaml has' lamassu ca metadata set devices a=b
	[ ! -e cas/devices/ca.yaml ]
	git checkout -q cas/devices/ca.yaml && rm cas/devices/ca.yaml && mkdir cas/devices/ca.yaml && touch cas/devices/ca.yaml/x
	refuses 4 'cas/devices/ca.yaml has' lamassu ca metadata set devices a=b
	rm -r cas/devices/ca.yaml && git checkout -q cas/devices/ca.yaml
	echo '# mine' >>profiles/iot-device.yaml && touch untracked profiles/new.yaml
	ok lamassu ca metadata set devices a=b
	ok lamassu ca sign devices --csr "$one"
	[[ $stderr == *profiles/iot-device.yaml* ]]
	before=$(tips)
	refuses 4 'profiles/new.yaml' lamassu profile create new --template iot-device
	[ "$(git status --porcelain | sort)" = $' M profiles/iot-device.yaml\n?? profiles/new.yaml\n?? untracked' ]
	[ "$(tail -n 1 profiles/iot-device.yaml)" = '# mine' ]
}

@test "robust: a merge or rebase in progress, a detached HEAD and another branch refuse changes with exit 4" {
	by_git checkout -q -b side && echo '# a' >>profiles/iot-device.yaml && by_git commit -qam side
	before=$(tips)
	refuses 4 'on branch side and policy is on main: git switch main first' lamassu ca sign devices --csr "$one"
	git checkout -q --detach main
	refuses 4 'HEAD is detached: git switch main first' lamassu ca sign devices --csr "$one"
	git checkout -q main && echo '# b' >>profiles/iot-device.yaml && by_git commit -qam main
	by_git merge side >/dev/null || true
	before=$(tips)
	refuses 4 'a merge is in progress' lamassu ca sign devices --csr "$one"
	ok lamassu cert show "$serial"
	git merge --abort && git checkout -q side
	by_git rebase main >/dev/null 2>&1 || true
	before=$(tips)
	refuses 4 '' lamassu ca sign devices --csr "$one"
	git rebase --abort && git checkout -q main
	ok lamassu ca sign devices --csr "$one"
}

# on_ledger CMD…: a commit on the ledger by plain git.
on_ledger() {
	git worktree add -q "$BATS_TEST_TMPDIR/ledger" ledger || return 1
	(cd "$BATS_TEST_TMPDIR/ledger" && "$@" && git add -A && by_git commit -qm 'by hand') || return 1
	git worktree remove --force "$BATS_TEST_TMPDIR/ledger"
}

@test "robust: a foreign commit on the ledger: what is unknown is kept, what is removed or broken is found" {
	on_ledger bash -c 'mkdir notes && echo hello >notes/x.yaml && echo hi >README'
	ok lamassu ca sign devices --csr "$one" --out ../out.pem
	git show ledger:notes/x.yaml | grep -q hello
	ok lamassu cert show "$(serial_of ../out.pem)"
	on_ledger bash -c 'echo junk >$(dirname $(find issued -name "*.pem" | head -n 1))/00112233445566778899aabbccddeeff.pem'
	status=0
	lamassu ca sign devices --csr "$one" >../out2.pem 2>../err || status=$?
	cat ../err
	[ "$status" -eq 0 ] || [ ! -s ../out2.pem ]
	fails 5 '' lamassu repo verify
	[[ $output == *00112233445566778899aabbccddeeff* ]]
}

@test "robust: a ledger that was set back is refused in words, and can be restored by them" {
	ok lamassu cert revoke "$serial" --reason key_compromise -y
	tip=$(git rev-parse ledger)
	git branch -q -f ledger ledger~1
	before=$(tips)
	for what in "ca sign devices --csr $one" "cert show $serial" "ca crl devices"; do
		# shellcheck disable=SC2086 # a list of words
		refuses 4 "the ledger was rolled back or rewritten" lamassu $what
		[[ $stderr == *"git branch -f ledger $tip"* ]]
	done
	git branch -q -f ledger "$tip"
	[ "$(lamassu cert show "$serial" -o json | jq -r .status)" = REVOKED ]
	tree=$(git rev-parse ledger^{tree})
	git update-ref refs/heads/ledger "$(by_git commit-tree -m new "$tree")"
	before=$(tips)
	refuses 4 'the ledger was rolled back or rewritten' lamassu ca sign devices --csr "$one"
	git update-ref -d refs/heads/ledger
	before=$(tips)
	status=0
	lamassu ca sign devices --csr "$one" >../out 2>../err || status=$?
	cat ../err
	[ "$status" -ne 0 ] && [ ! -s ../out ] && [ "$(tips)" = "$before" ]
}

@test "robust: truncated, emptied and missing packs are an error in one line, never a crash" {
	cp -a .git/objects ../objects
	for pack in .git/objects/pack/*.pack; do
		for how in 'truncate -s -30' 'truncate -s 100' 'truncate -s 0' 'rm -f'; do
			chmod u+w "$pack"
			$how "$pack"
			for what in "ca sign devices --csr $one" "cert show $serial" "cert list" "repo verify"; do
				status=0
				# shellcheck disable=SC2086 # a list of words
				lamassu $what >../out 2>../err || status=$?
				[ "$status" -le 5 ] || { echo "$what, $how $pack: exit $status"; cat ../err; return 1; }
			done
			rm -rf .git/objects && cp -a ../objects .git/objects
			git update-ref refs/heads/ledger "$(sed -n 's,refs/heads/ledger ,,p' <<<"$before")"
			echo "$(sed -n 's,refs/heads/ledger ,,p' <<<"$before")" >.git/lamassu/ledger-seen
		done
	done
	ok lamassu ca sign devices --csr "$one"
}

answers() { lamassu cert list --all -o json; }

@test "robust: the cache may be lost, cut, garbled, a folder or a link: the answers stay" {
	answer=$(answers)
	for how in 'rm -f .git/lamassu/index.db' 'truncate -s 5000 .git/lamassu/index.db' 'truncate -s 0 .git/lamassu/index.db' \
		'dd if=/dev/urandom of=.git/lamassu/index.db bs=1k count=8 conv=notrunc status=none' \
		'dd if=/dev/urandom of=.git/lamassu/index.db bs=1k seek=5 count=20 conv=notrunc status=none' \
		'cp /bin/sh .git/lamassu/index.db' 'cp /bin/sh .git/lamassu/index.db-journal'; do
		$how
		[ "$(answers)" = "$answer" ] || { echo "after $how: $(answers)"; return 1; }
		$how
		ok lamassu ca sign devices --csr "$one" --out ../out.pem
		ok lamassu cert revoke "$(serial_of ../out.pem)" --reason superseded -y
		[ "$(lamassu cert show "$(serial_of ../out.pem)" -o json | jq -r .status)" = REVOKED ]
		sound
		answer=$(answers)
	done
	echo precious >../precious
	rm -f .git/lamassu/index.db* && ln -s "$PWD/../precious" .git/lamassu/index.db
	[ "$(answers)" = "$answer" ]
	[ "$(cat ../precious)" = precious ]
	rm -f .git/lamassu/index.db* && mkdir .git/lamassu/index.db
	[ "$(answers)" = "$answer" ]
}

# ledger_from TIME: the newest commit of the ledger is from then.
ledger_from() {
	local commit
	commit=$(GIT_COMMITTER_DATE=$1 by_git commit-tree -p ledger -m 'by another clock' 'ledger^{tree}') &&
		git update-ref refs/heads/ledger "$commit"
	before=$(tips)
}

@test "robust: a clock that went backwards stops signing until the operator gives the time" {
	ledger_from "@$(($(date +%s) + 590)) +0000" # clocks of clones differ
	ok lamassu ca sign devices --csr "$one"
	ledger_from "@$(($(date +%s) + 700)) +0000"
	refuses 5 'set the clock' lamassu ca sign devices --csr "$one"
	ledger_from 2035-01-01T00:00:00Z
	refuses 5 'the newest entry of the ledger is from 2035-01-01T00:00:00Z: set the clock, or give the time with --at' \
		lamassu ca sign devices --csr "$one"
	refuses 5 'the clock says' lamassu ca crl devices
	ok lamassu cert list
	refuses 5 'the clock says' lamassu cert issue --ca devices --subject CN=x
	refuses 5 'the clock says' lamassu ca create new --parent root --subject CN=New
	ok lamassu ca sign devices --csr "$one" --at 2029-06-01T00:00:00Z --out ../out.pem
	[ "$(openssl x509 -in ../out.pem -noout -startdate)" = 'notBefore=May 31 23:59:00 2029 GMT' ]
}

@test "robust: a newer format is read with a warning and never written" {
	sed -i 's/^format: 1$/format: 2/' lamassu.yaml && by_git commit -qam 'from the future'
	before=$(tips)
	ok lamassu cert show "$serial"
	[[ $stderr == *'format 2, newer'* ]]
	refuses 1 'use a newer lamassu' lamassu ca sign devices --csr "$one"
}

@test "robust: SHA-256, shallow and partial repositories are refused by name" {
	cd .. && git init -q --object-format=sha256 sha
	fails 1 'sha256 is not supported' lamassu init sha
	one_line
	git -C sha -c user.name=x -c user.email=x@y commit -q --allow-empty -m x && cp pki/lamassu.yaml sha/
	fails 1 'sha256 is not supported' lamassu -C sha ca list
	git clone -q --depth 1 "file://$PWD/pki" shallow
	fails 1 shallow lamassu -C shallow ca list
	one_line
	git -C pki config uploadpack.allowFilter true
	git clone -q --filter=blob:none "file://$PWD/pki" partial 2>/dev/null
	fails 1 partial lamassu -C partial ca list
	one_line
}

# --- what somebody else wrote ---

@test "robust: ids that are paths lead nowhere" {
	cp "$one" ../secret.yaml
	for id in ../../secret ../profiles/iot-device iot-device/../iot-device /etc/passwd .. . -x 'a b' $'a\nb' "$(head -c 300 /dev/zero | tr '\0' a)"; do
		for what in "ca show" "profile show" "kms key show" "cert show" "ca sign --csr $one --" "profile create --template"; do
			status=0
			# shellcheck disable=SC2086 # a list of words
			lamassu $what "$id" >../out 2>../err || status=$?
			[ "$status" -eq 2 ] || [ "$status" -eq 3 ] || { echo "$what $id: $status"; cat ../err; return 1; }
		done
	done
	mkdir -p 'cas/..hidden' && cp cas/devices/ca.yaml 'cas/..hidden/'
	mkdir -p cas/evil && sed 's,^key: .*,key: ../../../../etc/passwd,' cas/devices/ca.yaml >cas/evil/ca.yaml && cp cas/devices/ca.pem cas/evil/
	sed 's,^id: .*,id: ../x,' profiles/iot-device.yaml >profiles/evil.yaml
	git add -A && by_git commit -qm evil
	before=$(tips)
	status=0
	lamassu ca sign evil --csr "$one" >../out 2>../err || status=$?
	cat ../err
	[ "$status" -ne 0 ] && [ ! -s ../out ] && [ "$(tips)" = "$before" ]
	status=0
	lamassu ca sign devices --profile evil --csr "$one" >../out 2>../err || status=$?
	cat ../err
	[ "$status" -ne 0 ] && [ ! -s ../out ] && [ "$(tips)" = "$before" ]
	ok lamassu ca sign devices --csr "$one"
	fails 5 '' lamassu repo verify
}

@test "robust: links in the repository are never followed, in a commit or in the work tree" {
	mkdir ../outside && cp profiles/iot-device.yaml ../outside/linked.yaml && cp -a cas/devices ../outside/
	ln -s "$PWD/../outside/linked.yaml" profiles/linked.yaml && ln -s "$PWD/../outside/devices" cas/linked
	git add -A && by_git commit -qm links
	before=$(tips)
	refuses 2 'profiles/linked.yaml is a symbolic link' lamassu profile show linked
	fails 3 'not found' lamassu ca show linked
	refuses 2 'profiles/linked.yaml is a symbolic link' lamassu ca sign devices --profile linked --csr "$one"
	mv profiles ../outside/profiles && ln -s "$PWD/../outside/profiles" profiles
	status=0
	stderr=$(lamassu profile create new --template iot-device 2>&1) || status=$?
	echo "$status $stderr"
	[ "$status" -eq 4 ] && one_line && [ "$(tips)" = "$before" ]
	[ ! -e ../outside/profiles/new.yaml ]
	rm profiles && mv ../outside/profiles profiles
	ln -s "$PWD/../outside/target" profiles/new.yaml
	status=0
	stderr=$(lamassu profile create new --template iot-device 2>&1) || status=$?
	[ "$status" -eq 4 ] && [ ! -e ../outside/target ] && [ "$(tips)" = "$before" ]
	rm profiles/new.yaml
	ln -s "$PWD/../outside/target" ../out.pem
	status=0
	lamassu ca sign devices --csr "$one" --out ../out.pem 2>../err || status=$?
	[ "$status" -ne 0 ] && [ ! -e ../outside/target ]
}

@test "robust: files of any size in the repository cost no more than a message" {
	head -c 20000000 /dev/zero | tr '\0' '#' >profiles/huge.yaml
	head -c 20000000 /dev/zero >blob.bin
	mkdir many && (cd many && seq 5000 | xargs touch)
	git add -A && by_git commit -qm huge
	before=$(tips)
	refuses 2 'profiles/huge.yaml' lamassu profile show huge
	refuses 2 'profiles/huge.yaml' lamassu ca sign devices --profile huge --csr "$one"
	ok lamassu ca sign devices --csr "$one"
	cp profiles/huge.yaml cas/devices/ca.yaml && by_git commit -qam 'huge too'
	before=$(tips)
	refuses 2 'cas/devices/ca.yaml' lamassu ca sign devices --csr "$one"
}

@test "robust C11: terminal escapes from certificates, records and commits are shown as \\xHH" {
	new_csr ../esc "/CN=a"$'\e'"[31mred"$'\a'"/O=line"$'\n'"break"
	ok lamassu ca sign devices --csr ../esc.csr --out ../esc.pem || { echo "refused is fine too: $stderr"; [ "$status" -eq 2 ]; }
	sed -i 's/^description: .*//' profiles/iot-device.yaml && printf 'description: "evil\\e]0;title\\a"\n' >>profiles/iot-device.yaml
	by_git commit -qam $'title \e[2J' --author $'Mal\e[31mlory <m@example.org>'
	printf 'a\tb' >$'pro\efile'
	git add -A && by_git commit -qm x
	for what in "cert list --all" "cert list --all -o json" "cert list --all -o yaml" "profile show iot-device" "profile list -o json" \
		"profile show iot-device -o yaml" "repo log" "repo log -o json" "repo status" "ca tree" "repo verify"; do
		# shellcheck disable=SC2086 # a list of words
		lamassu $what >../out 2>&1 || true
		no grep -qP '[\x00-\x08\x0b-\x1f\x7f]' ../out || { echo "$what"; cat -v ../out; return 1; }
	done
	status=0
	lamassu ca show $'x\e[31m' >../out 2>&1 || status=$?
	no grep -q $'\e' ../out
	lamassu ca sign devices --csr $'../no\e[31m' >../out 2>&1 || status=$?
	no grep -q $'\e' ../out
	lamassu $'no\e[31m' >../out 2>&1 || status=$?
	no grep -q $'\e' ../out
}
