#!/usr/bin/env bats
# Secrets of devices in the store of an engine: HashiCorp Vault's KV store, against OpenBao.
load helpers
load est_helpers
load ../servers/openbao

setup_file() { openbao_start "$BATS_FILE_TMPDIR/bao"; }
teardown_file() { openbao_stop; }
setup() {
	est_pki && est_dms factory && L --repo pki kms engine add vault --type HASHICORP_VAULT_KV_V2 --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" \
		--set path="psk-$BATS_TEST_NUMBER" --set "token=\${BAO_TOKEN}" &&
		L --repo pki dms set factory 'settings.enrollment_settings.est_rfc7030_settings.authentication={type: psk, psk: {store: tls, engine: vault}}'
}
teardown() { est_stop; }

kept() { bao kv get -mount=secret -field=key "psk-$BATS_TEST_NUMBER/lamassu.psk.factory" | base64 -d; }
psk() { ok lamassu --repo pki device psk "$1" --dms factory "${@:2}"; }
enrols() { # enrols NAME KEY: with openssl alone; prints the status
	[ -e "$1.b64" ] || est_csr "$1"
	{ printf 'POST /.well-known/est/factory/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' \
		"$(wc -c <"$1.b64")"; cat "$1.b64"; } >http
	timeout 60 python3 "$BATS_TEST_DIRNAME/est_client.py" through http openssl s_client -connect "127.0.0.1:$EST_PORT" -psk_identity "$1" -psk "$2" -ign_eof >out || true
	tr -d '\r' <out | sed -n 's|^HTTP/1.1 \([0-9]*\) .*|\1|p'
}

@test "E9 E14 K1: secrets of devices are in Vault's KV store, and nowhere here" {
	psk dev-1 --generate --out one.secret
	printf '%s\n' "$(openssl rand -hex 16)" >two.secret
	psk dev-2 --passphrase-file two.secret
	[ "$(kept)" = "dev-1:$(cat one.secret)
dev-2:$(cat two.secret)" ]
	fails 2 'serve once' lamassu --repo pki device psk dev-3 --dms factory --generate --out no.secret --reusable
	fails 2 'cannot stand' lamassu --repo pki device psk a:b --dms factory --passphrase-file two.secret
	fails 2 'hexadecimal' lamassu --repo pki device psk dev-3 --dms factory --passphrase-file /dev/stdin <<<'correct horse battery'
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
}

@test "E9 K3 K11: a list of secrets is no key: it is neither listed nor encrypted anew; without the store nobody is served" {
	export LAMASSU_NEW_PASSPHRASE=another-passphrase
	ok lamassu --repo pki kms key create k --engine vault --key-type ecdsa:256
	psk dev-1 --generate --out one.secret
	kept >before
	ok lamassu --repo pki kms key list --all -o json
	[ "$(jq -r '[.list[] | select(.engine_id == "vault") | .name] | join(" ")' <<<"$output")" = k ]
	ok lamassu --repo pki kms engine passphrase vault
	kept | cmp - before
	export LAMASSU_PASSPHRASE=another-passphrase
	head -c 100 /dev/urandom >doc; ok lamassu --repo pki kms key sign k --algorithm ECDSA_SHA_256 --in doc --out sig
	est_start; [ "$(enrols dev-1 "$(cat one.secret)")" = 200 ]; est_stop
	BAO_TOKEN=wrong fails 5 'secrets of devices' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
	bao kv delete -mount=secret "psk-$BATS_TEST_NUMBER/lamassu.psk.factory" >/dev/null
	fails 3 'has no lamassu.psk.factory' lamassu --repo pki est-serve --listen 127.0.0.1:0 --timeout 9s
}
