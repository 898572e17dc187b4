#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016 # output, stderr: set by ok and fails of helpers.bash; references, not values
# Documents of engines in all the forms that people have them in. Nothing here opens an engine but the software one.
load helpers
load ca_helpers

@test "K2 K3: the documents of the guides, one group for each kind" {
	new_pki
	cat >engines.yaml <<-'Y'
		crypto_engines:
		  pkcs11:
		    - id: "production-hsm"
		      token: "LamassuCA"
		      pin: "${HSM_PIN}"  # Use environment variable
		      module_path: "/usr/lib/softhsm/libsofthsm2.so"
		  hashicorp_vault:
		    - id: "vault-engine"
		      role_id: "${VAULT_ROLE_ID}"
		      secret_id: "${VAULT_SECRET_ID}"
		      auto_unseal_enabled: true
		      mount_path: "lamassu-pki"
		      address: "https://vault.internal:8200"
		  aws_kms:
		    - id: "aws-kms-engine"
		      region: "us-east-1"
		      key_spec: "RSA_4096"
		      key_usage: "SIGN_VERIFY"
	Y
	ok lamassu kms engine add -f engines.yaml
	ok lamassu kms engine list -o json
	[ "$(jq -rc '[.list[] | [.id, .type, .security_level]] | tojson' <<<"$output")" = \
		'[["aws-kms-engine","AWS_KMS","SL1"],["production-hsm","PKCS11","SL0"],["software","SOFTWARE","SL0"],["vault-engine","HASHICORP_VAULT_KV_V2","SL1"]]' ] # it says that an HSM unseals it
	sed 's/production-hsm/luna/; s|/softhsm/libsofthsm2.so|/libCryptoki2_64.so|' engines.yaml | sed '/hashicorp_vault/,$d' >luna.yaml
	ok lamassu kms engine add -f luna.yaml -o json
	[ "$(jq -r .security_level <<<"$output")" = SL2 ]
	git show HEAD:engines/production-hsm.yaml | grep -q 'pin: .*\${HSM_PIN}'
	git show HEAD:engines/vault-engine.yaml | grep -q 'address: https://vault.internal:8200'
	ok lamassu repo verify
}

