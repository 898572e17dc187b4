# shellcheck disable=SC2154 # output, stderr: set by ok and fails of helpers.bash
# The device's key in a PKCS#11 token: SoftHSM, seen from outside by OpenSC's pkcs11-tool; what was issued by openssl. No repository is there
# where the device works.
load helpers
load est_helpers
load ../servers/softhsm

# SoftHSM loses some octets, and has no frame pointers to tell it by.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"

setup_file() { est_pki && est_dms factory && est_keep main --dms factory; }
teardown_file() { est_end; }
setup() {
	est_share && est_use main && softhsm_start "$BATS_TEST_TMPDIR" dev && export LAMASSU_PIN_DEV=1234 &&
		URI="pkcs11:token=dev;object=id?module-path=$softhsm" && mkdir device && cd device && cp ../*.pem ../boot-1.key . || return 1
}

dev() { local verb=$1; shift; lamassu device "$verb" "$@" --est "https://localhost:$EST_PORT" --label factory --ca-file root.pem; }
boot() { dev enroll "$@" --cert boot-1.pem --key boot-1.key; }
renew() { dev renew --cert dev.pem --key "$URI" --force "$@"; }
keys() { p11_tool dev -O --type privkey | grep -c '^Private Key Object'; }

# fits CERT: a key of the token is the certificate's, and has never been outside
fits() {
	local id
	p11_tool dev -O --type pubkey | sed -n 's/^ *ID: *//p' | while read -r id; do
		p11_tool dev --read-object --type pubkey --id "$id" -o pub.der && openssl pkey -pubin -inform DER -in pub.der -pubout
	done >all.pub
	grep -qF "$(openssl x509 -in "$1" -noout -pubkey | sed -n 2p)" all.pub
	openssl verify -CAfile root.pem -untrusted <("$LAMASSU" --repo ../pki ca export devices) "$1"
	p11_tool dev -O --type privkey | grep Access: | no grep -v 'sensitive.*never extractable'
	no grep -rl 'PRIVATE KEY' --exclude boot-1.key .
}

@test "E16: a device enrols with a key that is made in its token, or was there, and proves by it who it is when it renews" {
	fails 3 '--key-type makes the key' boot t-1 --out dev.pem --key-out "$URI"
	no ls dev.pem
	ok boot t-1 --out dev.pem --key-out "$URI" --key-type ecdsa:256 --chain
	[ "$(keys)" = 1 ]; fits dev.pem
	no ls dev.pem.pending
	fails 4 'device renew' boot t-1 --out dev.pem --key-out "$URI"
	cp dev.pem first.pem
	ok renew --same-key
	no cmp -s dev.pem first.pem; [ "$(keys)" = 1 ]; fits dev.pem
	cmp <(openssl x509 -in dev.pem -noout -pubkey) <(openssl x509 -in first.pem -noout -pubkey)
	ok dev renew --cert dev.pem --key "$URI" --days 1
	[ -z "$output" ]
	ok renew
	[ "$(keys)" = 2 ]; fits dev.pem
	no cmp -s <(openssl x509 -in dev.pem -noout -pubkey) <(openssl x509 -in first.pem -noout -pubkey)
	cp dev.pem second.pem
	ok renew --remove-old-key --key-type rsa:2048
	[ "$(keys)" = 2 ]; fits first.pem; fits dev.pem
	no grep -qF "$(openssl x509 -in second.pem -noout -pubkey | sed -n 2p)" all.pub
	"$LAMASSU" --repo ../pki device show t-1 -o json | jq -e '.status == "ACTIVE"'
	p11_tool dev --keypairgen --key-type EC:prime256v1 --label made --id 77
	ok boot t-2 --out other.pem --key-out "pkcs11:token=dev;object=made?module-path=$softhsm"
	[ "$(keys)" = 3 ]; fits other.pem
	fails 4 'of another type' boot t-3 --out x.pem --key-out "pkcs11:token=dev;object=made?module-path=$softhsm" --key-type rsa:2048
}

