#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Keys in Azure Key Vault. The server is a fixture (tests/servers/azure_fixture.py) that Microsoft's own clients are driven against too.
load helpers
load ca_helpers
load engine_helpers
# shellcheck source=tests/servers/azure.bash
. "${BATS_TEST_DIRNAME:-tests/bats}/../servers/azure.bash"

# One server, whose rules and log belong to one test at a time.
setup_file() {
	export BATS_NO_PARALLELIZE_WITHIN_FILE=true
	azure_start
}
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
	ok az_call PATCH "${kid#https://v1.vault.azure.net}" '{"tags":{"lamassu-name":"Root R1/2026","owner":"others"}}'
	id=$(lamassu kms key list -o json | jq -r --arg k "$kid" '.list[] | select(.handle == $k).id')
	ok lamassu kms key alias "$id" r1 r2
	ok lamassu kms key tag "$id" prod
	ok az_call GET "${kid#https://v1.vault.azure.net}"
	[ "$(jq -Sc .tags <<<"$output")" = '{"lamassu-aliases":"r1, r2","lamassu-name":"Root R1/2026","lamassu-tags":"prod","owner":"others"}' ]
	ok judge secret "$kid"
	[[ $output == *'signs with ES256'*"'lamassu-name': 'Root R1/2026'"* ]]
	ok lamassu kms key show r2
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
	fails 5 allowCommands lamassu kms engine test cli --read-only
	[ ! -e az.args ]
	export LAMASSU_ALLOW_COMMANDS=1
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

@test "K2 K4: keys are SL1 where the document asks for hardware, else SL0" {
	new_pki
	azure_engine az
	ok lamassu kms engine list -o json
	[ "$(jq -r '.list[] | select(.id == "az").security_level' <<<"$output")" = SL0 ]
	ok lamassu kms engine set az hsm=true
	[ "$(jq -r '.list[] | select(.id == "az").security_level' <<<"$(lamassu kms engine list -o json)")" = SL1 ]
	azure_engine hsm endpoint=https://v1.vault.azure.net hsm=true
	ok lamassu kms engine add managed --type azure --set hsm_name=h1
	[ "$(jq -r '.list[] | select(.id == "managed").security_level' <<<"$(lamassu kms engine list -o json)")" = SL1 ]
	fails 2 'must not be above' lamassu kms engine set az security_level=2
}

@test "K5 K7: keys that others made are listed page by page and taken in by name, version or URL" {
	new_pki
	azure_engine az
	for i in 1 2 3 4 5; do ok az_call PUT "/keys/theirs-$i" "$(theirs)"; done
	ok az_call POST /keys/theirs-1/create '{"kty":"RSA"}'
	newest=$(az_call GET /keys/theirs-1 | jq -r .key.kid)
	ok az_call POST /keys/odd/create '{"kty":"EC","attributes":{"enabled":false}}'
	azure_rules '{"page": 2}'
	ok lamassu kms key list --all -o json
	[ "$(jq -r '[.list[] | select(.name | startswith("theirs-"))] | length' <<<"$output")" -eq 5 ]
	ok lamassu kms key import azurekv:theirs-1 -o json
	[ "$(jq -r '[.handle, .name, .algorithm] | join(" ")' <<<"$output")" = "$newest theirs-1 RSA" ]
	older=$(az_call GET /keys/theirs-1/versions | jq -r --arg n "$newest" '.value[].kid | select(. != $n)')
	ok lamassu kms key import "azurekv:$older" --name older -o json
	[ "$(jq -r '[.handle, .algorithm] | join(" ")' <<<"$output")" = "$older ECDSA" ]
	ok lamassu kms key import theirs-2 --engine az -o id
	id=$output
	ok az_call GET /keys/theirs-2
	[ "$(jq -r '.key.x' <<<"$output")" = "$(lamassu kms key export-public "$id" --format der | tail -c 64 | head -c 32 | base64 | tr '+/' '-_' | tr -d =)" ]
	fails 3 'not found' lamassu kms key import azurekv:https://v2.vault.azure.net/keys/theirs-2
	fails 3 'not found' lamassu kms key import azurekv:nobody --engine az
	ok lamassu kms key sign theirs-1 --in lamassu.yaml --out ../sig
	ok lamassu kms key alias theirs-2 second
	ok az_call GET /keys/theirs-2
	[ "$(jq -Sc .tags <<<"$output")" = '{"owner":"others"}' ]
	azure_rules '{"page": 2, "next_origin": "https://evil.example"}'
	ok lamassu kms key list --all
	[[ $stderr == *'to another server (https://evil.example/keys): no token is sent there'* ]]
	azure_rules '{"page": 2, "next_origin": "https://v1.vault.azure.net.evil.example"}'
	ok lamassu kms key list --all
	[[ $stderr == *'to another server'* ]]
}

