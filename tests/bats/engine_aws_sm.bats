#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# AWS Secrets Manager as a store of encrypted keys, against ministack and moto.
load helpers
load ca_helpers
load engine_helpers
load aws_helpers

setup_file() {
	export BATS_NO_PARALLELIZE_WITHIN_FILE=true # the rules of a server that fails are for all who use it
	ministack_start "$BATS_FILE_TMPDIR/ministack" && microburst_start "$BATS_FILE_TMPDIR/microburst" "$MINISTACK_URL"
	export MINISTACK_URL MINISTACK_PID MICROBURST_URL MICROBURST_PID
}

teardown_file() { server_stop "$MICROBURST_PID" "$MINISTACK_PID"; }

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	aws_nothing
	aws_keys
	prefix=test-$BATS_TEST_NUMBER/
}

# new_sm URL [SETTING…]: a repository with the engine sm, whose secrets are this test's own
new_sm() { new_pki && aws_sm sm "$1" --set prefix="$prefix" "${@:2}"; }

secrets() { aws_api "$MINISTACK_URL" secretsmanager.ListSecrets "{\"Filters\":[{\"Key\":\"name\",\"Values\":[\"$prefix\"]}]}" | jq -r '.SecretList[].Name'; }
secret_of() { aws_api "$MINISTACK_URL" secretsmanager.GetSecretValue "{\"SecretId\":\"$1\"}"; }
stages_of() { aws_api "$MINISTACK_URL" secretsmanager.DescribeSecret "{\"SecretId\":\"$1\"}" | jq -c '[.VersionIdsToStages[] | select(. != [])] | add'; }

teardown() { server_stop ${MOTO_PID:+"$MOTO_PID"}; }

@test "C1 C2 C8 C12 C13 K1 K4 K5 K6 K7 K8 K9 K11: what every engine must do, in Secrets Manager" {
	new_sm "$MINISTACK_URL"
	conformance sm
}

@test "K1 K2 K3: documents of Secrets Manager; no secret in one" {
	new_pki
	printf 'crypto_engines:\n  aws_secrets_manager:\n    - id: asm\n      region: eu-west-1\n      auth_method: default\n      metadata: {a: b}\n' >seed.yaml
	ok lamassu kms engine add -f seed.yaml
	ok lamassu kms engine show asm -o json
	[ "$(jq -c '[.type, .security_level, .config.prefix]' <<<"$output")" = '["AWS_SECRETS_MANAGER","SL0","lamassu/"]' ]
	fails 2 'prefix' lamassu kms engine add x --type aws_secrets_manager --set 'prefix=a b'
	fails 2 'recovery_window_days' lamassu kms engine add x --type aws_secrets_manager --set recovery_window_days=3
	fails 2 'passphrase' lamassu kms engine add x --type aws_secrets_manager --set passphrase=in-clear
	fails 2 'role_arn' lamassu kms engine add x --type aws_secrets_manager --set auth_method=role
}

@test "K7 K11: the payload is encrypted PKCS#8 that openssl opens; another machine opens it with the passphrase alone" {
	new_sm "$MINISTACK_URL"
	ok lamassu kms key create k --engine sm --key-type ecdsa:256 --tag blue -o id
	id=$output
	secret_of "$prefix$id" | jq -r .SecretString | jq -r .key | base64 -d >../k.pem
	head -n 1 ../k.pem | grep -q 'BEGIN ENCRYPTED PRIVATE KEY'
	openssl pkey -in ../k.pem -passin env:LAMASSU_PASSPHRASE -pubout -out ../k.pub
	[ "$(key_id ../k.pub)" = "$id" ]
	aws_api "$MINISTACK_URL" secretsmanager.DescribeSecret "{\"SecretId\":\"$prefix$id\"}" | jq -c '[.Tags[].Key] | sort' >../tags
	git clone -q . ../other
	cd ../other
	[ "$(<../tags)" = '["lamassu:engine","lamassu:name","lamassu:tag:blue"]' ]
	printf message >../message
	ok lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig
	openssl dgst -sha256 -verify ../k.pub -signature ../sig ../message
	LAMASSU_PASSPHRASE=wrong fails 5 'wrong passphrase' lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig2
	ok lamassu kms engine set sm 'passphrase=${ELSEWHERE}'
	ELSEWHERE=$LAMASSU_PASSPHRASE LAMASSU_PASSPHRASE=wrong ok lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig3
}

