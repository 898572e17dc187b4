#!/usr/bin/env bats
# shellcheck disable=SC2154 # stderr: set by ok and fails of helpers.bash
# `repo sync` over the network: git's own servers on this machine. What git itself then finds there is the proof.
bats_require_minimum_version 1.5.0
load helpers
load repo_helpers

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# background COMMAND…: runs it until the test is over.
background() {
	"$@" >"$BATS_TEST_TMPDIR/server.log" 2>&1 3>&- &
	server=$!
}

# listening PORT: waits for it.
listening() {
	local i
	for ((i = 0; i < 100; i++)); do
		! (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 0
		sleep 0.1
	done
	cat "$BATS_TEST_TMPDIR/server.log"
	return 1
}

teardown() { [ -z "${server:-}" ] || { kill "$server" && wait "$server" || true; } 2>/dev/null; }

# A repository in ./pki and an empty server that new_remote has put at the address $url: both ways, and at the same time.
both_ways() {
	git remote add origin "$url"
	ok lamassu repo sync
	[[ $output == 'synced with origin: ledger sent, policy sent' ]]
	git clone -q "$url" ../two && mkdir -p ../two/.git/lamassu && cp -a .git/lamassu/keys ../two/.git/lamassu/
	issue here && here=$serial
	cd ../two && issue there && there=$serial
	ok lamassu repo sync && [[ $output == *'ledger sent'* ]]
	ok lamassu ca metadata set sub site=two
	cd ../pki && ok lamassu repo sync && [[ $output == *'ledger united'* ]]
	cd ../two && ok lamassu repo sync && [[ $output == *'received'* ]]
	for dir in ../pki ../two; do (cd $dir && ok lamassu cert show "$here" && ok lamassu cert show "$there"); done
	[ "$(git -C ../server.git rev-parse main ledger)" = "$(git rev-parse main ledger)" ]
	git -C ../server.git fsck --strict
	ok lamassu ca crl sub --out "$BATS_TEST_TMPDIR/sub.crl"
	[ -z "$stderr" ]
}

@test "S13 repo sync: over git's own protocol, to git daemon" {
	two_tier && git init -q --bare -b main ../server.git
	port=$(free_port) url=git://127.0.0.1:$port/server.git
	background git daemon --listen=127.0.0.1 --port="$port" --base-path="$BATS_TEST_TMPDIR" --export-all --enable=receive-pack --reuseaddr
	listening "$port"
	both_ways
}

# start_sshd [OPTION...]: sshd as git servers have it: a key for each side.
start_sshd() {
	port=$(free_port) home=$BATS_TEST_TMPDIR/home
	mkdir -p "$home/.ssh" /run/sshd && chmod 700 "$home/.ssh"
	ssh-keygen -q -t ecdsa -N '' -f "$BATS_TEST_TMPDIR/host" && ssh-keygen -q -t ecdsa -N '' -f "$home/.ssh/id_ecdsa" || return 1
	cp "$home/.ssh/id_ecdsa.pub" "$BATS_TEST_TMPDIR/authorized"
	background "$(command -v sshd || echo /usr/sbin/sshd)" -D -e -f /dev/null -p "$port" -h "$BATS_TEST_TMPDIR/host" "$@" \
		-o ListenAddress=127.0.0.1 -o AuthorizedKeysFile="$BATS_TEST_TMPDIR/authorized" -o StrictModes=no -o UsePAM=no \
		-o PidFile=none -o PasswordAuthentication=no -o PermitRootLogin=prohibit-password
	listening "$port" || return 1
	export HOME=$home GIT_SSH_COMMAND="ssh -F /dev/null -i $home/.ssh/id_ecdsa -o UserKnownHostsFile=$home/.ssh/known_hosts"
	unset SSH_AUTH_SOCK
	url=ssh://$(id -un)@127.0.0.1:$port$BATS_TEST_TMPDIR/server.git
}

@test "S13 repo sync: over ssh, with a key file; an unknown host and an unknown key are refused" {
	two_tier && git init -q --bare -b main ../server.git
	start_sshd
	export ASAN_OPTIONS=detect_leaks=0 # libgit2 does not free what it was told of a host that it then refuses
	git remote add origin "$url"
	fails 6 'origin: ' lamassu repo sync
	one_line
	[ "$(git -C ../server.git for-each-ref)" = '' ]
	printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 <"$BATS_TEST_TMPDIR/host.pub")" >"$home/.ssh/known_hosts"
	: >"$BATS_TEST_TMPDIR/authorized"
	fails 6 'origin: ' lamassu repo sync
	one_line
	cp "$home/.ssh/id_ecdsa.pub" "$BATS_TEST_TMPDIR/authorized"
	git remote remove origin
	both_ways
}