@test "K1 K3: the documents of a server's configuration: a list with types and a default" {
	new_pki
	cat >config.yml <<-'Y'
		crypto_engines:
		  log_level: info
		  default_id: filesystem-1
		  migrate_keys_format: false
		  engines:
		    - id: filesystem-1
		      type: filesystem
		      metadata: {site: north}
		      storage_directory: one
		    - id: hsm-1
		      type: pkcs11
		      token: lamassuHSM
		      pin: "${HSM_PIN}"
		      module_path: /usr/lib/softhsm/libsofthsm2.so
		      module_extra_options:
		        env: {SOFTHSM2_CONF: /etc/softhsm2.conf}
		    - id: hsm-2
		      type: pkcs11
		      token: other
		      pin: "${HSM_PIN}"
		      module_path: /usr/lib/softhsm/libsofthsm2.so
		    - id: vault-1
		      type: hashicorp_vault
		      role_id: "${VAULT_ROLE_ID}"
		      secret_id: "${VAULT_SECRET_ID}"
		      auto_unseal_enabled: false
		      mount_path: pki-kv
		      protocol: https
		      hostname: vault
		      port: 8200
		      ca_cert_file: /etc/vault/ca.pem
		    - id: kms-1
		      type: aws_kms
		      auth_method: static
		      region: eu-west-1
		      access_key_id: "${AWS_ACCESS_KEY_ID}"
		      secret_access_key: "${AWS_SECRET_ACCESS_KEY}"
		    - id: sm-1
		      type: aws_secrets_manager
		      auth_method: role
		      role_arn: arn:aws:iam::123456789012:role/lamassu
		      region: eu-west-1
	Y
	ok lamassu kms engine add -f config.yml
	ok lamassu kms engine list -o json
	[ "$(jq -rc '[.list[] | [.id, .type, .default]] | tojson' <<<"$output")" = \
		'[["filesystem-1","SOFTWARE",true],["hsm-1","PKCS11",false],["hsm-2","PKCS11",false],["kms-1","AWS_KMS",false],["sm-1","AWS_SECRETS_MANAGER",false],["software","SOFTWARE",false],["vault-1","HASHICORP_VAULT_KV_V2",false]]' ]
	[ "$(git log -1 --format=%s)" = 'engine: add filesystem-1, hsm-1, hsm-2, vault-1, kms-1, sm-1' ]
	[ "$(git show HEAD:lamassu.yaml | grep default_engine)" = 'default_engine: filesystem-1' ]
	# the same again, as one engine at a time and as a bare list
	for id in filesystem-1 hsm-1 hsm-2 vault-1 kms-1 sm-1; do
		[ "$id" = filesystem-1 ] && ok lamassu kms engine default software
		ok lamassu kms engine show "$id" -o json
		jq 'del(.provider, .security_level, .default, .keys, .lock, .capabilities, .supported_key_types)' <<<"$output" >"$id.json"
		ok lamassu kms engine remove "$id"
	done
	fails 2 'reference' lamassu kms engine add -f hsm-1.json # its PIN is *** there
	sed -i 's/"\*\*\*"/"${SECRET}"/' ./*.json
	jq -s '{default_id: "hsm-2", engines: .}' ./*.json >all.json
	ok lamassu kms engine add -f all.json
	[ "$(git show HEAD:lamassu.yaml | grep default_engine)" = 'default_engine: hsm-2' ]
}

@test "K3 K4: a secret in clear is refused in every kind and never shown" {
	new_pki
	head=$(git rev-parse HEAD)
	refused() { # TYPE FIELD [SETTING…]
		local type=$1 field=$2 set=() s
		shift 2
		for s in "$field=s3cret-in-clear" "$@"; do set+=(--set "$s"); done
		fails 2 'reference' lamassu kms engine add x --type "$type" "${set[@]}"
		[[ $stderr == *"$field"* && $stderr != *s3cret* ]]
	}
	fails 2 'engine x: config: pin: a secret may only be given by reference' lamassu kms engine add x --type pkcs11 --set module_path=/m.so --set pin=1
	fails 2 'engine x: config: module_path: is required' lamassu kms engine add x --type pkcs11
	refused software passphrase
	refused pkcs11 pin token=t module_path=/m.so
	refused hashicorp_vault secret_id address=https://v:8200 role_id=r
	refused hashicorp_vault token address=https://v:8200
	refused hashicorp_vault_transit token address=https://v:8200
	refused aws_kms secret_access_key region=eu-west-1 access_key_id=A
	refused aws_secrets_manager session_token region=eu-west-1 access_key_id=A
	refused azure_key_vault client_secret vault_name=v tenant_id=t client_id=c
	[ "$(git rev-parse HEAD)" = "$head" ]
	ok lamassu kms engine add hsm --type pkcs11 --set token=t --set module_path=/m.so --set 'pin=${HSM_PIN}'
	ok lamassu kms engine list
	ok lamassu -q kms engine show hsm
	[[ $output == *'***'* && $output != *HSM_PIN* ]]
}

@test "K1: engines of every kind cost nothing where they are not used: no library of theirs is loaded, no other program started" {
	new_pki
	ok lamassu kms engine add hsm --type pkcs11 --set token=t --set module_path=/m.so --set 'pin=${HSM_PIN}'
	ok lamassu kms engine add kms --type aws_kms --set region=eu-west-1
	ok lamassu kms engine add sm --type aws_secrets_manager --set region=eu-west-1
	ok lamassu kms engine add az --type azure_key_vault --set vault_name=v --set tenant_id=t --set client_id=c --set 'client_secret=${AZ}'
	ok lamassu kms engine add kv --type vault --set address=https://v:8200 --set 'token=${VT}'
	ok lamassu kms engine add transit --type transit --set address=https://v:8200 --set 'token=${VT}'
	ok lamassu ca create root --engine software --subject CN=Root --key-type ecdsa:256 --validity 10y --issuance-profile tls-client
	csr leaf
	export LD_DEBUG=libs LD_DEBUG_OUTPUT=$BATS_TEST_TMPDIR/libs
	for c in version 'ca list' 'cert list' 'kms engine list' 'kms key list' 'kms key show root' 'ca sign root --csr ../leaf.csr' 'ca crl root' \
		'repo verify'; do
		# shellcheck disable=SC2086 # words
		ok "$LAMASSU" $c
	done
	unset LD_DEBUG LD_DEBUG_OUTPUT
	grep -q libcrypto "$BATS_TEST_TMPDIR"/libs.*
	no grep -qE 'lib(p11|curl|event|cjose|softhsm)|lamassu-net' "$BATS_TEST_TMPDIR"/libs.*
}
