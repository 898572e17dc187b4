# What every behaviour test uses. The program is $LAMASSU, else the one in PATH; each test works in a folder of its own.
# Judgement comes from foreign programs (openssl, git) where there is one, not from the program's own word.
: "${LAMASSU:=$(command -v lamassu)}"
export LC_ALL=C.UTF-8 TZ=UTC NO_COLOR=1 LAMASSU_OPERATOR='Test Operator <test@example.org>' LAMASSU_PASSPHRASE=correct-horse
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export LSAN_OPTIONS="suppressions=${BASH_SOURCE[0]%/*}/../lsan.supp:print_suppressions=0"
unset LAMASSU_REPO LAMASSU_PASSPHRASE_SOFTWARE LAMASSU_NEW_PASSPHRASE LAMASSU_IMPORT_PASSPHRASE

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

lamassu() { "$LAMASSU" "$@"; }

# ok CMD…: must succeed. Standard output is in $output, both streams are shown when it does not.
ok() {
	status=0
	output=$("$@" 2>"$BATS_TEST_TMPDIR/.stderr") || status=$?
	stderr=$(cat "$BATS_TEST_TMPDIR/.stderr")
	[ "$status" -eq 0 ] && return
	printf 'exit %s: %s\n%s\n%s\n' "$status" "$*" "$output" "$stderr"
	return 1
}

# fails STATUS SUBSTRING CMD…: must end with this status and say so on standard error.
fails() {
	local want=$1 text=$2
	shift 2
	status=0
	output=$("$@" 2>"$BATS_TEST_TMPDIR/.stderr") || status=$?
	stderr=$(cat "$BATS_TEST_TMPDIR/.stderr")
	[ "$status" -eq "$want" ] && [[ $stderr == *"$text"* ]] && return
	printf 'exit %s, expected %s with "%s": %s\n%s\n%s\n' "$status" "$want" "$text" "$*" "$output" "$stderr"
	return 1
}

# no CMD…: must not succeed. (`! CMD` alone does not end a test.)
no() { ! "$@"; }

# A new repository in ./pki, entered. Keys are not encrypted unless it is called with --encrypted.
new_pki() {
	local keys=--unencrypted-keys
	[ "${1:-}" = --encrypted ] && keys=
	# shellcheck disable=SC2086 # nothing when empty
	ok lamassu init pki $keys && cd pki || return 1
}

# key_id PUBLIC.pem: SHA-256 of the SubjectPublicKeyInfo, as openssl computes it.
key_id() {
	openssl pkey -pubin -in "$1" -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1
}
