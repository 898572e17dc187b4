# What the tests of the repository itself share, beside helpers.bash.
export GIT_AUTHOR_NAME=Eve GIT_AUTHOR_EMAIL=eve@example.org GIT_COMMITTER_NAME=Eve GIT_COMMITTER_EMAIL=eve@example.org

# request NAME: NAME.csr with a new key, made by openssl.
request() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$BATS_TEST_TMPDIR/$1.key" \
		-out "$BATS_TEST_TMPDIR/$1.csr" -subj "/CN=$1.example.org" -addext "subjectAltName=DNS:$1.example.org" 2>/dev/null
}

# issue NAME [CA]: signs it; the certificate is NAME.pem, its serial number $serial.
issue() {
	request "$1"
	ok lamassu ca sign "${2:-sub}" --csr "$BATS_TEST_TMPDIR/$1.csr" --out "$BATS_TEST_TMPDIR/$1.pem" || return 1
	serial=$(openssl x509 -in "$BATS_TEST_TMPDIR/$1.pem" -noout -serial | cut -d= -f2 | tr A-F a-f)
}

# A repository in ./pki with a root and an authority below it, entered.
two_tier() {
	new_pki || return 1
	ok lamassu ca create root --subject 'CN=Root' || return 1
	ok lamassu ca create sub --parent root --subject 'CN=Sub' --issuance-profile tls-server
}

# A bare server that the repository of the working directory is synced with, and a clone of it in ../two with the keys.
server_and_clone() {
	git init -q --bare -b main ../server.git && git remote add origin ../server.git || return 1
	ok lamassu repo sync || return 1
	git clone -q ../server.git ../two && mkdir -p ../two/.git/lamassu && cp -a .git/lamassu/keys ../two/.git/lamassu/
}

# find_entry SERIAL: its path in the ledger.
find_entry() {
	git ls-tree -r --name-only ledger issued | grep -m1 "/$1"
}

# on_ledger COMMAND…: runs it in a checkout of the ledger and commits what it did there with plain git.
on_ledger() {
	git worktree add -q "$BATS_TEST_TMPDIR/ledger" ledger 2>/dev/null || git -C "$BATS_TEST_TMPDIR/ledger" reset -q --hard
	(cd "$BATS_TEST_TMPDIR/ledger" && "$@" && git add -A && git commit -qm 'by hand')
}
