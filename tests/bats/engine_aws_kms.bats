#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# AWS KMS, against ministack (signatures, imports), moto (which checks with botocore how requests are signed), and proxies that make
# them fail.
load helpers
load ca_helpers
load engine_helpers
load aws_helpers

setup_file() {
	export BATS_NO_PARALLELIZE_WITHIN_FILE=true # the rules of a server that fails are for all who use it
	ministack_start "$BATS_FILE_TMPDIR/ministack" &&
		microburst_start "$BATS_FILE_TMPDIR/microburst" "$MINISTACK_URL" &&
		aws_proxy_start "$BATS_FILE_TMPDIR/proxy" "$MINISTACK_URL"
	export MINISTACK_URL MINISTACK_PID MICROBURST_URL MICROBURST_PID PROXY_URL PROXY_PID FILE_PROXY_PID=$PROXY_PID
}

teardown_file() { server_stop "$PROXY_PID" "$MICROBURST_PID" "$MINISTACK_PID"; }

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	aws_nothing
	aws_keys
}

# new_kms URL [SETTING…]: a repository with the engine aws and its key k
new_kms() {
	new_pki && aws_kms aws "$@" && ok lamassu kms key create k --engine aws --key-type ecdsa:256 && printf message >../message
}

sign_k() { lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out "../sig-$RANDOM" "$@"; }
arn_of() { lamassu kms key show "$1" -o json | jq -r .handle; }
keys_there() { aws_api "$MINISTACK_URL" TrentService.ListKeys '{"Limit":1000}' | jq '.Keys | length'; }
state_of() { aws_api "$MINISTACK_URL" TrentService.DescribeKey "{\"KeyId\":\"$1\"}" | jq -r .KeyMetadata.KeyState; }

# What a test has started itself.
teardown() {
	server_stop ${MOTO_PID:+"$MOTO_PID"}
	[ "$PROXY_PID" = "$FILE_PROXY_PID" ] || server_stop "$PROXY_PID"
}

@test "C1 C2 C8 C12 C13 K1 K4 K5 K6 K7 K8 K9 K12: what every engine must do, in AWS KMS" {
	new_pki
	aws_kms aws "$MINISTACK_URL"
	conformance aws
}

@test "K1 K2 K3: documents of AWS KMS in all their forms; no secret in one" {
	new_pki
	printf 'crypto_engines:\n  aws_kms:\n    - id: "aws-kms-engine"\n      region: "us-east-1"\n      key_spec: "RSA_4096"\n      key_usage: "SIGN_VERIFY"\n' >seed.yaml
	ok lamassu kms engine add -f seed.yaml
	ok lamassu kms engine show aws-kms-engine -o json
	[ "$(jq -c '[.type, .security_level, .config.region, .config.key_spec]' <<<"$output")" = '["AWS_KMS","SL1","us-east-1","RSA_4096"]' ]
	printf '%s\n' 'id: old' 'type: aws_kms' 'auth_method: static' 'endpoint_url: http://127.0.0.1:1' 'access_key_id: AKIAEXAMPLE' \
		'secret_access_key: ${THE_SECRET}' 'session_token: file:/x' 'region: eu-west-1' >old.yaml
	ok lamassu kms engine add -f old.yaml
	ok lamassu kms engine show old -o json
	[ "$(jq -c '[.config.access_key_id, .config.secret_access_key, .config.session_token]' <<<"$output")" = '["AKIAEXAMPLE","***","***"]' ]
	fails 2 'secret_access_key' lamassu kms engine add x --type aws_kms --set access_key_id=AKIA --set secret_access_key=in-clear
	[[ $stderr != *in-clear* ]]
	fails 2 'key_usage' lamassu kms engine add x --type aws_kms --set key_usage=ENCRYPT_DECRYPT
	fails 2 'key_spec' lamassu kms engine add x --type aws_kms --set key_spec=SYMMETRIC_DEFAULT
	fails 2 'pending_window_days' lamassu kms engine add x --type aws_kms --set pending_window_days=3
	fails 2 'security_level' lamassu kms engine add x --type aws_kms --set security_level=2
}

