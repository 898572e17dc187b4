# What the tests of AWS's engines share. Load it after helpers.
load ../servers/server
load ../servers/ministack
load ../servers/moto
load ../servers/microburst
load ../servers/aws_proxy

# Nothing of the machine's own AWS settings, and no machine that could have a role.
aws_nothing() {
	local name
	for name in $(compgen -e AWS_); do unset "$name"; done
	unset HTTP_PROXY http_proxy HTTPS_PROXY https_proxy ALL_PROXY all_proxy
	export AWS_EC2_METADATA_DISABLED=true HOME=$BATS_FILE_TMPDIR
	export AWS_CONFIG_FILE=$BATS_TEST_TMPDIR/aws-config AWS_SHARED_CREDENTIALS_FILE=$BATS_TEST_TMPDIR/aws-credentials
}

aws_keys() { export AWS_ACCESS_KEY_ID=AKIATESTTESTTEST AWS_SECRET_ACCESS_KEY=the/Secret+Of/The+Tests0123456789abcdefgh; }

# aws_kms ID URL [SETTING…], aws_sm ID URL [SETTING…]: an engine
aws_kms() { ok lamassu kms engine add "$1" --type aws_kms --set region=eu-west-1 --set endpoint_url="$2" "${@:3}"; }
aws_sm() { ok lamassu kms engine add "$1" --type aws_secrets_manager --set region=eu-west-1 --set endpoint_url="$2" "${@:3}"; }

# aws_api URL TARGET JSON: a request that is not signed; ministack does not mind.
aws_api() {
	curl -sS --noproxy '*' -X POST "$1/" -H "X-Amz-Target: $2" -H 'Content-Type: application/x-amz-json-1.1' \
		-H 'Authorization: AWS4-HMAC-SHA256 Credential=AKIATESTTESTTEST/20260101/eu-west-1/kms/aws4_request, SignedHeaders=host, Signature=0' -d "$3"
}
