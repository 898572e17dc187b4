#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
load helpers

# foreign ALGORITHM: how openssl verifies it, on message, signature and public key in the folder.
foreign() {
	local md=sha${1##*_}
	case $1 in
	RSASSA_PKCS1*) openssl dgst "-$md" -verify pub.pem -signature sig msg ;;
	RSASSA_PSS*) openssl dgst "-$md" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -verify pub.pem -signature sig msg ;;
	ECDSA*) openssl dgst "-$md" -verify pub.pem -signature sig msg ;;
	Ed25519) openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in msg -sigfile sig ;;
	esac
}

try() { # try KEY ALGORITHM: raw and digest, each verified by openssl and by ourselves
	ok lamassu kms key sign "$1" --algorithm "$2" --in msg --out sig
	ok foreign "$2"
	ok lamassu kms key verify "$1" --algorithm "$2" --in msg --signature sig
	[ "$2" = Ed25519 ] && return
	openssl dgst "-sha${2##*_}" -binary msg >digest
	ok lamassu kms key sign "$1" --algorithm "$2" --message-type digest --in digest --out sig
	ok foreign "$2"
	ok lamassu kms key verify "$1" --algorithm "$2" --message-type digest --in digest --signature sig
}

@test "K8 K6: every algorithm with every fitting key, raw and digest, is verified by openssl" {
	new_pki
	seq 1 20000 >msg
	for t in rsa:2048 ecdsa:224 ecdsa:256 ecdsa:384 ecdsa:521 ed25519; do
		ok lamassu kms key create "$t" --key-type "$t" -o id
		id=$output
		ok lamassu kms key export-public "$id" --out pub.pem
		case $t in
		rsa:*) algs='RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512
			RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512' ;;
		ecdsa:*) algs='ECDSA_SHA_256 ECDSA_SHA_384 ECDSA_SHA_512' ;;
		*) algs=Ed25519 ;;
		esac
		for a in $algs; do try "$id" "$a"; done
	done
}

@test "K8: a changed message, a changed signature and another key are exit 5" {
	new_pki
	printf hello >msg; printf hullo >other
	ok lamassu kms key create a --key-type ecdsa:256
	ok lamassu kms key create b --key-type ecdsa:256
	ok lamassu kms key sign a --in msg --out sig
	ok lamassu kms key verify a --in msg --signature sig -o json
	[ "$(jq .valid <<<"$output")" = true ]
	fails 5 'not valid' lamassu kms key verify a --in other --signature sig
	fails 5 'not valid' lamassu kms key verify b --in msg --signature sig
	printf x >>sig
	fails 5 'not valid' lamassu kms key verify a --in msg --signature sig
	: >empty
	fails 5 'not valid' lamassu kms key verify a --in msg --signature empty
}

@test "K8: what does not fit is refused before anything is signed" {
	new_pki
	printf hello >msg
	ok lamassu kms key create ec --key-type ecdsa:256
	ok lamassu kms key create ed --key-type ed25519
	fails 2 'does not fit the key' lamassu kms key sign ec --algorithm RSASSA_PSS_SHA_256 --in msg --out sig
	fails 2 'is not known' lamassu kms key sign ec --algorithm ROT13 --in msg --out sig
	[[ $stderr == *ECDSA_SHA_384* ]]
	fails 2 '32' lamassu kms key sign ec --algorithm ECDSA_SHA_256 --message-type digest --in msg --out sig
	fails 2 '' lamassu kms key sign ed --message-type digest --in msg --out sig
	fails 3 'nofile' lamassu kms key sign ec --in nofile --out sig
	[ ! -e sig ]
	ok lamassu kms key sign ec -o json </dev/null
	jq -r .signature <<<"$output" | base64 -d >sig
	ok lamassu kms key verify ec --in /dev/null --signature sig
}
