# What every behaviour test uses. The program is $LAMASSU, else the one in PATH; each test works in a folder of its own.
# Judgement comes from foreign programs (openssl, git) where there is one, not from the program's own word.
: "${LAMASSU:=$(command -v lamassu)}"
export LC_ALL=C.UTF-8 TZ=UTC NO_COLOR=1 LAMASSU_OPERATOR='Test Operator <test@example.org>' LAMASSU_PASSPHRASE=correct-horse
export GIT_CONFIG_GLOBAL=/nonexistent/gitconfig GIT_CONFIG_SYSTEM=/nonexistent/gitconfig
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

# --- for the tests of bad input and bad days ---

# How much longer things take here (sanitizers: 4 or so): loops are that much shorter.
: "${LAMASSU_SLOW:=1}"

# new_csr NAME [SUBJECT]: NAME.csr and NAME.key, P-256.
new_csr() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
		-subj "${2:-/CN=$(basename "$1")}" 2>/dev/null
}

# many_csrs N DIR: N requests that share one key.
many_csrs() {
	local i
	mkdir -p "$2"
	openssl ecparam -name prime256v1 -genkey -noout -out "$2.key"
	for ((i = 0; i < $1; i++)); do openssl req -new -key "$2.key" -subj "/CN=d-$i" -out "$2/d-$i.csr" || return 1; done
}

# new_pki and in it the authorities root and devices.
new_cas() {
	new_pki "$@" &&
		ok lamassu ca create root --subject 'CN=Root,O=Acme,C=US' --key-type ecdsa:256 --validity 10y &&
		ok lamassu ca create devices --parent root --subject 'CN=Devices,O=Acme' --key-type ecdsa:256 --validity 5y \
			--issuance-profile iot-device
}

# serial_of CERTIFICATE, as the program writes it.
serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2 | tr A-F a-f; }

# Both histories: what must not move when something is refused.
tips() { git for-each-ref --format='%(refname) %(objectname)' refs/heads; }

issued() { git ls-tree -r --name-only "${1:-ledger}" issued | wc -l; }

# one_line: the failed command said one thing, beside warnings.
one_line() {
	[ "$(grep -v '^lamassu: warning: ' <<<"$stderr" | wc -l)" -eq 1 ] && return
	printf 'not one line: %s\n' "$stderr"
	return 1
}

# leftovers: files that only an unfinished command needs.
leftovers() {
	find . \( -name '.lamassu-*' -o -name '*.lock' -o -path './.git/lamassu/tmp.*' -o -name intent \
		-o -path './.git/objects/pack/*.keep' -o -path './.git/objects/pack/tmp*' \) -not -path './.git/lamassu/lock'
}

# sound: the repository is whole, in git's eyes and in the program's; the work tree is what was committed.
sound() {
	local out
	out=$(git fsck --strict 2>&1) || { printf 'git fsck: %s\n' "$out"; return 1; }
	out=$(git status --porcelain)
	[ -z "$out" ] || { printf 'git status: %s\n' "$out"; return 1; }
	out=$(leftovers)
	[ -z "$out" ] || { printf 'left over: %s\n' "$out"; return 1; }
	out=$(lamassu repo verify 2>&1) || { printf 'repo verify: %s\n' "$out"; return 1; }
}
