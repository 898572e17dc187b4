#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Keys in Azure Key Vault. The server is a fixture (tests/servers/azure_fixture.py) that Microsoft's own clients are driven against too.
load helpers
load ca_helpers
load engine_helpers
# shellcheck source=tests/servers/azure.bash
. "${BATS_TEST_DIRNAME:-tests/bats}/../servers/azure.bash"

setup_file() { azure_start; }
teardown_file() { azure_stop; }
setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	azure_rules
	azure_log_clear
}

judge() { python3 "$BATS_TEST_DIRNAME/../servers/azure_judge.py" "$AZURE_DIR" "$AZURE_PORT" "$@"; }

# new_key NAME [TYPE]: its handle is in $kid
new_key() {
	ok lamassu kms key create "$1" --engine az --key-type "${2:-ecdsa:256}" -o json && kid=$(jq -r .handle <<<"$output")
}

# az_call METHOD PATH [JSON]: a request of somebody else, with a token of its own
az_call() {
	local token
	token=$(curl -sf --cacert "$AZURE_DIR/ca.crt" "https://localhost:$AZURE_PORT/$AZURE_TENANT/oauth2/v2.0/token" -d grant_type=client_credentials \
		-d "client_id=$AZURE_APP" --data-urlencode "client_secret=$AZURE_SECRET" -d scope=https://vault.azure.net/.default | jq -r .access_token)
	curl -sf --cacert "$AZURE_DIR/ca.crt" --connect-to "::127.0.0.1:$AZURE_PORT" -X "$1" "https://v1.vault.azure.net$2?api-version=7.4" \
		-H "Authorization: Bearer $token" -H 'Content-Type: application/json' ${3:+-d "$3"}
}
versions_in_log() { grep -c "^create POST " "$AZURE_DIR/log"; }

@test "K1: Microsoft's own clients use the test server as they use Azure" {
	ok judge secret
	[ "$(grep -c '^ok' <<<"$output")" -eq 14 ]
	ok judge pem
	ok judge p12
	IDENTITY_ENDPOINT=http://127.0.0.1:$AZURE_HTTP_PORT/msi/token IDENTITY_HEADER=$AZURE_IDENTITY_HEADER ok judge machine
}

@test "K1 K4 K5 K6 K7 K8 K9 C1 C2 C7 C8 C12 C13: everything works with keys in Azure Key Vault" {
	new_pki
	azure_engine az
	conformance az
}

@test "K1 K5: what is in the vault: a name of its own for each key, a kid with version, tags; another client signs with it" {
	new_pki
	azure_engine az
	new_key 'Root R1/2026'
	[[ $kid =~ ^https://v1\.vault\.azure\.net/keys/root-r1-2026-[0-9a-f]{16}/[0-9a-f]{32}$ ]]
	first=$kid
	new_key 'Root R1/2026'
	[ "${kid%/*}" != "${first%/*}" ]
	ok judge secret "$kid"
	[[ $output == *'signs with ES256'*"'lamassu-name': 'Root R1/2026'"* ]]
	ok lamassu kms key show "$(jq -r .id <<<"$(lamassu kms key list -o json | jq '.list[0]')")"
}

@test "K3: client secret, certificate with PS256 and RS256, PKCS#12, workload identity, App Service, IMDS and Azure CLI" {
	new_pki
	azure_engine secret
	azure_engine pem credential=certificate client_id=$AZURE_CERT_APP certificate_file="$AZURE_DIR/client.pem"
	azure_engine rs256 credential=certificate client_id=$AZURE_CERT_APP certificate_file="$AZURE_DIR/client.pem" certificate_algorithm=RS256 \
		send_certificate_chain=true
	azure_engine p12 credential=auto client_id=$AZURE_CERT_APP certificate_file="$AZURE_DIR/client.p12" certificate_password=env:BAG_PASS
	azure_engine workload credential=workload_identity client_id=$AZURE_WORKLOAD_APP federated_token_file="$AZURE_DIR/federated"
	azure_engine machine credential=managed_identity
	printf '#!/bin/sh\nshift 2\nprintf "%%s\\n" "$*" >>az.args\n' >az
	cat >>az <<-'A'
		curl -sf "http://127.0.0.1:$AZURE_HTTP_PORT/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net" -H Metadata:true |
			jq '{accessToken: .access_token, expires_on: (.expires_on | tonumber), tenant: "t", tokenType: "Bearer"}'
	A
	chmod +x az
	azure_engine cli credential=azure_cli cli_command='["./az"]'
	export BAG_PASS=bag-pass AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$AZURE_HTTP_PORT
	azure_rules '{"need_x5c": false}'
	for e in secret pem p12 workload machine cli; do ok lamassu kms engine test "$e" --read-only; done
	azure_rules '{"need_x5c": true}'
	ok lamassu kms engine test rs256 --read-only
	fails 5 AADSTS700027 lamassu kms engine test pem --read-only
	azure_rules
	[ "$(cat az.args)" = "--output json --resource https://vault.azure.net --tenant $AZURE_TENANT" ]
	[ "$(azure_count imds)" -eq 2 ]
	unset AZURE_POD_IDENTITY_AUTHORITY_HOST
	IDENTITY_ENDPOINT=http://127.0.0.1:$AZURE_HTTP_PORT/msi/token IDENTITY_HEADER=$AZURE_IDENTITY_HEADER ok lamassu kms engine test machine --read-only
	[ "$(azure_count msi)" -eq 1 ]
	IDENTITY_ENDPOINT=http://127.0.0.1:$AZURE_HTTP_PORT/msi/token IDENTITY_HEADER=wrong fails 5 'no token' lamassu kms engine test machine --read-only
	[[ $stderr != *wrong* ]]
}

@test "K3: credentials that the environment completes; documents in other words; secrets in clear are refused" {
	new_pki
	cat >az.yaml <<-Y
		crypto_engines:
		  azure_key_vault:
		    - id: az
		      vault: v1
		      tenant: $AZURE_TENANT
		      subscription: 0000
		      resource_group: pki
		      connect_to: 127.0.0.1:$AZURE_PORT
		      ca_file: $AZURE_DIR/ca.crt
		      authority_ca_file: $AZURE_DIR/ca.crt
	Y
	ok lamassu kms engine add -f az.yaml
	export AZURE_AUTHORITY_HOST=https://localhost:$AZURE_PORT
	AZURE_CLIENT_ID=$AZURE_APP AZURE_CLIENT_SECRET=$AZURE_SECRET ok lamassu kms engine test az --read-only
	AZURE_CLIENT_ID=$AZURE_CERT_APP AZURE_CLIENT_CERTIFICATE_PATH=$AZURE_DIR/client.p12 AZURE_CLIENT_CERTIFICATE_PASSWORD=bag-pass \
		ok lamassu kms engine test az --read-only
	AZURE_CLIENT_ID=$AZURE_WORKLOAD_APP AZURE_FEDERATED_TOKEN_FILE=$AZURE_DIR/federated ok lamassu kms engine test az --read-only
	AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1 fails 6 'no credentials are configured' lamassu kms engine test az --read-only
	AZURE_CLIENT_SECRET=x fails 2 AZURE_CLIENT_ID lamassu kms engine test az --read-only
	fails 2 reference lamassu kms engine set az client_secret=in-clear
	fails 2 'exclude each other' lamassu kms engine set az client_secret=env:X certificate_file=y
	fails 2 'one of vault_name' lamassu kms engine set az endpoint=https://v1.vault.azure.net
	fails 2 'one of vault_name' lamassu kms engine add none --type azure_key_vault
	fails 2 'vault_name' lamassu kms engine add none --type azure_key_vault --set vault_name=evil.example/
	ok lamassu kms engine set az client_secret=env:X
	ok lamassu kms engine show az -o json
	[ "$(jq -r .config.client_secret <<<"$output")" = '***' ]
}