@test "K12: moto, which checks each request's signature, takes ours; what it signs wrongly is refused and nothing is issued" {
	moto_start "$BATS_TEST_TMPDIR/moto"
	new_pki
	aws_kms moto "$MOTO_URL"
	ok lamassu kms key create k --engine moto --key-type ecdsa:256
	printf message >../message
	tips >../before
	fails 6 'engine moto' lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig
	[ ! -e ../sig ]
	one_line
	fails 6 'engine moto' lamassu ca create root --engine moto --subject CN=Root --key-type ecdsa:256
	tips | cmp - ../before
	# the right key with another secret, and a key that nobody knows
	AWS_SECRET_ACCESS_KEY=wrong fails 5 'SignatureDoesNotMatch' lamassu kms engine test moto --read-only
	[[ $stderr != *wrong/* ]] && one_line
	AWS_ACCESS_KEY_ID=AKIANOBODY fails 5 'the credentials from the environment' lamassu kms engine test moto --read-only
	# a role, with its session's keys
	moto_call iam create_role RoleName=signer \
		'AssumeRolePolicyDocument={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/admin"},"Action":"sts:AssumeRole"}]}' >/dev/null
	moto_call iam put_role_policy RoleName=signer PolicyName=all \
		'PolicyDocument={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}' >/dev/null
	export AWS_ENDPOINT_URL_STS=$MOTO_URL
	aws_kms by-role "$MOTO_URL" --set role_arn=arn:aws:iam::123456789012:role/signer --set external_id=x/y+1 --set role_session_name=ci
	ok lamassu kms engine test by-role --read-only
	# somebody who may not take that role
	moto_call iam create_user UserName=nobody >/dev/null
	moto_call iam create_access_key UserName=nobody >../nobody
	AWS_ACCESS_KEY_ID=$(jq -r .AccessKey.AccessKeyId ../nobody) AWS_SECRET_ACCESS_KEY=$(jq -r .AccessKey.SecretAccessKey ../nobody) \
		fails 5 'sts AssumeRole: AccessDenied: ' lamassu kms engine test by-role --read-only
	one_line
	printf '[a]\naws_access_key_id=%s\naws_secret_access_key=%s\n[b]\nrole_arn=arn:aws:iam::123456789012:role/signer\nsource_profile=a\n' \
		"$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$AWS_SHARED_CREDENTIALS_FILE"
	aws_kms by-profile "$MOTO_URL" --set profile=b
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	ok lamassu kms engine test by-profile --read-only
	AWS_PROFILE=a ok lamassu kms engine test moto --read-only
}

@test "K12: throttled ten times and then served; a service that fails once, or always" {
	new_kms "$MICROBURST_URL"
	microburst_rules '[{"service":"kms","operation":"Sign","times":10,"error":{"code":"ThrottlingException","status":400}}]'
	ok sign_k -v
	[ "$(microburst_fired)" = 10 ]
	microburst_rules '[{"service":"kms","operation":"Sign","times":2,"error":{"code":"KMSInternalException","status":500}}]'
	ok sign_k
	microburst_rules '[{"service":"kms","operation":"Sign","error":{"code":"KMSInternalException","status":500,"message":"we are sorry"}}]'
	fails 6 'engine aws: kms Sign: KMSInternalException: we are sorry (HTTP 500' sign_k
	one_line
	[ "$(microburst_fired)" = 3 ]
	before=$(keys_there)
	microburst_rules '[{"service":"kms","operation":"CreateKey","error":{"code":"KMSInternalException","status":500}}]'
	tips >../before
	fails 6 'lamassu:request=' lamassu kms key create k2 --engine aws --key-type ecdsa:256
	[ "$(microburst_fired)" = 1 ]
	microburst_rules '[{"service":"kms","operation":"CreateKey","times":1,"error":{"code":"ThrottlingException","status":400}}]'
	ok lamassu kms key create k2 --engine aws --key-type ecdsa:256
	[ "$(keys_there)" = $((before + 1)) ]
	microburst_rules '[{"service":"kms","operation":"Sign","error":{"code":"AccessDeniedException","status":400,"message":"not you"}}]'
	fails 5 'AccessDeniedException: not you' sign_k
	[ "$(microburst_fired)" = 1 ]
	microburst_rules '[]'
}

@test "K12: a lost answer: signing is repeated, making a key is not; the key that was made is looked for, and there is no second" {
	new_kms "$PROXY_URL"
	aws_proxy_mode lose 1
	ok sign_k
	[ "$(aws_proxy_stats .requests.Sign)" = 2 ]
	for mode in lose cut garbage; do
		before=$(keys_there)
		aws_proxy_mode "$mode" 1
		if [ "$mode" = garbage ]; then # this one did not reach KMS
			fails 6 'KMS shows none with the tag lamassu:request=' lamassu kms key create "$mode" --engine aws --key-type ecdsa:256
			one_line
		else
			ok lamassu kms key create "$mode" --engine aws --key-type ecdsa:256
			ok lamassu kms key sign "$mode" --algorithm ECDSA_SHA_256 --in ../message --out "../sig-$mode"
			before=$((before + 1))
		fi
		[ "$(aws_proxy_stats .requests.CreateKey)" = 1 ]
		[ "$(keys_there)" = "$before" ]
	done
	openssl genpkey -algorithm ed25519 -out ../lost.pem
	before=$(keys_there)
	aws_proxy_mode lose 1
	ok lamassu kms key import ../lost.pem --name imported --engine aws
	[ "$(keys_there)" = $((before + 1)) ]
	sound
}

@test "K12: a lost answer, and KMS cannot be asked for the key: the command says by which tag it is found" {
	new_kms "$PROXY_URL"
	aws_proxy_mode deaf
	before=$(keys_there)
	tips >../before
	fails 6 'if AWS made one nevertheless it has the tag lamassu:request=' lamassu kms key create k2 --engine aws --key-type ecdsa:256
	one_line
	[ "$(aws_proxy_stats .requests.CreateKey)" = 1 ]
	aws_proxy_mode ok
	[ "$(keys_there)" = $((before + 1)) ]
	tips | cmp - ../before
	tag=$(sed 's/.*lamassu:request=\([0-9a-f]*\).*/\1/' <<<"$stderr")
	found=0
	for arn in $(aws_api "$MINISTACK_URL" TrentService.ListKeys '{"Limit":1000}' | jq -r '.Keys[].KeyArn'); do
		aws_api "$MINISTACK_URL" TrentService.ListResourceTags "{\"KeyId\":\"$arn\"}" | grep -q "$tag" && found=$((found + 1))
	done
	[ "$found" = 1 ]
	sound
}

@test "K12: another key's signature, half an answer, a page of HTML: error 6, and nothing is issued" {
	new_kms "$PROXY_URL"
	tips >../before
	for mode in other cut garbage; do
		aws_proxy_mode "$mode"
		fails 6 'engine aws' sign_k
		one_line
		fails 6 'engine aws' lamassu ca create root --engine aws --subject CN=Root --key k
	done
	aws_proxy_mode ok
	tips | cmp - ../before
	ok sign_k
}

@test "K12: a hung server, no such host, nobody at the port, a wrong authority: one line in time" {
	new_kms "$PROXY_URL" --set timeout=3s --set max_attempts=2
	aws_proxy_mode hang
	start=$SECONDS
	fails 6 'engine aws: kms Sign' sign_k
	[ $((SECONDS - start)) -lt 10 ]
	one_line
	aws_proxy_mode ok
	ok lamassu kms engine set aws endpoint_url=https://no-such-host.invalid
	fails 6 'https://no-such-host.invalid: ' sign_k
	one_line
	ok lamassu kms engine set aws endpoint_url=http://127.0.0.1:1
	fails 6 'http://127.0.0.1:1: ' sign_k
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../tls.key -out ../tls.pem -subj /CN=x \
		-addext subjectAltName=IP:127.0.0.1 2>/dev/null
	port=$(server_port)
	openssl s_server -accept "127.0.0.1:$port" -key ../tls.key -cert ../tls.pem -www >/dev/null 2>&1 3>&- &
	pid=$!
	server_wait "https://127.0.0.1:$port/" /dev/null -k
	ok lamassu kms engine set aws endpoint_url="https://127.0.0.1:$port"
	fails 6 'certificate' sign_k
	one_line
	ok lamassu kms engine set aws ca_file="$BATS_TEST_TMPDIR/tls.pem"
	fails 6 'engine aws: kms Sign: ' sign_k
	[[ $stderr != *certificate* ]]
	server_stop "$pid"
	fails 2 'https' lamassu kms engine add x --type aws_kms --set region=eu-west-1 --set endpoint_url=http://example.org
}

@test "K12: a clock that is an hour off is put right by the service's Date" {
	aws_proxy_start "$BATS_TEST_TMPDIR/late" "$MINISTACK_URL" --clock 3600
	new_kms "$PROXY_URL"
	ok sign_k -v
	[ "$(grep -c 'kms Sign: 400' <<<"$stderr")" = 1 ]
	[ "$(grep -c 'kms Sign: 200' <<<"$stderr")" = 1 ]
	server_stop "$PROXY_PID"
}

@test "K12: a key disabled, put up for deletion or deleted behind our back is named" {
	new_kms "$MINISTACK_URL"
	arn=$(arn_of k)
	aws_api "$MINISTACK_URL" TrentService.DisableKey "{\"KeyId\":\"$arn\"}"
	fails 5 'DisabledException' sign_k
	one_line
	aws_api "$MINISTACK_URL" TrentService.EnableKey "{\"KeyId\":\"$arn\"}"
	ok sign_k
	aws_api "$MINISTACK_URL" TrentService.ScheduleKeyDeletion "{\"KeyId\":\"$arn\",\"PendingWindowInDays\":7}"
	fails 5 'KMSInvalidStateException' sign_k
	aws_kms other "$MINISTACK_URL" --set region=eu-central-1
	ok lamassu kms engine set aws region=us-west-2
	fails 3 'NotFoundException' sign_k
	one_line
}

@test "K5 K9: a deleted key waits in KMS, and its aliases lead to it; keys of an engine's test wait too, and that is said" {
	new_kms "$MINISTACK_URL" --set pending_window_days=9
	ok lamassu kms engine test aws
	[[ $stderr == *"engine aws: it keeps the deleted test keys ($(grep -c ' ok$' <<<"$output")) until 20"* ]]
	arn=$(arn_of k) id=$(lamassu kms key show k -o id)
	[ "$(aws_api "$MINISTACK_URL" TrentService.DescribeKey "{\"KeyId\":\"alias/$id\"}" | jq -r .KeyMetadata.Arn)" = "$arn" ]
	ok lamassu kms key delete k --yes
	[[ $output == *"unusable, until 20"* ]]
	[ "$(state_of "$arn")" = PendingDeletion ]
	left=$(($(aws_api "$MINISTACK_URL" TrentService.DescribeKey "{\"KeyId\":\"$arn\"}" | jq '.KeyMetadata.DeletionDate | floor') - $(date +%s)))
	[ $((left / 86400)) -ge 8 ] && [ $((left / 86400)) -le 9 ]
}

@test "K5: keys that others made are found by alias, id and ARN; names, aliases and tags stand in KMS" {
	new_kms "$MINISTACK_URL"
	arn=$(aws_api "$MINISTACK_URL" TrentService.CreateKey '{"KeySpec":"ECC_NIST_P384","KeyUsage":"SIGN_VERIFY","Description":"by hand"}' | jq -r .KeyMetadata.Arn)
	name=by-hand-$BATS_TEST_NUMBER
	aws_api "$MINISTACK_URL" TrentService.CreateAlias "{\"AliasName\":\"alias/$name\",\"TargetKeyId\":\"$arn\"}"
	ok lamassu kms key import "awskms:alias/$name" --engine aws --name taken
	[ "$(arn_of taken)" = "$arn" ]
	ok lamassu kms key sign taken --algorithm ECDSA_SHA_384 --in ../message --out ../sig
	ok lamassu kms key show "awskms:$arn" -o json
	[ "$(jq -c '[.name, .state]' <<<"$output")" = '["taken","usable"]' ]
	fails 3 'in aws neither' lamassu kms key import awskms:alias/no-such-alias --engine aws
	encrypts=$(aws_api "$MINISTACK_URL" TrentService.CreateKey '{}' | jq -r .KeyMetadata.Arn)
	fails 1 'not a key that signs' lamassu kms key import "awskms:$encrypts" --engine aws
	ok lamassu kms key list --all -o json
	[ "$(jq --arg a "$encrypts" '[.list[] | select(.handle == $a)] | length' <<<"$output")" = 0 ]
	arn=$(arn_of k)
	ok lamassu kms key alias k "here.$name" "there-$name"
	ok lamassu kms key alias k "there-$name" --remove
	ok lamassu kms key tag k blue "light green"
	ok lamassu kms key tag k blue --remove
	[ -z "$stderr" ]
	[ "$(aws_api "$MINISTACK_URL" TrentService.ListAliases "{\"KeyId\":\"$arn\"}" | jq -r '.Aliases[].AliasName' | grep -c "alias/lamassu/here_$name$")" = 1 ]
	[ "$(aws_api "$MINISTACK_URL" TrentService.ListAliases "{\"KeyId\":\"$arn\"}" | jq '.Aliases | length')" = 2 ]
	[ "$(aws_api "$MINISTACK_URL" TrentService.ListResourceTags "{\"KeyId\":\"$arn\"}" | jq -c '[.Tags[].TagKey] | sort')" = \
		'["lamassu:engine","lamassu:name","lamassu:request","lamassu:tag:light green"]' ]
}

@test "K7: a key of the software engine moves into KMS, and its authority with it" {
	new_pki
	ok lamassu ca create root --subject CN=Root --key-type ecdsa:256 --issuance-profile tls-client
	ok lamassu ca export root --out ../root.pem
	aws_kms aws "$MINISTACK_URL"
	id=$(lamassu ca show root -o json | jq -r .key_id)
	ok lamassu kms key move "$id" --to aws
	[ "$(lamassu ca show root -o json | jq -r .engine_id)" = aws ]
	csr leaf && sign root leaf && accepted ../leaf.pem ../root.pem
	no grep -rq 'PRIVATE KEY' .git
}

@test "K6: what KMS cannot sign is refused before it is asked" {
	new_pki
	aws_kms aws "$MINISTACK_URL"
	ok lamassu kms key create ed --engine aws --key-type ed25519
	head -c 4096 /dev/zero >../fits
	head -c 4097 /dev/zero >../large
	ok lamassu kms key sign ed --algorithm Ed25519 --in ../fits --out ../sig
	fails 1 'at most 4096 bytes' lamassu kms key sign ed --algorithm Ed25519 --in ../large --out ../sig2
	[ ! -e ../sig2 ]
	fails 2 'cannot make ecdsa:224' lamassu kms key create x --engine aws --key-type ecdsa:224
}

@test "K3: credentials of a container, of an instance, of a web identity and of an SSO login" {
	new_kms "$PROXY_URL"
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	fails 5 'no credentials for AWS' sign_k
	one_line
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=$PROXY_URL/creds AWS_CONTAINER_AUTHORIZATION_TOKEN=the-container-token
	aws_proxy_mode ok
	ok sign_k
	[ "$(aws_proxy_stats .access)" = '["ASIAFIRST"]' ]
	AWS_CONTAINER_AUTHORIZATION_TOKEN=wrong fails 5 'container credentials: HTTP 401' sign_k
	printf the-container-token >../token
	unset AWS_CONTAINER_AUTHORIZATION_TOKEN
	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=../token ok sign_k
	AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.org/creds fails 5 'http is for this machine' sign_k
	AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:80@example.org/creds fails 5 'http is for this machine' sign_k
	unset AWS_CONTAINER_CREDENTIALS_FULL_URI
	export AWS_EC2_METADATA_SERVICE_ENDPOINT=$MINISTACK_URL
	aws_proxy_mode ok
	AWS_EC2_METADATA_DISABLED=false ok sign_k -v
	[[ $stderr == *'imds token: 200'*'imds role: 200'*'imds credentials: 200'* ]]
	[[ $(aws_proxy_stats '.access[0]') == '"ASIA'* ]]
	printf token >../web-token
	export AWS_WEB_IDENTITY_TOKEN_FILE=../web-token AWS_ROLE_ARN=arn:aws:iam::000000000000:role/web AWS_ENDPOINT_URL_STS=$MINISTACK_URL
	ok sign_k -v
	[[ $stderr == *'sts AssumeRole: 200'* ]]
	unset AWS_WEB_IDENTITY_TOKEN_FILE
	printf '[profile p]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = Role/With+Signs\n[sso-session s]\nsso_region = eu-west-1\n' \
		>"$AWS_CONFIG_FILE"
	export AWS_PROFILE=p AWS_ENDPOINT_URL_SSO=$PROXY_URL HOME=$BATS_TEST_TMPDIR
	fails 5 'aws sso login --profile p' sign_k
	mkdir -p "$HOME/.aws/sso/cache"
	cache=$HOME/.aws/sso/cache/$(printf s | sha1sum | cut -d' ' -f1).json
	printf '{"accessToken": "the-sso-token", "expiresAt": "2000-01-01T00:00:00Z"}' >"$cache"
	fails 5 'the login has expired' sign_k
	printf '{"accessToken": "the-sso-token", "expiresAt": "2099-01-01T00:00:00Z"}' >"$cache"
	aws_proxy_mode ok
	ok sign_k
	[ "$(aws_proxy_stats .access)" = '["ASIASSOSSOSSO"]' ]
	printf '[profile p]\nrole_arn = arn:aws:iam::000000000000:role/p\ncredential_source = EcsContainer\n' >"$AWS_CONFIG_FILE"
	fails 5 'there are no credentials in EcsContainer' sign_k
	AWS_CONTAINER_CREDENTIALS_FULL_URI=$PROXY_URL/creds AWS_CONTAINER_AUTHORIZATION_TOKEN=the-container-token ok sign_k -v
	[[ $stderr == *'container credentials: 200'*'sts AssumeRole: 200'* ]]
	AWS_PROFILE=nobody fails 3 'profile "nobody" is neither in' sign_k
	printf '[profile p]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = q\n[profile q]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = p\n' \
		>"$AWS_CONFIG_FILE"
	fails 2 'circle' sign_k
	printf 'nonsense\n' >"$AWS_CONFIG_FILE"
	fails 2 'aws-config:1' sign_k
}

@test "K3: the region and the endpoint: document, environment, profile; FIPS and dual stack" {
	new_pki
	ok lamassu kms engine add aws --type aws_kms --set max_attempts=1
	fails 2 'the region is not known' lamassu kms engine test aws --read-only
	export HTTPS_PROXY=http://127.0.0.1:1
	AWS_DEFAULT_REGION=eu-west-3 fails 6 'https://kms.eu-west-3.amazonaws.com: ' lamassu kms engine test aws --read-only
	AWS_DEFAULT_REGION=eu-west-3 AWS_REGION=cn-north-1 fails 6 'https://kms.cn-north-1.amazonaws.com.cn: ' lamassu kms engine test aws --read-only
	printf '[default]\nregion = us-gov-west-1\nuse_fips_endpoint = true\n' >"$AWS_CONFIG_FILE"
	fails 6 'https://kms-fips.us-gov-west-1.amazonaws.com: ' lamassu kms engine test aws --read-only
	AWS_USE_DUALSTACK_ENDPOINT=true fails 6 'https://kms-fips.us-gov-west-1.api.aws: ' lamassu kms engine test aws --read-only
	ok lamassu kms engine set aws region=eu-central-1 dual_stack=true
	printf '[default]\n' >"$AWS_CONFIG_FILE"
	fails 6 'https://kms.eu-central-1.api.aws: ' lamassu kms engine test aws --read-only
	printf '[default]\nservices = here\n[services here]\nkms =\n  endpoint_url = %s\n' "$MINISTACK_URL" >"$AWS_CONFIG_FILE"
	ok lamassu kms engine test aws --read-only
	AWS_ENDPOINT_URL_KMS=https://other.invalid fails 6 'https://other.invalid: ' lamassu kms engine test aws --read-only
	fails 2 'not the name of a region' lamassu kms engine set aws region=../evil
	AWS_REGION=../evil ok lamassu kms engine test aws --read-only
	ok lamassu kms engine add x --type aws_kms
	AWS_REGION=../evil fails 2 'not the name of a region' lamassu kms engine test x --read-only
}

@test "C13 K12: credentials that expire in mid-batch are fetched once more, for all signatures under way" {
	new_kms "$PROXY_URL"
	ok lamassu ca create root --key k --subject CN=Root --issuance-profile tls-client
	csr leaf
	mkdir ../req
	for i in {1..200}; do cp ../leaf.csr "../req/$i.csr"; done
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_CONTAINER_CREDENTIALS_FULL_URI=$PROXY_URL/creds AWS_CONTAINER_AUTHORIZATION_TOKEN=the-container-token
	aws_proxy_mode new 1000000 100
	ok lamassu ca sign root --csr ../req --out ../out
	[ "$(find ../out -name '*.pem' | wc -l)" = 200 ]
	[ "$(aws_proxy_stats '[.creds, .access]')" = '[2,["ASIAFIRST","ASIALATER"]]' ]
	# and when there are no better ones: what was signed is kept, the rest is told
	aws_proxy_mode expired
	fails 5 'the credentials from the container' lamassu kms key sign k --algorithm ECDSA_SHA_256 --in ../message --out ../sig -v
	[ "$(aws_proxy_stats .creds)" = 2 ]
	issued=$(issued)
	aws_proxy_mode hang 1000000 50
	ok lamassu kms engine set aws timeout=2s max_attempts=1
	fails 1 '' lamassu ca sign root --csr ../req --out ../out2
	[ $(($(issued) - issued)) = 50 ]
	[ "$(find ../out2 -name '*.pem' | wc -l)" = 50 ]
	sound
}

@test "C13: at least thirty signatures are under way at once, so that latency does not set the rate" {
	aws_proxy_start "$BATS_TEST_TMPDIR/far" "$MINISTACK_URL" --latency 0.1
	new_kms "$PROXY_URL"
	ok lamassu ca create root --key k --subject CN=Root --issuance-profile tls-client
	csr leaf
	mkdir ../req
	n=$((1000 / LAMASSU_SLOW))
	for ((i = 1; i <= n; i++)); do cp ../leaf.csr "../req/$i.csr"; done
	aws_proxy_mode ok
	start=$(date +%s%N)
	ok lamassu ca sign root --csr ../req --out ../out
	ms=$((($(date +%s%N) - start) / 1000000))
	stats=$(aws_proxy_stats)
	printf '# %s certificates in %s ms with 100 ms latency, %s at once\n' "$n" "$ms" "$(jq .most <<<"$stats")" >&3
	[ "$(jq .most <<<"$stats")" -ge 30 ]
	[ "$(jq .requests.Sign <<<"$stats")" = "$n" ]
	[ "$(find ../out -name '*.pem' | wc -l)" = "$n" ]
	openssl verify -partial_chain -trusted <(lamassu ca export root) ../out/1.pem
	server_stop "$PROXY_PID"
}

@test "K3 K12: no secret in messages, in the log of -v, in the repository or in arguments" {
	export AWS_SESSION_TOKEN=the-session-token-of-the-tests
	new_kms "$MICROBURST_URL"
	{
		microburst_rules '[{"service":"kms","error":{"code":"ExpiredTokenException","status":400}}]'
		sign_k -v
		microburst_rules '[{"service":"kms","operation":"Sign","error":{"code":"IncompleteSignature","status":400}}]'
		sign_k -v
		microburst_rules '[]'
		sign_k -v
		lamassu kms engine show aws -o json
		lamassu kms engine test aws --read-only -v
	} >../said 2>&1 || true
	grep -q 'kms Sign: 200' ../said
	no grep -rF -e "$AWS_SECRET_ACCESS_KEY" -e "$AWS_SESSION_TOKEN" -e 'Signature=' ../said .
}