@test "K7: keys of LAMASSU IoT are found under the names that it gave them" {
	openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out old.pem
	openssl pkey -in old.pem -pubout -out old.pub
	id=$(key_id old.pub)
	payload=$(jq -cn --arg k "$(base64 -w 0 <old.pem)" '{key: $k}')
	aws_api "$MINISTACK_URL" secretsmanager.CreateSecret "$(jq -cn --arg n "$id" --arg s "$payload" '{Name: $n, SecretString: $s}')" >/dev/null
	new_pki
	aws_sm sm "$MINISTACK_URL" --set prefix=
	ok lamassu kms key list --all --filter recorded=false -o id
	grep -q "$id" <<<"$output"
	openssl req -new -x509 -key ../old.pem -subj /CN=Old -days 900 -addext keyUsage=critical,keyCertSign,cRLSign -out ../old-ca.pem 2>/dev/null
	ok lamassu kms key import ../old.pem --engine sm --name old
	[ "$(lamassu kms key show old -o id)" = "$id" ]
	ok lamassu ca import old --cert ../old-ca.pem --key old --issuance-profile tls-client
	csr leaf && sign old leaf && accepted ../leaf.pem ../old-ca.pem
}

@test "K9 K11: a deleted key can be restored for some days, and its name is free for it again" {
	new_sm "$MINISTACK_URL"
	openssl ecparam -name prime256v1 -genkey -noout -out ../k.pem
	ok lamassu kms key import ../k.pem --engine sm --name k -o id
	id=$output
	ok lamassu kms key delete k --yes
	aws_api "$MINISTACK_URL" secretsmanager.DescribeSecret "{\"SecretId\":\"$prefix$id\"}" | jq -e '.DeletedDate > 0' >/dev/null
	ok lamassu kms key import ../k.pem --engine sm --name again -o id
	[ "$output" = "$id" ]
	printf message >../message
	ok lamassu kms key sign again --algorithm ECDSA_SHA_256 --in ../message --out ../sig
	aws_api "$MINISTACK_URL" secretsmanager.DeleteSecret "{\"SecretId\":\"$prefix$id\"}" >/dev/null
	fails 3 'RestoreSecret' lamassu kms key sign again --algorithm ECDSA_SHA_256 --in ../message --out ../sig2
	ok lamassu kms engine set sm recovery_window_days=0
	ok lamassu kms key create gone --engine sm --key-type ecdsa:256 -o id
	gone=$output
	ok lamassu kms key delete gone --yes
	no grep -q "$gone" <(secrets)
}

@test "K11: a change of passphrase replaces every secret by check and set; the old version loses its label" {
	new_sm "$MINISTACK_URL"
	ok lamassu kms key create k --engine sm --key-type ecdsa:256 -o id
	id=$output
	LAMASSU_NEW_PASSPHRASE=another ok lamassu kms engine passphrase sm
	[ "$(stages_of "$prefix$id")" = '["AWSCURRENT"]' ]
	[ "$(stages_of "${prefix}lamassu.seal")" = '["AWSCURRENT"]' ]
	[ "$(secrets | wc -l)" = 2 ]
	secret_of "$prefix$id" | jq -r .SecretString | jq -r .key | base64 -d | openssl pkey -passin pass:another -noout
	printf message >../message
	fails 5 'wrong passphrase' lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig
	LAMASSU_PASSPHRASE=another ok lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig
}

