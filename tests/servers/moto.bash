# moto: checks the signature of every request with botocore. Load server first.
#
#	moto_start DIR        sets MOTO_URL, MOTO_PID, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY of a user who may do all.
#	moto_call OPTIONS…    a signed call of IAM or another service: moto_call iam create_user UserName=x
moto_start() {
	local port
	mkdir -p "$1" && port=$(server_port) || return 1
	INITIAL_NO_AUTH_ACTION_COUNT=3 moto_server -H 127.0.0.1 -p "$port" >"$1/moto.log" 2>&1 3>&- &
	MOTO_PID=$! MOTO_URL=http://127.0.0.1:$port
	server_wait "$MOTO_URL/moto-api/" "$1/moto.log" || return 1
	moto_call iam create_user UserName=admin >/dev/null &&
		moto_call iam put_user_policy UserName=admin PolicyName=all \
			'PolicyDocument={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}' >/dev/null &&
		read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY < <(moto_call iam create_access_key UserName=admin |
			jq -r '.AccessKey | .AccessKeyId + " " + .SecretAccessKey') || return 1
	export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
}

moto_call() {
	AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-none} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-none} AWS_ENDPOINT_URL=$MOTO_URL \
		python3 - "$@" <<-'END'
		import json, sys
		import boto3
		service, operation, *pairs = sys.argv[1:]
		call = getattr(boto3.client(service, region_name="eu-west-1"), operation)
		answer = call(**{k: json.loads(v) if v[:1] in "[0123456789" else v for k, v in (p.split("=", 1) for p in pairs)})
		json.dump(answer, sys.stdout, default=str)
	END
}
