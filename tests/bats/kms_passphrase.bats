#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
load helpers

keyfile() { # of the only key
	echo .git/lamassu/keys/*.pem
}

@test "K11: a key is encrypted PKCS#8 in a file of 0600 under any umask, outside of the history" {
	new_pki --encrypted
	umask 0
	ok lamassu kms key create k --key-type ecdsa:256 -o id; id=$output
	f=$(keyfile)
	[ "$(stat -c %a "$f" "${f%/*}" .git/lamassu/engines .git/lamassu/engines/software.seal | tr '\n' ' ')" = '600 700 700 600 ' ]
	head -1 "$f" | grep -qx -- '-----BEGIN ENCRYPTED PRIVATE KEY-----'
	openssl pkey -in "$f" -passin pass:correct-horse -pubout -out ../pub.pem
	[ "$(key_id ../pub.pem)" = "$id" ]
	no openssl pkey -in "$f" -passin pass:wrong -noout 2>/dev/null
	openssl asn1parse -in "$f" | grep -qi 'scrypt'
	openssl asn1parse -in "$f" | grep -qi 'aes-256-cbc'
	[ -z "$(git status --porcelain)" ]
	umask 077
	ok lamassu kms key create k2 --key-type ed25519
	[ "$(stat -c %a .git/lamassu/keys/*.pem | sort -u)" = 600 ]
}

@test "K11: the passphrase comes from file, descriptor and environment; a wrong one fails at once" {
	new_pki --encrypted
	ok lamassu kms key create k --key-type ecdsa:256
	printf x >msg
	unset LAMASSU_PASSPHRASE
	fails 5 'LAMASSU_PASSPHRASE_SOFTWARE' lamassu --no-input kms key sign k --in msg --out sig
	echo correct-horse >pass; echo wrong >bad
	ok lamassu kms key sign k --in msg --out sig --passphrase-file pass
	ok lamassu kms key sign k --in msg --out sig --passphrase-fd 7 7<pass
	LAMASSU_PASSPHRASE_SOFTWARE=correct-horse LAMASSU_PASSPHRASE=wrong ok lamassu kms key sign k --in msg --out sig
	LAMASSU_PASSPHRASE=correct-horse ok lamassu kms key sign k --in msg --out sig
	fails 5 'wrong passphrase' lamassu kms key sign k --in msg --out sig3 --passphrase-file bad
	[ ! -e sig3 ]
	fails 5 'wrong passphrase' lamassu kms key create k2 --key-type ecdsa:256 --passphrase-file bad
	ok lamassu kms key list -o id
	[ "$(wc -l <<<"$output")" -eq 1 ]
}

@test "K11: changing the passphrase encrypts all keys anew" {
	new_pki --encrypted
	printf x >msg
	for k in a b c; do ok lamassu kms key create $k --key-type ed25519; done
	echo battery-staple >new
	fails 4 'is the present one' lamassu kms engine passphrase software --new-passphrase-file <(echo correct-horse)
	LAMASSU_PASSPHRASE=wrong fails 5 'wrong passphrase' lamassu kms engine passphrase software --new-passphrase-file new
	ok lamassu kms engine passphrase software --new-passphrase-file new
	for f in .git/lamassu/keys/*.pem; do openssl pkey -in "$f" -passin pass:battery-staple -noout; done
	[ "$(find .git/lamassu/keys -name '*.pem' | wc -l)" -eq 3 ]
	fails 5 'wrong passphrase' lamassu kms key sign a --in msg --out sig
	LAMASSU_PASSPHRASE=battery-staple ok lamassu kms key sign a --in msg --out sig
	export LAMASSU_PASSPHRASE=battery-staple
	ok lamassu kms engine passphrase software --generate --out generated
	[ "$(stat -c %a generated)" = 600 ]
	[ "$(head -1 generated | tr -d '\n' | wc -c)" -ge 43 ]
	for f in .git/lamassu/keys/*.pem; do openssl pkey -in "$f" -passin file:generated -noout; done
	openssl asn1parse -in "$f" | grep -q PBKDF2
	unset LAMASSU_PASSPHRASE
	ok lamassu kms key sign b --in msg --out sig --passphrase-file generated
	fails 4 'already exists' lamassu kms engine passphrase software --generate --out generated --passphrase-file generated
}

@test "K11: a change of passphrase killed at any moment leaves one passphrase that opens every key" {
	new_pki --encrypted
	printf x >msg
	for k in a b c d; do ok lamassu kms key create $k --key-type ed25519; done
	ok lamassu kms engine passphrase software --generate --out pass0
	unset LAMASSU_PASSPHRASE
	current=pass0
	for n in 1 2 3 4 5 6 7 8; do
		timeout -s KILL "0.0$((n * 11))" "$LAMASSU" kms engine passphrase software --generate --out "pass$n" --passphrase-file $current || true
		if [ -e "pass$n" ] && lamassu kms key sign a --in msg --out sig --passphrase-file "pass$n" 2>/dev/null; then current=pass$n; fi
		for k in a b c d; do ok lamassu kms key sign $k --in msg --out sig --passphrase-file $current; done
	done
	: >.git/lamassu/keys/.lamassu-0123456789abcdef.tmp
	touch -d '2 hours ago' .git/lamassu/keys/.lamassu-*.tmp
	ok lamassu kms engine passphrase software --generate --out last --passphrase-file $current
	[ -z "$(find .git/lamassu/keys -name '*.tmp')" ]
	for f in .git/lamassu/keys/*.pem; do openssl pkey -in "$f" -passin file:last -noout; done
	[ "$(find .git/lamassu/keys -name '*.pem' | wc -l)" -eq 4 ]
}

@test "K11: unlock lets a session work without the passphrase until lock" {
	new_pki --encrypted
	printf x >msg
	fails 4 'no passphrase yet' lamassu kms engine unlock software
	ok lamassu kms key create k --key-type ed25519
	lamassu kms engine unlock software --for 8h 2>err || { grep -q keyring err && skip "no kernel keyring here: $(cat err)"; false; }
	unset LAMASSU_PASSPHRASE
	ok lamassu kms key sign k --in msg --out sig
	ok lamassu kms engine list
	[[ $output == *unlocked* ]]
	cp -r ../pki ../copy
	fails 5 'is needed' lamassu --no-input -C ../copy kms key sign k --in msg --out sig
	ok lamassu kms engine lock software
	fails 5 'is needed' lamassu --no-input kms key sign k --in msg --out sig
	LAMASSU_PASSPHRASE=wrong fails 5 'wrong passphrase' lamassu kms engine unlock software
	LAMASSU_PASSPHRASE=correct-horse ok lamassu kms engine unlock software --for 1s
	sleep 2
	fails 5 'is needed' lamassu --no-input kms key sign k --in msg --out sig
}

@test "K11: unencrypted keys only where they were asked for, and encrypted later" {
	new_pki
	unset LAMASSU_PASSPHRASE
	ok lamassu kms key create k --key-type ed25519
	openssl pkey -in "$(keyfile)" -noout
	[ "$(stat -c %a "$(keyfile)")" = 600 ]
	fails 4 'unencrypted' lamassu kms engine passphrase software
	ok lamassu kms engine set software unencrypted=false
	LAMASSU_PASSPHRASE=now ok lamassu kms engine passphrase software
	openssl pkey -in "$(keyfile)" -passin pass:now -noout
	printf x >msg
	fails 5 'is needed' lamassu --no-input kms key sign k --in msg --out sig
	LAMASSU_PASSPHRASE=now ok lamassu kms key sign k --in msg --out sig
}

@test "K11: a key file that others can read, of another user, or that is a link or another key is refused" {
	new_pki
	printf x >msg
	ok lamassu kms key create k --key-type ed25519
	ok lamassu kms key create other --key-type ed25519 -o id; other=$output
	f=.git/lamassu/keys/$(lamassu kms key show k -o id).pem
	chmod 644 "$f"
	fails 5 '0600' lamassu kms key sign k --in msg --out sig
	chmod 600 "$f"
	mv "$f" away.pem && ln -s "$PWD/away.pem" "$f"
	fails 5 'symbolic link' lamassu kms key sign k --in msg --out sig
	rm "$f"
	fails 3 'no private key here' lamassu kms key sign k --in msg --out sig
	cp -p ".git/lamassu/keys/$other.pem" "$f"
	fails 5 'does not match' lamassu kms key sign k --in msg --out sig
	mv away.pem "$f"
	ok lamassu kms key sign k --in msg --out sig
	[ "$(id -u)" -eq 0 ] || return 0
	chown nobody "$f"
	fails 5 'another user' lamassu kms key sign k --in msg --out sig
}

@test "K11: no passphrase and no key appears in messages, arguments or commits" {
	new_pki --encrypted
	printf x >msg
	export LAMASSU_PASSPHRASE=hunter2-secret
	ok lamassu -v kms key create k --key-type ed25519
	ok lamassu -v kms key sign k --in msg --out sig
	[[ $output$stderr != *hunter2* ]]
	LAMASSU_PASSPHRASE=hunter3-secret fails 5 'wrong passphrase' lamassu -v kms key sign k --in msg --out sig
	[[ $output$stderr != *hunter* ]]
	git log -p --all >../history
	no grep -qE 'hunter|PRIVATE' ../history
	no grep -rq hunter .git/lamassu
}