@test "K11: two machines that change the passphrase at once: one wins, the other is told, no key is lost" {
	new_sm "$MINISTACK_URL"
	for i in 1 2 3; do ok lamassu kms key create "k$i" --engine sm --key-type ecdsa:256; done
	git clone -q . ../other
	(cd ../other && LAMASSU_NEW_PASSPHRASE=two lamassu kms engine passphrase sm >../two 2>&1) &
	LAMASSU_NEW_PASSPHRASE=one lamassu kms engine passphrase sm >../one 2>&1 || true
	wait $! || true # either may lose
	printf message >../message
	for i in 1 2 3; do
		won=
		for p in one two "$LAMASSU_PASSPHRASE"; do
			LAMASSU_PASSPHRASE=$p lamassu kms key sign "k$i" --algorithm ECDSA_SHA_256 --in ../message --out "../sig-$i-$p" 2>/dev/null && won+="$p "
		done
		echo "k$i: $won"
		[ "$won" = "one " ] || [ "$won" = "two " ]
	done
}

@test "K12: throttled, failing, denied: one line each, and what was there is as before" {
	new_sm "$MICROBURST_URL"
	microburst_rules '[{"service":"secretsmanager","times":10,"error":{"code":"ThrottlingException","status":400}}]'
	ok lamassu kms key create k --engine sm --key-type ecdsa:256
	tips >../before
	microburst_rules '[{"service":"secretsmanager","operation":"CreateSecret","error":{"code":"InternalServiceError","status":500}}]'
	fails 6 'engine sm: secretsmanager CreateSecret: InternalServiceError' lamassu kms key create k2 --engine sm --key-type ecdsa:256
	one_line
	microburst_rules '[{"service":"secretsmanager","operation":"GetSecretValue","error":{"code":"AccessDeniedException","status":400}}]'
	printf message >../message
	fails 5 'AccessDeniedException' lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig
	microburst_rules '[{"service":"secretsmanager","operation":"GetSecretValue","error":{"code":"DecryptionFailure","status":400}}]'
	fails 6 'DecryptionFailure' lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig
	microburst_rules '[{"service":"secretsmanager","operation":"CreateSecret","times":1,"reset":true}]'
	ok lamassu kms key create k3 --engine sm --key-type ecdsa:256
	microburst_rules '[]'
	ok lamassu kms key delete k3 --yes
	[ "$(git diff --name-only "$(head -n 1 ../before | cut -d' ' -f2)" main | wc -l)" -eq 0 ] || git log --oneline main
	sound
}

@test "K12: moto, which checks each request's signature, takes ours" {
	moto_start "$BATS_TEST_TMPDIR/moto"
	new_sm "$MOTO_URL"
	ok lamassu kms key create k --engine sm --key-type ed25519 --tag green
	printf message >../message
	ok lamassu kms key sign k --algorithm Ed25519 --in ../message --out ../sig
	LAMASSU_NEW_PASSPHRASE=another ok lamassu kms engine passphrase sm
	LAMASSU_PASSPHRASE=another ok lamassu kms key sign k --algorithm Ed25519 --in ../message --out ../sig
	ok lamassu kms key delete k --yes
	AWS_SECRET_ACCESS_KEY=wrong fails 5 'SignatureDoesNotMatch' lamassu kms key create x --engine sm --key-type ed25519
}

@test "K3 K11: neither key nor passphrase is in messages, the log of -v, or the repository" {
	new_sm "$MINISTACK_URL"
	openssl genpkey -algorithm ed25519 -out ../k.pem
	{
		lamassu kms key import ../k.pem --engine sm --name k -v
		lamassu kms key sign k --algorithm Ed25519 --in ../k.pem --out ../sig -v
		lamassu kms engine show sm -o json
	} >../said 2>&1
	grep -q 'secretsmanager CreateSecret: 200' ../said
	no grep -rF -e "$AWS_SECRET_ACCESS_KEY" -e "$LAMASSU_PASSPHRASE" -e "$(sed -n 2p ../k.pem)" -e 'BEGIN ENCRYPTED' -e 'Signature=' ../said .
}
