#!/usr/bin/env bats
# The fault ring: each call with which a command writes, makes durable, renames or signs fails in turn, or is where the
# process dies. After each: the repository is as before, or the change is whole; nothing is printed that is not
# recorded; the next command works and tidies up.
load helpers

setup_file() {
	FAULTY=${LAMASSU_FAULTY:-$(dirname "$LAMASSU")/tests/fault/lamassu-fault}
	[ -x "$FAULTY" ] || { echo "$FAULTY is missing: make check builds it"; return 1; }
	export FAULTY
	cd "$BATS_FILE_TMPDIR" && new_cas && new_csr ../one && many_csrs 3 ../three && new_csr ../after || return 1
	ok lamassu ca sign devices --csr ../one.csr --out ../first.pem
	ok lamassu ca crl devices --out ../first.crl
	serial_of ../first.pem >../serial
}

# Hundreds of runs, each with its fsyncs: in memory where there is a folder for that.
setup() {
	work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d -p "$BATS_TEST_TMPDIR")
}

teardown() {
	rm -rf "$work"
}

# A copy of the prepared repository, entered. Without $pristine a command starts in an empty folder.
fresh() {
	rm -rf "$work"
	mkdir "$work"
	cd "$work" || return 1
	$from_nothing || { cp -a "$BATS_FILE_TMPDIR/pki" pki && cd pki; }
}

# The next normal command, which also recovers.
next_command() {
	if $from_nothing; then
		# Repeated until it is done; a killed one may have been done, or is finished by the repetition.
		[ "$(tips 2>/dev/null | wc -l)" -eq 2 ] || ok lamassu init . --unencrypted-keys ||
			[[ $status -eq 4 && $stderr == *'is a lamassu repository already'* ]] || return 1
		ok lamassu profile create next --template iot-device
	else
		ok lamassu ca sign devices --csr "$BATS_FILE_TMPDIR/after.csr" --out ../after.pem
	fi
}

# Every certificate that the command let out is in the ledger.
all_recorded() {
	local f
	for f in $(find .. -name '*.pem' -not -path '*/.git/*' -not -path '*/cas/*' -not -name after.pem); do
		git grep -q -F -f <(sed -n '2p' "$f") ledger -- issued || { echo "$f is not recorded"; return 1; }
	done
}

# strike N MODE CMD…: runs it with call N hit; checks everything. Returns 1 when it was not reached.
strike() {
	local n=$1 mode=$2 after
	shift 2
	fresh || return 2
	before=$(tips 2>/dev/null)
	rm -f "$BATS_TEST_TMPDIR/log"
	export LAMASSU_FAULT_LOG=$BATS_TEST_TMPDIR/log
	case $mode in
	KILL) hit=(env LAMASSU_FAULT_KILL="$n") ;;
	*) hit=(env LAMASSU_FAULT="$n" LAMASSU_FAULT_ERRNO="$mode") ;;
	esac
	status=0
	stderr=$({ "${hit[@]}" "$FAULTY" "$@" >../out; } 2>&1) || status=$?
	[ -e "$LAMASSU_FAULT_LOG" ] || { echo "no call $n: exit $status $stderr"; [ "$status" -eq 0 ] || return 2; return 1; }
	echo "$mode at $(cat "$LAMASSU_FAULT_LOG"): exit $status $stderr"
	after=$(tips 2>/dev/null)
	if [[ $mode != KILL && $status -eq 1 && $stderr == *'requests failed' ]]; then
		[ "$(ls ../outs | wc -l)" -eq 2 ] || { echo "not the two others"; return 2; }
	elif [ "$mode" != KILL ] && [ "$status" -ne 0 ]; then
		one_line || return 2
		# What was committed may still fail to leave: then the line names where it should have gone.
		if [ "$before" = "$after" ]; then
			$from_nothing || [ "$(ls .git/lamassu/keys)" = "$(ls "$BATS_FILE_TMPDIR/pki/.git/lamassu/keys")" ] ||
				{ echo "a key is left"; return 2; }
		else
			[[ $stderr == *../out* || $stderr == *"standard output: "* ]] || { echo "moved: $before to $after"; return 2; }
		fi
	elif [ "$mode" != KILL ]; then
		[ "$before" != "$after" ] || { echo "done, but nothing recorded"; return 2; }
	fi
	$from_nothing || all_recorded || return 2
	next_command && sound || return 2
}

# ring CMD…: strikes everywhere, until nothing is left to hit. Where things are slow only at some of the places.
ring() {
	local mode n r
	: "${from_nothing:=false}"
	for mode in EIO ENOSPC KILL; do
		for ((n = 1 + RANDOM % LAMASSU_SLOW; n < 400; n += LAMASSU_SLOW)); do
			r=0
			strike "$n" "$mode" "$@" || r=$?
			[ "$r" -lt 2 ] || return 1
			[ "$r" -eq 0 ] || break
		done
		[ "$n" -lt 400 ] && [ "$n" -gt 5 ] || { echo "the ring of $mode ended at $n"; return 1; }
	done
}

@test "robust: every call of init fails or is its last" {
	from_nothing=true
	ring init . --unencrypted-keys
}

@test "robust C1: every call of ca create fails or is its last" {
	ring ca create new --parent root --subject CN=New --key-type ecdsa:256 --validity 1y
}

@test "robust C7: every call of ca sign fails or is its last" {
	ring ca sign devices --csr "$BATS_FILE_TMPDIR/one.csr" --out ../out.pem
}

@test "robust C7: every call of a batch fails or is its last" {
	ring ca sign devices --csr "$BATS_FILE_TMPDIR/three" --out ../outs
}

@test "robust C11: every call of cert revoke fails or is its last" {
	ring cert revoke "$(cat "$BATS_FILE_TMPDIR/serial")" --reason key_compromise -y
}

@test "robust C13: every call of ca crl fails or is its last" {
	ring ca crl devices --out ../out.crl
}

@test "robust P1: every call of profile create fails or is its last" {
	ring profile create new --template iot-device
}
