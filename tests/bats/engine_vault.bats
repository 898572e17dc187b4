#!/usr/bin/env bats
# Keys in HashiCorp Vault's KV store, against OpenBao.
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
load helpers
load ca_helpers
load engine_helpers
load ../servers/openbao

setup_file() {
	openbao_start "$BATS_FILE_TMPDIR/bao"
}

teardown_file() {
	openbao_stop
}

# new_engine ID [SETTING…]: keys in a folder of this test's own, by the root token unless the settings say otherwise
new_engine() {
	local id=$1 auth=(token='${BAO_TOKEN}') s args=()
	shift
	for s; do case $s in auth=* | role_id=* | token=*) auth=() ;; esac; done
	for s in "${auth[@]}" "$@"; do args+=(--set "$s"); done
	ok lamassu kms engine add "$id" --type HASHICORP_VAULT_KV_V2 --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" \
		--set path="test-$BATS_TEST_NUMBER" "${args[@]}"
}

@test "K1 K3 K4 K7 K8 C1 C2 C8 C12 C13: the list that every engine must pass, with keys in the KV store" {
	new_pki
	new_engine vault
	conformance vault
}