@test "E16: the bootstrap key may be in a token too, and proves who asks over TLS 1.2 and 1.3, RSA and ECDSA" {
	for type in rsa:2048 ecdsa:256; do
		openssl req -new -newkey "$( [ $type = rsa:2048 ] && echo rsa:2048 || echo ec)" -pkeyopt "$( [ $type = rsa:2048 ] && echo rsa_keygen_bits:2048 ||
			echo ec_paramgen_curve:P-256)" -nodes -keyout b.key -out b.csr -subj /CN=b 2>/dev/null
		"$LAMASSU" --repo ../pki ca sign boot --csr b.csr --out b.pem
		softhsm2-util --import b.key --token dev --label "boot-$type" --id "$( [ $type = rsa:2048 ] && echo aa || echo bb)" --pin 1234 >/dev/null; rm b.key
		for i in 1 2; do
			printf 'openssl_conf = o\n[o]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\nMaxProtocol = TLSv1.%s\n' "$((i + 1))" >ssl.cnf
			ok env OPENSSL_CONF="$PWD/ssl.cnf" "$LAMASSU" device enroll "b-${type%:*}-$i" --est "https://localhost:$EST_PORT" --label factory --ca-file root.pem \
				--cert b.pem --key "pkcs11:token=dev?module-path=$softhsm" --out "b-$i.pem"
			openssl x509 -in "b-$i.pem" -noout -subject | grep -q "b-${type%:*}-$i"
		done
		rm b-1.pem b-2.pem
	done
}

@test "E16: the PIN comes from a file, a variable or the terminal, is tried once when it is wrong, and is in no argument, file or message" {
	unset LAMASSU_PIN_DEV
	fails 5 'LAMASSU_PIN_DEV' boot p-1 --out dev.pem --key-out "$URI" --key-type ecdsa:256 --no-input
	fails 2 'pin-value is not accepted' boot p-1 --out dev.pem --key-out "$URI&pin-value=1234" --key-type ecdsa:256
	printf '98761234\n' >pin
	fails 5 'the token refuses the PIN as wrong' boot p-1 --out dev.pem --key-out "$URI&pin-source=file:$PWD/pin" --key-type ecdsa:256
	[ "$(keys)" = 0 ]
	printf '1234\n' >pin
	ok boot p-1 --out dev.pem --key-out "$URI&pin-source=file:$PWD/pin" --key-type ecdsa:256 -v
	[[ $output$stderr != *1234* ]]
	ok env LAMASSU_PIN=1234 "$LAMASSU" device renew --cert dev.pem --key "$URI" --force --est "https://localhost:$EST_PORT" --label factory --ca-file root.pem
	fits dev.pem
	no grep -rl 98761234 --exclude pin .
}

@test "E16: a token that is not there, a key that is not the certificate's, a URI that does not do: nothing is changed" {
	ok boot w-1 --out dev.pem --key-out "$URI" --key-type ecdsa:256
	cp dev.pem old.pem
	fails 6 'no token "other"' dev renew --cert dev.pem --key "pkcs11:token=other;object=id?module-path=$softhsm" --force
	fails 3 'is not in it' dev renew --cert boot-1.pem --key "$URI" --force
	fails 2 'object=LABEL' dev renew --cert dev.pem --key "pkcs11:token=dev?module-path=$softhsm" --force
	fails 2 'RFC 7512' dev renew --cert dev.pem --key 'pkcs11:nonsense=1' --force
	fails 2 'excludes a token' boot w-2 --out x.pem --key-out "$URI" --server-key
	fails 2 'decrypts nothing' dev enroll w-2 --out x.pem --server-key --encrypted --cert dev.pem --key "$URI"
	fails 2 'remove-old-key goes with' dev renew --cert dev.pem --key old.key --force --remove-old-key
	cmp dev.pem old.pem; [ "$(keys)" = 1 ]
}

@test "E16: a renewal that was cut off goes on with the key and the request that it had; the old key goes last" {
	ok boot c-1 --out dev.pem --key-out "$URI" --key-type ecdsa:256
	cp dev.pem old.pem
	fails 6 'localhost:1' lamassu device renew --cert dev.pem --key "$URI" --force --timeout 1s --est https://localhost:1 --ca-file root.pem
	[ "$(keys)" = 1 ]
	fails 6 '--exec ./hook' renew --remove-old-key --exec ./hook
	[ "$(keys)" = 2 ] # the new certificate is in place, the hook failed, the old key is still there
	no cmp -s dev.pem old.pem; fits dev.pem
	ls dev.pem.pending
	printf '#!/bin/sh\necho "$@" >ran\n' >hook; chmod +x hook
	ok dev renew --cert dev.pem --key "$URI" --remove-old-key --exec ./hook
	[ "$(keys)" = 1 ]; fits dev.pem
	[ "$(cat ran)" = "dev.pem $URI" ]
	no ls dev.pem.pending
}

@test "E16: without module-path the modules of p11-kit are asked" {
	p11-kit list-modules | grep -q 'token: dev'
	ok boot k-1 --out dev.pem --key-out 'pkcs11:token=dev;object=kit' --key-type ecdsa:256
	fits dev.pem
	ok dev renew --cert dev.pem --key 'pkcs11:token=dev;object=kit' --force
	fits dev.pem
}