@test "S13 repo sync: over https and http, to git http-backend; an unknown authority is refused" {
	two_tier && git init -q --bare -b main ../server.git && git -C ../server.git config http.receivepack true
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../tls.key -out ../tls.pem -days 2 \
		-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null
	port=$(free_port)
	background python3 "$LAMASSU_SOURCE/tests/bats/git_http.py" "$port" "$BATS_TEST_TMPDIR" ../tls.pem ../tls.key
	listening "$port"
	git remote add origin "https://127.0.0.1:$port/server.git"
	fails 6 'origin: ' lamassu repo sync
	one_line
	kill "$server" && wait "$server" || true
	git remote remove origin
	port=$(free_port)
	background python3 "$LAMASSU_SOURCE/tests/bats/git_http.py" "$port" "$BATS_TEST_TMPDIR"
	listening "$port"
	url=http://127.0.0.1:$port/server.git
	both_ways
}

@test "S13 C13 repo sync: a remote that nobody answers for is one line and exit 6; a CRL is made with a warning" {
	two_tier
	issue a
	port=$(free_port)
	for url in "git://127.0.0.1:$port/x.git" "http://127.0.0.1:$port/x.git" "https://127.0.0.1:$port/x.git" "ssh://git@127.0.0.1:$port/x.git" \
		git://nowhere.invalid/x.git https://nowhere.invalid/x.git "$BATS_TEST_TMPDIR/none.git" nonsense://x/y; do
		git remote add origin "$url"
		before=$(tips)
		fails 6 'origin: ' lamassu repo sync
		one_line
		[ "$(tips)" = "$before" ]
		ok lamassu ca crl sub --out "$BATS_TEST_TMPDIR/sub.crl"
		[[ $stderr == *'warning: the CRL may lack what other clones have revoked, because the sync failed: origin: '* ]]
		git remote remove origin
	done
}

# silent_server [WORD]: a server that takes every connection and never says a word but this one; its port is in ./port.
silent_server() {
	background python3 -c 'import os, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(16)
with open("port.new", "w") as f: f.write(str(s.getsockname()[1]))
os.rename("port.new", "port")
taken = []
while True:
    c, _ = s.accept()
    c.sendall(sys.argv[1].encode())
    taken.append(c)' "${1:-}"
	for ((i = 0; i < 300; i++)); do
		[ ! -s port ] || return 0
		sleep 0.1
	done
	return 1
}

@test "S13 repo sync: a server that takes the connection and never answers is given up" {
	two_tier && silent_server
	git config http.lowSpeedTime 2
	git remote add origin nowhere
	for scheme in http https git; do
		git remote set-url origin "$scheme://git@127.0.0.1:$(cat port)/server.git"
		fails 6 'origin: no sign of life for 2 seconds' lamassu repo sync
	done
	rm port
	ok lamassu repo verify
}

@test "S13 repo sync: an ssh server that never answers, or not after its greeting, in the login or after it, is given up" {
	two_tier
	export ASAN_OPTIONS=detect_leaks=0 # libgit2 does not free what it made for a session that fails
	git config http.lowSpeedTime 2
	git remote add origin nowhere
	for word in '' $'SSH-2.0-silent\r\n'; do
		silent_server "$word"
		git remote set-url origin "ssh://git@127.0.0.1:$(cat port)/server.git"
		fails 6 'origin: no sign of life for 2 seconds' lamassu repo sync
		kill "$server" && wait "$server" || true
		rm port
	done
	for option in AuthorizedKeysFile=none ForceCommand='exec sleep 60'; do
		rm -rf ../home ../host*
		start_sshd -o "$option" -o AuthorizedKeysCommand='/bin/sleep 60' -o AuthorizedKeysCommandUser=root
		printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 <"$BATS_TEST_TMPDIR/host.pub")" >"$home/.ssh/known_hosts"
		git remote set-url origin "$url"
		fails 6 'origin: no sign of life for 2 seconds' lamassu repo sync
		kill "$server" && wait "$server" || true
	done
	ok lamassu repo verify
}
