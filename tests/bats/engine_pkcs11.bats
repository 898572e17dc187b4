#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Keys in PKCS#11 tokens: SoftHSM, seen from outside by OpenSC's pkcs11-tool.
load helpers
load ca_helpers
load engine_helpers
load ../servers/softhsm

# SoftHSM loses 37 octets with each Ed25519 signature, and has no frame pointers.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"

# hsm_pki: a token of this test's own and a repository with the engine hsm for it
hsm_pki() {
	softhsm_start "$BATS_TEST_TMPDIR" && export HSM_PIN=1234 && new_pki && add_hsm hsm
}

# add_hsm ENGINE [SETTING…]
add_hsm() {
	local id=$1 s set=()
	shift
	for s; do set+=(--set "$s"); done
	# shellcheck disable=SC2016 # a reference, not a value
	ok lamassu kms engine add "$id" --type pkcs11 --set "module_path=$softhsm" --set token=lam --set 'pin=${HSM_PIN}' "${set[@]}"
}

# objects KIND: how many objects of this kind the token has
objects() { p11_tool lam -O --type "$1" | grep -c '^[A-Z][a-z]* Key Object'; }

@test "K1 K3 K4 K5 K6 K7 K8 K9 C1 C2 C7 C8 C12 C13: everything works with keys in a PKCS#11 token" {
	hsm_pki
	conformance hsm
}

@test "K4 K6: a token tells its key types, and every one of them is proven without a trace" {
	hsm_pki
	ok lamassu kms engine show hsm -o json
	[ "$(jq -c .supported_key_types <<<"$output")" = \
		'["rsa:2048","rsa:3072","rsa:4096","ecdsa:224","ecdsa:256","ecdsa:384","ecdsa:521","ed25519"]' ]
	ok lamassu kms engine test hsm
	[ "$(grep -c ok <<<"$output")" -eq 8 ]
	[ "$(objects privkey)" -eq 0 ]
	[ "$(objects pubkey)" -eq 0 ]
}

@test "K5 K7: keys stay in the token: sensitive, not extractable, named by their id" {
	hsm_pki
	ok lamassu kms key create leaf --engine hsm --key-type ecdsa:256 -o id
	id=$output
	ok p11_tool lam -O --type privkey
	[[ $output == *"label:      leaf"* ]]
	[[ $output == *"ID:         $id"* ]]
	[[ $output == *"sensitive, always sensitive, never extractable, local"* ]]
	ok lamassu kms key export-public leaf --out ../pub.pem
	[ "$(key_id ../pub.pem)" = "$id" ]
	ok lamassu kms key delete leaf --reason test --yes
	[ "$(objects privkey)" -eq 0 ]
	[ "$(objects pubkey)" -eq 0 ]
}