theirs() {
	openssl ecparam -name prime256v1 -genkey -noout | python3 -c '
import base64, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
n = load_pem_private_key(sys.stdin.buffer.read(), None).private_numbers()
b = lambda i: base64.urlsafe_b64encode(i.to_bytes(32, "big")).rstrip(b"=").decode()
print(json.dumps({"key": {"kty": "EC", "crv": "P-256", "x": b(n.public_numbers.x), "y": b(n.public_numbers.y), "d": b(n.private_value)},
                  "tags": {"owner": "others"}}))'
}

# --- deletion

@test "K9: soft delete, with the day of the purge; other versions of the key are not deleted with it" {
	new_pki
	azure_engine az
	new_key a
	ok lamassu kms key delete a --yes
	[[ "$output$stderr" == *"keeps its private part, unusable, until $(date -u -d '+90 days' +%Y-%m-%d)"* ]]
	ok az_call GET "/deletedkeys/$(basename "${kid%/*}")"
	new_key b
	ok az_call POST "/keys/$(basename "${kid%/*}")/create" '{"kty":"EC"}'
	ok lamassu kms key delete b --yes
	[[ $stderr == *'other versions'* ]]
	ok az_call GET "/keys/$(basename "${kid%/*}")"
}

@test "K9: a deleted key is named as such, and taken back with --recover" {
	new_pki
	azure_engine az
	new_key a
	name=$(basename "${kid%/*}")
	ok lamassu kms key delete a --yes
	fails 4 "the key $name is deleted and kept until $(date -u -d '+90 days' +%Y-%m-%d)" lamassu kms key import "azurekv:$name" --engine az
	[[ $stderr == *--recover* ]]
	fails 1 'dry run' lamassu --dry-run kms key import "azurekv:$name" --engine az --recover
	azure_rules '{"delay": 0}'
	ok lamassu kms key import "azurekv:$name" --engine az --recover --name b -o json
	[ "$(jq -r .handle <<<"$output")" = "$kid" ]
	ok lamassu kms key sign b --in lamassu.yaml --out ../sig
	fails 3 'not in the vault' lamassu kms key import azurekv:never-was --engine az --recover
	fails 2 '--recover needs --engine' lamassu kms key import "azurekv:$name" --recover
	fails 1 'cannot take back' lamassu kms key import x --engine software --recover
}

@test "K9: purge where the document asks for it, once the vault is ready; without the permission the key is deleted softly" {
	new_pki
	azure_engine az delete_mode=purge
	new_key a
	azure_rules '{"delay": 1}'
	ok lamassu kms key delete a --yes
	no az_call GET "/deletedkeys/$(basename "${kid%/*}")"
	new_key b
	azure_rules '{"forbidden_operations": ["purge"]}'
	ok lamassu kms key delete b --yes
	[[ $stderr == *'deleted but not purged'*'no role of this identity'* ]]
	azure_rules
	ok az_call GET "/deletedkeys/$(basename "${kid%/*}")"
}

# --- bad days

# A root with its key in az, and requests in ../req. tips of before: $before
root_in_az() {
	new_pki
	azure_engine az "$@"
	ok lamassu ca create root --engine az --subject CN=Root,O=Acme --key-type ecdsa:256 --validity 20y --issuance-profile tls-client
	kid=$(lamassu kms key list -o json | jq -r '.list[0].handle')
	many_csrs "${requests:-3}" ../req
	before=$(tips)
	azure_log_clear
}
batch() { lamassu ca sign root --csr ../req --out ../out "$@"; }
key_state() { lamassu kms key show "$(lamassu kms key list -o id)" -o json | jq -r .state; }
refused() { # STATUS TEXT: one line, nothing has changed
	fails "$1" "$2" lamassu ca sign root --csr ../req/d-0.csr --out ../one.pem && one_line && [ ! -e ../one.pem ] && [ "$(tips)" = "$before" ]
}

@test "K12: a wrong secret is tried once and never shown, not even when the server repeats it" {
	root_in_az
	real=$AZURE_SECRET
	export AZURE_SECRET='wrong-s3cr3t'
	refused 5 'AADSTS7000215: Invalid client secret provided'
	[ "$(azure_count token)" -eq 1 ]
	azure_log_clear
	fails 1 AADSTS7000215 batch
	[ "$(azure_count token)" -eq 1 ]
	azure_rules '{"echo": true}'
	refused 5 'answers 401'
	[[ $stderr != *wrong-s3cr3t* ]]
	export AZURE_SECRET=$real
	azure_rules
	ok batch
}

@test "K12: tokens that end, are refused or need claims in the middle of a batch are renewed once for all" {
	requests=40 root_in_az
	azure_rules '{"token_lifetime": 2, "sign": [{"sleep": 1}]}'
	ok batch
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 40 ]
	[ "$(azure_count token)" -ge 2 ] && [ "$(azure_count token)" -le 6 ]
	rm -r ../out && azure_log_clear
	azure_rules '{"sign": [{"skip": 20, "times": 1, "status": 401}]}'
	ok batch
	[ "$(azure_count token)" -eq 2 ]
	rm -r ../out && azure_log_clear
	azure_rules '{"claims": {"access_token": {"nbf": {"essential": true, "value": "1700000000"}}}}'
	ok batch
	[ "$(azure_count token)" -eq 2 ]
	before=$(tips)
	azure_rules '{"sign": [{"status": 401}]}'
	azure_log_clear
	refused 5 'the vault refuses the token'
	[ "$(azure_count token)" -eq 2 ]
}

@test "K12: throttled ten times and then served; Retry-After is waited for; 500 passes or is an error with the request's id" {
	root_in_az max_retries=12
	azure_rules '{"sign": [{"status": 429, "retry_after_ms": 5, "times": 10}]}'
	ok lamassu ca sign root --csr ../req/d-0.csr --out ../a.pem
	[ "$(azure_count sign)" -eq 11 ]
	azure_rules '{"sign": [{"status": 429, "retry_after": 2, "times": 1}]}'
	start=$SECONDS
	ok lamassu ca sign root --csr ../req/d-1.csr --out ../b.pem
	[ $((SECONDS - start)) -ge 2 ]
	azure_rules '{"sign": [{"status": 500, "retry_after_ms": 5, "times": 3}]}'
	ok lamassu ca sign root --csr ../req/d-2.csr --out ../c.pem
	before=$(tips)
	ok lamassu kms engine set az max_retries=1
	before=$(tips)
	azure_rules '{"sign": [{"status": 503, "retry_after_ms": 5}]}'
	refused 6 'the vault has failed: 503 Asked: as the test wants it (request req-'
	azure_rules
	sound
}

@test "K12: what was signed before the vault failed is kept, and the rest is signed later" {
	requests=40 root_in_az max_retries=0
	azure_rules '{"sign": [{"skip": 10, "status": 500}]}'
	fails 1 'the vault has failed' batch
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 10 ]
	[ "$(issued)" -eq 11 ]
	for f in ../out/*.pem; do rm "../req/$(basename "$f" .pem).csr"; done
	azure_rules
	ok batch
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 40 ]
	[ "$(issued)" -eq 41 ]
	sound
}

@test "K12: creating is not repeated: an answer that was lost is asked for, a failure is one" {
	new_pki
	azure_engine az
	azure_rules '{"create": [{"after": 500, "times": 1}]}'
	new_key once
	[ "$(azure_count create)" -eq 1 ]
	ok lamassu kms key sign once --in ../pki/lamassu.yaml --out ../sig
	before=$(tips)
	azure_log_clear
	azure_rules '{"create": [{"status": 500}]}'
	fails 6 'create key: the vault has failed' lamassu kms key create two --engine az --key-type ecdsa:256
	[ "$(azure_count create)" -eq 1 ]
	azure_rules '{"create": [{"after": 500}], "get": [{"status": 500, "retry_after_ms": 5}]}'
	fails 6 'it is not known whether the vault has made the key two-' lamassu kms key create two --engine az --key-type ecdsa:256
	azure_rules '{"create": [{"status": 429, "retry_after_ms": 5, "times": 2}]}'
	new_key three
	[ "$(git rev-parse HEAD~1)" = "$(head -1 <<<"$before" | cut -d' ' -f2)" ] || [ "$(git log --oneline | head -1 | grep -c three)" -eq 1 ]
	azure_rules '{"standard": true}'
	ok lamassu kms engine set az hsm=true
	fails 6 'not supported by a Standard vault' lamassu kms key create four --engine az --key-type ecdsa:256
	azure_rules
	ok lamassu kms key list --filter name=three -o json
	[ "$(jq -r '.list[0].security_level' <<<"$output")" = SL1 ]
	new_key four
	ok az_call GET "${kid#https://v1.vault.azure.net}"
	[[ $output == *EC-HSM* ]]
	sound
}

@test "K12: a key that is disabled, out of its time, deleted or replaced behind our back" {
	root_in_az
	path=${kid#https://v1.vault.azure.net}
	ok az_call PATCH "$path" '{"attributes":{"enabled":false}}'
	refused 5 'the key is disabled: 403 Forbidden/KeyDisabled'
	[ "$(key_state)" = disabled ]
	ok az_call PATCH "$path" '{"attributes":{"enabled":true,"exp":1000000000}}'
	refused 5 "outside of the key's validity"
	ok az_call PATCH "$path" '{"attributes":{"exp":4000000000}}'
	ok az_call POST "${path%/*}/create" '{"kty":"EC"}' # a rotation changes nothing
	ok lamassu ca sign root --csr ../req/d-1.csr --out ../two.pem
	before=$(tips)
	ok az_call DELETE "${path%/*}"
	refused 6 'not in the vault: 404 KeyNotFound'
	[ "$(key_state)" = deleting ]
	ok az_call POST "/deleted${path:1:4}/$(basename "${path%/*}")/recover" '{}'
	ok lamassu ca sign root --csr ../req/d-2.csr --out ../three.pem
	before=$(tips)
	ok az_call DELETE "${path%/*}"
	ok az_call DELETE "/deletedkeys/$(basename "${path%/*}")"
	ok az_call POST "${path%/*}/create" '{"kty":"EC"}'
	refused 6 'not in the vault'
	[ "$(key_state)" = gone ]
	sound
}

@test "K12: a signature that is wrong, too short or no signature at all issues nothing" {
	root_in_az
	azure_rules '{"sign": [{"garbage": "flip"}]}'
	refused 6 'not valid for this key'
	azure_rules '{"sign": [{"garbage": "short"}]}'
	refused 6 '63 octets, not 64'
	azure_rules '{"sign": [{"garbage": "text"}]}'
	refused 6 'not a JSON object'
	[[ $stderr == *'engine az'* ]]
	azure_rules
	sound
}

@test "K12: connections that break: signing is repeated, making a key is not, and there is one key" {
	root_in_az
	azure_rules '{"sign": [{"reset": "before", "times": 2}]}'
	ok lamassu ca sign root --csr ../req/d-0.csr --out ../a.pem
	[ "$(azure_count sign)" -eq 3 ]
	before=$(tips)
	azure_rules '{"sign": [{"reset": "before"}]}'
	ok lamassu kms engine set az timeout=3s
	before=$(tips)
	refused 6 'engine az: https://v1.vault.azure.net'
	azure_log_clear
	azure_rules '{"create": [{"reset": "after"}]}'
	new_key one
	[ "$(azure_count create)" -eq 1 ]
	ok az_call GET "${kid#https://v1.vault.azure.net}"
	azure_rules '{"create": [{"reset": "before"}]}'
	fails 6 'https://v1.vault.azure.net' lamassu kms key create two --engine az --key-type ecdsa:256
	[ "$(azure_count create)" -eq 2 ]
}

@test "K12: a clock that is wrong is named; a federated token is read anew for each sign-in" {
	new_pki
	azure_engine pem credential=certificate client_id=$AZURE_CERT_APP certificate_file="$AZURE_DIR/client.pem"
	azure_rules '{"clock_is_wrong": true}'
	fails 5 "AADSTS700024: Client assertion is not within its valid time range.; is this machine's clock right?" lamassu kms engine test pem --read-only
	azure_rules
	cp "$AZURE_DIR/federated" token
	azure_engine az credential=workload_identity client_id=$AZURE_WORKLOAD_APP federated_token_file="$PWD/token"
	new_key a
	echo old >token
	fails 5 AADSTS700213 lamassu kms key sign a --in lamassu.yaml
	[[ $stderr != *old* ]]
	rm token
	fails 5 'federated token' lamassu kms key sign a --in lamassu.yaml
	cp "$AZURE_DIR/federated" token
	ok lamassu kms key sign a --in lamassu.yaml --out ../sig
}

@test "K12: an authority that we do not trust, no such host, a server that hangs" {
	root_in_az
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../o.key -out ../other.crt -subj /CN=other 2>/dev/null
	ok lamassu kms engine set az "ca_file=$PWD/../other.crt"
	before=$(tips)
	refused 6 certificate
	[ ! -s "$AZURE_DIR/log" ]
	ok lamassu kms engine set az "ca_file=$AZURE_DIR/ca.crt" connect_to=127.0.0.1:1 max_retries=1
	before=$(tips)
	refused 6 'https://v1.vault.azure.net'
	ok lamassu kms engine set az "connect_to=127.0.0.1:$AZURE_PORT" timeout=2s
	azure_rules '{"sign": [{"sleep": 20}]}'
	before=$(tips)
	start=$SECONDS
	refused 6 'https://v1.vault.azure.net'
	[ $((SECONDS - start)) -le $((6 * LAMASSU_SLOW)) ]
	azure_rules
	ok lamassu kms engine set az timeout=10s connect_to=no.such.host.invalid:443
	before=$(tips)
	refused 6 'resolve'
}

@test "K12: no token goes to a server that asks for another's, to a strange tenant, or without TLS" {
	root_in_az
	azure_rules '{"challenge_resource": "https://evil.example"}'
	refused 5 'asks for a token for evil.example, which it is no part of'
	azure_rules '{"challenge_resource": "https://net"}'
	refused 5 'no token is sent'
	azure_rules '{"challenge_resource": "http://vault.azure.net"}'
	refused 6 'http is for this machine only'
	azure_rules '{"challenge": "Bearer authorization=https://login.microsoftonline.com/{tenant}"}'
	refused 6 'neither a resource nor a scope'
	azure_rules '{"challenge": "Negotiate"}'
	refused 6 'no Bearer token'
	azure_rules '{"challenge_tenant": "99999999-2222-3333-4444-555555555555"}'
	refused 5 'belongs to tenant 99999999-2222-3333-4444-555555555555'
	[ "$(grep -c ^token "$AZURE_DIR/log")" -eq 0 ]
	ok lamassu kms engine set az 'allowed_tenants=*'
	before=$(tips)
	refused 5 'AADSTS90002'
	azure_rules '{"challenge": "bearer scope={resource}/.default , authorization_uri=https://login.windows.net/{tenant}/oauth2/authorize"}'
	ok lamassu ca sign root --csr ../req/d-0.csr --out ../one.pem
	fails 2 'http is for this machine only' lamassu kms engine set az vault_name= endpoint=http://v1.vault.azure.net
	fails 2 'has a path' lamassu kms engine set az vault_name= endpoint=https://v1.vault.azure.net/x
}

@test "K12: permissions that are missing are named; the machine's identity service may be busy" {
	root_in_az
	azure_rules '{"forbidden_operations": ["sign"]}'
	refused 5 'sign: no role of this identity permits it: 403 Forbidden/ForbiddenByRbac'
	azure_rules '{"forbidden_operations": ["list"]}'
	ok lamassu kms engine test az --read-only
	ok lamassu kms engine set az credential=managed_identity client_id= client_secret=
	azure_rules '{"imds": [{"status": 410, "retry_after_ms": 5, "times": 3}]}'
	export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$AZURE_HTTP_PORT
	ok lamassu ca sign root --csr ../req/d-0.csr --out ../one.pem
	[ "$(azure_count imds)" -eq 4 ]
}

@test "K3: no secret and no token in any output, in the repository, or in a child's arguments" {
	root_in_az
	{ lamassu -v ca sign root --csr ../req --out ../out && lamassu -v kms engine test az && lamassu -v kms engine show az -o json; } >../seen 2>&1
	grep -q 'POST https://v1.vault.azure.net sign: 200' ../seen
	openssl ecparam -name prime256v1 -genkey -noout -out ../k.pem
	lamassu -v kms key import ../k.pem --engine az >>../seen 2>&1
	no grep -aqE 's3cr3t|eyJ|Bearer' ../seen
	no grep -raqE 's3cr3t~of|eyJ[A-Za-z0-9_-]{20}' .
	d=$(openssl asn1parse -in ../k.pem | sed -n 's/.*OCTET STRING.*HEX DUMP\]://p' | python3 -c '
import base64, sys
print(base64.urlsafe_b64encode(bytes.fromhex(sys.stdin.read().strip())).decode()[:20])')
	[ ${#d} -eq 20 ]
	no grep -raqF -- "$d" . ../seen
}
