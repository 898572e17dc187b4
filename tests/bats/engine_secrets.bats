#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016 # output, stderr: set by ok and fails of helpers.bash; references, not values
# Secrets of every kind of engine: not in what is printed, with --verbose too, nor in the repository, its history and its own files, nor
# in the arguments of a program; whether they are right or wrong.
load helpers
load ca_helpers
load engine_helpers
load aws_helpers
load ../servers/softhsm
load ../servers/openbao
# shellcheck source=tests/servers/azure.bash
. "${BATS_TEST_DIRNAME:-tests/bats}/../servers/azure.bash"

# SoftHSM loses 37 octets with each Ed25519 signature, and has no frame pointers.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"

teardown() {
	[ -z "${HUNG_PID:-}" ] || server_stop "$HUNG_PID"
	[ -z "${BAO_PID:-}" ] || openbao_stop
	[ -z "${AZURE_PID:-}" ] || azure_stop
	[ -z "${MINISTACK_PID:-}" ] || server_stop "$MINISTACK_PID"
}

# What a key goes through in its life.
use() {
	ok lamassu kms engine test "$1" --read-only && ok lamassu kms key create k --engine "$1" --key-type ecdsa:256 --alias now --tag t &&
		ok lamassu kms key show k && ok lamassu kms key list --all -o json && ok lamassu kms key list || return 1
	echo text >../msg
	ok lamassu kms key sign k --in ../msg --out ../sig && ok lamassu kms key verify k --in ../msg --signature ../sig &&
		ok lamassu ca create root --key k --subject CN=Root --validity 10y --issuance-profile tls-client || return 1
	csr a && ok lamassu ca sign root --csr ../a.csr --out ../a.pem && ok lamassu ca crl root --out ../a.crl &&
		ok lamassu kms key create gone --engine "$1" --key-type ecdsa:256 && ok lamassu kms key delete gone --yes &&
		ok lamassu kms engine show "$1" -o json && ok lamassu kms engine list
}

@test "K3 K12: the PIN of a token" {
	softhsm_start "$BATS_TEST_TMPDIR/hsm" lam
	softhsm2-util --init-token --free --label secret --pin pin-7361-right --so-pin so-pin-9876 >/dev/null
	new_pki
	watch_secrets
	export HSM_PIN=pin-7361-right
	ok lamassu kms engine add hsm --type pkcs11 --set "module_path=$softhsm" --set token=secret --set 'pin=${HSM_PIN}'
	use hsm
	HSM_PIN=pin-5523-wrong fails 5 'PIN' lamassu ca sign root --csr ../a.csr
	HSM_PIN=pin-5523-wrong fails 5 'PIN' lamassu kms engine test hsm
	fails 2 'pin-value is not accepted' lamassu kms key import 'pkcs11:object=k?pin-value=0000'
	secrets_kept pin-7361-right pin-5523-wrong
}

@test "K3 K12: tokens and secret ids of Vault" {
	openbao_start "$BATS_TEST_TMPDIR/bao"
	bao secrets enable transit >/dev/null
	bao auth enable approle >/dev/null
	printf 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }' | bao policy write all - >/dev/null
	bao write auth/approle/role/lam token_policies=all >/dev/null
	role=$(bao read -field=role_id auth/approle/role/lam/role-id)
	SECRET_ID=$(bao write -f -field=secret_id auth/approle/role/lam/secret-id)
	TOKEN=$(bao token create -policy=all -field=token)
	export SECRET_ID TOKEN
	new_pki
	watch_secrets
	ok lamassu kms engine add kv --type HASHICORP_VAULT_KV_V2 --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" --set role_id="$role" \
		--set 'secret_id=${SECRET_ID}' --set 'passphrase=${KV_PASSPHRASE}'
	export KV_PASSPHRASE=sealed-by-this-passphrase
	use kv
	ok lamassu kms engine add transit --type HASHICORP_VAULT_TRANSIT --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" --set 'token=${TOKEN}'
	ok lamassu kms key create t --engine transit --key-type ecdsa:256
	ok lamassu kms key sign t --in ../msg --out ../sig
	SECRET_ID=11111111-wrong-secret-id fails 5 '' lamassu ca sign root --csr ../a.csr
	TOKEN=hvs.a-wrong-token fails 5 '' lamassu kms key sign t --in ../msg
	KV_PASSPHRASE=not-that-passphrase fails 5 'passphrase' lamassu ca sign root --csr ../a.csr
	secrets_kept "$SECRET_ID" "$TOKEN" "$KV_PASSPHRASE" 11111111-wrong-secret-id hvs.a-wrong-token not-that-passphrase
}

@test "K3 K12: access keys of AWS" {
	aws_nothing
	aws_keys
	ministack_start "$BATS_TEST_TMPDIR/ministack"
	new_pki
	watch_secrets
	export AWS_SESSION_TOKEN=session-token-of-this-test KV_PASSPHRASE=sealed-by-this-passphrase
	aws_kms kms "$MINISTACK_URL"
	use kms
	aws_sm sm "$MINISTACK_URL" --set 'passphrase=${KV_PASSPHRASE}' --set 'secret_access_key=${AWS_SECRET_ACCESS_KEY}' \
		--set access_key_id=AKIATESTTESTTEST
	ok lamassu kms key create s --engine sm --key-type ecdsa:256
	ok lamassu kms key sign s --in ../msg --out ../sig
	ok lamassu kms engine show sm
	secrets_kept "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" "$KV_PASSPHRASE"
}

@test "K3 K12: client secrets, certificates and tokens of Azure" {
	azure_start "$BATS_TEST_TMPDIR/azure"
	azure_rules
	new_pki
	watch_secrets
	azure_engine az
	use az
	azure_engine p12 client_id="$AZURE_CERT_APP" certificate_file="$AZURE_DIR/client.p12" 'certificate_password=${BAG}' credential=certificate
	BAG=bag-pass ok lamassu kms engine test p12 --read-only
	BAG=not-the-bag-pass fails 5 '' lamassu kms engine test p12 --read-only
	right=$AZURE_SECRET
	AZURE_SECRET='wr0ng~secret&of=an+app' fails 5 '' lamassu ca sign root --csr ../a.csr
	secrets_kept "$right" 'wr0ng~secret&of=an+app' not-the-bag-pass bag-pass eyJhbGciOi
}

@test "K3 K12: who has an engine's secrets leaves no core file" {
	python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(16); print(s.getsockname()[1], flush=True); time.sleep(600)' >"$BATS_TEST_TMPDIR/port" 3>&- &
	HUNG_PID=$!
	until [ -s "$BATS_TEST_TMPDIR/port" ]; do sleep 0.1; done
	port=$(<"$BATS_TEST_TMPDIR/port")
	new_pki
	aws_keys
	aws_kms kms "http://127.0.0.1:$port"
	aws_sm sm "http://127.0.0.1:$port"
	export TOKEN=a-token CLIENT_SECRET=a-secret
	for type in transit vault; do
		ok lamassu kms engine add "$type" --type "$type" --set "address=http://127.0.0.1:$port" --set 'token=${TOKEN}'
	done
	ok lamassu kms engine add az --type azure_key_vault --set vault_name=v --set tenant_id=t --set client_id=c --set 'client_secret=${CLIENT_SECRET}' \
		--set "connect_to=127.0.0.1:$port"
	for engine in kms sm transit vault az; do
		leaves_no_core "$LAMASSU" kms key create k --engine "$engine" --key-type ecdsa:256
	done
}
