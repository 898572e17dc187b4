#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Secrets of devices in the store of an engine: AWS Secrets Manager, against moto, which checks the signature of each request.
load helpers
load est_helpers
load aws_helpers

setup() {
	aws_nothing && aws_keys && moto_start "$BATS_TEST_TMPDIR/moto" && est_pki && est_dms factory && cd pki && aws_sm sm "$MOTO_URL" && cd .. &&
		L --repo pki dms set factory 'settings.enrollment_settings.est_rfc7030_settings.authentication={type: psk, psk: {store: tls, engine: sm}}'
}
teardown() { est_stop; server_stop ${MOTO_PID:+"$MOTO_PID"}; }

NAME=lamassu/lamassu.psk.factory # after the engine's own prefix
kept() { moto_call secretsmanager get_secret_value SecretId="$NAME" VersionStage=AWSCURRENT | jq -r .SecretString | jq -r .key | base64 -d; }
psk() { ok lamassu --repo pki device psk "$1" --dms factory "${@:2}"; }
enrols() { # enrols NAME KEY: with openssl alone; prints the status
	[ -e "$1.b64" ] || est_csr "$1"
	{ printf 'POST /.well-known/est/factory/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' \
		"$(wc -c <"$1.b64")"; cat "$1.b64"; } >http
	timeout 60 python3 "$BATS_TEST_DIRNAME/est_client.py" through http openssl s_client -connect "127.0.0.1:$EST_PORT" -psk_identity "$1" -psk "$2" -ign_eof >out || true
	tr -d '\r' <out | sed -n 's|^HTTP/1.1 \([0-9]*\) .*|\1|p'
}

@test "E9 E14 K1: secrets of devices are in Secrets Manager, and nowhere here; without the store nobody is served" {
	psk dev-1 --generate --out one.secret
	printf '%s\n' "$(openssl rand -hex 16)" >two.secret
	psk dev-2 --passphrase-file two.secret
	[ "$(kept)" = "dev-1:$(cat one.secret)
dev-2:$(cat two.secret)" ]
	fails 2 'serve once' lamassu --repo pki device psk dev-3 --dms factory --generate --out no.secret --reusable
	ok lamassu --repo pki --dry-run device psk dev-3 --dms factory --passphrase-file two.secret
	[ "$(kept | wc -l)" = 2 ] && [ ! -e no.secret ]
	est_start
	[ "$(enrols dev-1 "$(cat two.secret)")" = '' ]
	[ "$(enrols dev-1 "$(cat one.secret)")" = 200 ]
	[ "$(enrols dev-2 "$(cat two.secret)")" = 200 ]
	rm dev-1.*; [ "$(enrols dev-1 "$(cat one.secret)")" = 401 ]
	est_stop
	# made anew, and removed
	L --repo pki dms set factory settings.enrollment_settings.enable_replaceable_enrollment=true
	psk dev-1 --generate --out again.secret
	psk dev-2 --remove
	[ "$(kept)" = "dev-1:$(cat again.secret)" ]
	fails 3 'shares no secret' lamassu --repo pki device psk dev-2 --dms factory --remove
	est_start
	rm dev-2.*; [ "$(enrols dev-2 "$(cat two.secret)")" = '' ]
	[ "$(enrols dev-1 "$(cat again.secret)")" = 200 ]
	est_stop
	for s in *.secret; do no grep -rqF "$(cat "$s")" pki err sum; done
	[ -z "$(git -C pki status --porcelain)" ]
	# a list is no key; what the service refuses, or has not, stops the listener before it serves
	ok lamassu --repo pki kms key list --all -o json
	[ "$(jq -r '[.list[] | select(.engine_id == "sm")] | length' <<<"$output")" = 0 ]
	AWS_SECRET_ACCESS_KEY=wrong fails 5 'secrets of devices' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
	[[ $stderr == *SignatureDoesNotMatch* ]]
	moto_call secretsmanager delete_secret SecretId="$NAME" >/dev/null
	fails 3 'lamassu.psk.factory' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
}

@test "E9 K11: two machines that change the list at once: nothing of either is lost" {
	psk dev-0 --generate --out 0.secret
	git clone -q pki other && mkdir -p other/.git/lamassu && cp -a pki/.git/lamassu/keys other/.git/lamassu/
	for i in 1 2 3; do
		(lamassu --repo other device psk "other-$i" --dms factory --generate --out "other-$i.secret" 2>>other.said || echo "other-$i" >>lost) &
		lamassu --repo pki device psk "here-$i" --dms factory --generate --out "here-$i.secret" 2>>here.said || echo "here-$i" >>lost
		wait $!
	done
	cat ./*.said
	no grep -vh -e 'shares a secret with dms factory' -e 'was changed at the same time by somebody else' ./*.said
	kept >list
	touch lost
	for i in 1 2 3; do for n in here other; do grep -qx "$n-$i" lost || grep -qx "$n-$i:$(cat "$n-$i.secret")" list; done; done
	[ "$(wc -l <list)" -eq "$((7 - $(wc -l <lost)))" ]
}
