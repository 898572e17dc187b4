#!/usr/bin/env bats
# Keys in HashiCorp Vault's KV store, against OpenBao.
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
load helpers
load ca_helpers
load engine_helpers
load ../servers/openbao

setup_file() {
	openbao_start "$BATS_FILE_TMPDIR/bao" && bao secrets enable transit >/dev/null
}

teardown_file() {
	openbao_stop
}

# new_engine ID [SETTING…]: keys in a folder of this test's own, by the root token unless the settings say otherwise
new_engine() {
	local id=$1 auth=(token='${BAO_TOKEN}') s args=()
	shift
	for s; do case $s in auth=* | role_id=* | token=*) auth=() ;; esac; done
	for s in "${auth[@]}" "$@"; do args+=(--set "$s"); done
	ok lamassu kms engine add "$id" --type HASHICORP_VAULT_KV_V2 --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" \
		--set path="test-$BATS_TEST_NUMBER" "${args[@]}"
}

@test "K1 K3 K4 K7 K8 C1 C2 C8 C12 C13: the list that every engine must pass, with keys in the KV store" {
	new_pki
	new_engine vault
	conformance vault
}

# new_transit ID [SETTING…]
new_transit() {
	local id=$1 s args=()
	shift
	for s in "token=\${BAO_TOKEN}" "$@"; do args+=(--set "$s"); done
	ok lamassu kms engine add "$id" --type HASHICORP_VAULT_TRANSIT --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" "${args[@]}"
}

@test "K1 K2 K4 K6 K7 K8 K12 C1 C2 C8 C12 C13: the list that every engine must pass, with keys in Transit" {
	new_pki
	new_transit transit
	conformance transit
	ok lamassu kms engine show transit -o json
	[ "$(jq -r .security_level <<<"$output")" = SL1 ]
}

# --- logins ---

# approle NAME [FIELD=VALUE…]: a role that may use this test's folder and Transit; its secret id in $SECRET_ID, its id in $role_id
approle() {
	local name=$1
	shift
	bao auth list | grep -q ^approle/ || bao auth enable approle >/dev/null 2>&1 || true
	bao policy write "$name" - >/dev/null <<-END || return 1
		path "secret/data/test-$BATS_TEST_NUMBER/*" { capabilities = ["create", "read", "update", "delete"] }
		path "secret/metadata/test-$BATS_TEST_NUMBER/*" { capabilities = ["read", "update", "delete", "list"] }
		path "secret/metadata/test-$BATS_TEST_NUMBER" { capabilities = ["list"] }
		path "secret/destroy/test-$BATS_TEST_NUMBER/*" { capabilities = ["update"] }
		path "transit/*" { capabilities = ["create", "read", "update", "delete", "list"] }
	END
	bao write "auth/approle/role/$name" token_policies="$name" "$@" >/dev/null || return 1
	role_id=$(bao read -field=role_id "auth/approle/role/$name/role-id")
	SECRET_ID=$(bao write -f -field=secret_id "auth/approle/role/$name/secret-id")
	export SECRET_ID
}

# a request for a certificate and an authority with its key in ENGINE
new_authority() { # new_authority ENGINE [ID]
	ok lamassu ca create "${2:-devices}" --engine "$1" --subject CN=Devices --key-type ecdsa:256 --validity 5y --issuance-profile iot-device
}

@test "K3 K12: AppRole over TLS; a wrong secret id is refused once, and nothing secret is shown or kept" {
	new_pki
	approle good
	new_engine vault role_id="$role_id" secret_id='${SECRET_ID}'
	ok lamassu -v kms key create k --engine vault --key-type ecdsa:256 --tag x
	[[ $stderr == *'log in: 200'* && $stderr == *'give back token: 204'* ]]
	ok lamassu -v kms key delete k --yes
	printf '%s\n%s\n' "$output" "$stderr" >said
	lamassu kms engine show vault >>said
	before=$(git rev-parse HEAD)
	real=$SECRET_ID
	SECRET_ID=00000000-1111-2222-3333-444444444444
	fails 5 'login by AppRole' lamassu -v kms key create k2 --engine vault --key-type ecdsa:256
	[[ $stderr == *'invalid role or secret ID'* ]]
	[ "$(grep -c 'log in: ' <<<"$stderr")" -eq 1 ]
	printf '%s\n' "$stderr" >>said
	unset SECRET_ID
	LAMASSU_LIBEXECDIR=/nonexistent ok lamassu kms engine list -o id # which opens no engine
	fails 5 'SECRET_ID is not set' lamassu kms key create k2 --engine vault --key-type ecdsa:256
	[ "$(git rev-parse HEAD)" = "$before" ]
	no grep -qF -e "$real" -e 00000000-1111 -e correct-horse said
	no grep -rqF -e "$real" -e correct-horse .git engines lamassu.yaml
}

@test "K3 K12: a response-wrapped secret id serves one login; a second one warns" {
	new_pki
	approle wrapped
	SECRET_ID=$(bao write -f -wrap-ttl=5m -field=wrapping_token auth/approle/role/wrapped/secret-id)
	new_engine vault role_id="$role_id" secret_id='${SECRET_ID}' secret_id_wrapped=true
	ok lamassu kms key create k --engine vault --key-type ed25519
	fails 5 'used already; if not by you' lamassu kms key create k2 --engine vault --key-type ed25519
	one_line
	[[ $stderr != *"$SECRET_ID"* ]]
}

@test "K3: login by TLS certificate" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout c.key -out c.pem -days 2 -subj /CN=lamassu \
		-addext extendedKeyUsage=clientAuth 2>/dev/null
	bao auth enable cert >/dev/null
	echo 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }' | bao policy write certs - >/dev/null
	bao write auth/cert/certs/lamassu display_name=l policies=certs certificate=@c.pem >/dev/null
	new_pki
	new_engine vault auth=cert cert_file="$PWD/../c.pem" key_file="$PWD/../c.key" role=lamassu
	ok lamassu kms key create k --engine vault --key-type ed25519
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../c.key -out ../c.pem -days 2 -subj /CN=other 2>/dev/null
	fails 5 'login by certificate' lamassu kms key create k2 --engine vault --key-type ed25519
	ok lamassu kms engine set vault cert_file=/nonexistent.pem
	fails 6 'https://' lamassu kms key create k2 --engine vault --key-type ed25519
}

@test "K3: login by Kubernetes service account, whose token is read anew for each login" {
	token_of() { # token_of UID: what such a token looks like; Kubernetes is asked whether it is genuine
		python3 -c 'import jwt, sys; print(jwt.encode({"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:pki:lamassu",
			"kubernetes.io/serviceaccount/namespace": "pki", "kubernetes.io/serviceaccount/service-account.name": "lamassu",
			"kubernetes.io/serviceaccount/service-account.uid": sys.argv[1]}, open("k8s.key").read(), algorithm="ES256"))' "$1"
	}
	port=$(openbao_port)
	openssl ecparam -name prime256v1 -genkey -noout -out k8s.key
	token_of 4711 >jwt
	python3 "$BATS_TEST_DIRNAME/../servers/tokenreview.py" "$port" "$(<jwt)" 3>&- &
	reviewer=$!
	bao auth enable kubernetes >/dev/null
	bao write auth/kubernetes/config kubernetes_host="http://127.0.0.1:$port" disable_local_ca_jwt=true kubernetes_ca_cert=@"$BAO_CACERT" token_reviewer_jwt="$(<jwt)" >/dev/null
	echo 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }' | bao policy write pods - >/dev/null
	bao write auth/kubernetes/role/pki bound_service_account_names=lamassu bound_service_account_namespaces=pki policies=pods ttl=1h >/dev/null
	new_pki
	new_engine vault auth=kubernetes role=pki jwt="file:$PWD/../jwt"
	ok lamassu -v kms key create k --engine vault --key-type ed25519
	[[ $stderr == *'log in: 200'* ]]
	(cd .. && token_of 1 >jwt)
	fails 5 'login by Kubernetes' lamassu kms key create k2 --engine vault --key-type ed25519
	[[ $stderr != *"$(<../jwt)"* ]]
	rm ../jwt
	fails 3 'jwt' lamassu kms key create k2 --engine vault --key-type ed25519
	kill "$reviewer"
}

@test "K3: namespaces, and Vault's own variables where the document says nothing" {
	bao namespace create "team" >/dev/null
	bao secrets enable -namespace=team -path=keys -version=2 kv >/dev/null
	TOKEN=$(bao token create -namespace=team -policy=root -field=token 2>/dev/null || echo root)
	export TOKEN
	new_pki
	new_engine vault token='${TOKEN}' namespace=team mount_path=keys
	ok lamassu kms key create k --engine vault --key-type ed25519 -o id
	bao kv get -namespace=team -mount=keys "test-$BATS_TEST_NUMBER/$output" >/dev/null
	ok lamassu kms engine add env --type HASHICORP_VAULT_KV_V2 --set mount_path=keys --set path=env
	fails 2 'address: must be given' env -u BAO_ADDR "$LAMASSU" kms key create k2 --engine env --key-type ed25519
	ok env -u BAO_ADDR -u BAO_TOKEN -u BAO_CACERT VAULT_ADDR="$BAO_ADDR" VAULT_TOKEN="$TOKEN" VAULT_CACERT="$BAO_CACERT" VAULT_NAMESPACE=team/ \
		"$LAMASSU" kms key create k2 --engine env --key-type ed25519
	fails 5 'permission denied' env VAULT_TOKEN=s.wrong VAULT_NAMESPACE=team "$LAMASSU" kms key create k3 --engine env --key-type ed25519
	[[ $stderr != *s.wrong* ]]
}

@test "K3: addresses as URL and in pieces; nothing but verified https" {
	new_pki
	port=${BAO_ADDR##*:}
	printf '{"id": "v", "type": "hashicorp_vault", "token": "${BAO_TOKEN}", "path": "pieces", "address": {"host": "127.0.0.1", "port": %s, "protocol": "https", "TLS": {"ca_cert_file": "%s"}}}' \
		"$port" "$BAO_CACERT" >v.json
	printf 'crypto_engines:\n  hashicorp_vault:\n    - {id: w, token: "${BAO_TOKEN}", path: pieces, hostname: 127.0.0.1, port: %s, protocol: https, ca_cert_file: %s}\n' \
		"$port" "$BAO_CACERT" >w.yaml
	ok lamassu kms engine add -f v.json
	ok lamassu kms engine add -f w.yaml
	ok lamassu kms key create k --engine v --key-type ed25519
	ok lamassu kms key create k2 --engine w --key-type ed25519
	for bad in http://vault.example.org:8200 ftp://x https://user:pw@127.0.0.1 'https://127.0.0.1/?q' https:// 'https://a b'; do
		ok lamassu kms engine set v address="$bad"
		fails 2 address lamassu kms key create k3 --engine v --key-type ed25519
	done
	ok lamassu kms engine set v address="$BAO_ADDR" insecure_skip_verify=true
	fails 2 'always verified' lamassu kms key create k3 --engine v --key-type ed25519
	fails 2 'reference' lamassu kms engine set v token=s.plain
}

# --- bad days ---

@test "K12: tokens that end in the middle of work are renewed or got anew" {
	new_pki
	approle short token_num_uses=70
	new_transit transit role_id="$role_id" secret_id='${SECRET_ID}' auth=approle
	new_authority transit
	many_csrs 300 ../reqs
	ok lamassu -v ca sign devices --csr ../reqs --out ../certs
	[ "$(find ../certs -name '*.pem' | wc -l)" -eq 300 ]
	[ "$(grep -c 'log in: 200' <<<"$stderr")" -ge 4 ]
	# the passphrase takes longer than the token lives
	git config lamassu.allowCommands true
	approle brief token_ttl=1s token_max_ttl=2s
	new_engine vault role_id="$role_id" secret_id='${SECRET_ID}' passphrase='command:sh -c "sleep 2.5; echo battery-staple"'
	ok lamassu -v kms key create k --engine vault --key-type ed25519
	[ "$(grep -c 'log in: 200' <<<"$stderr")" -ge 2 ]
	# a token that was given cannot be got anew
	EXPIRED=$(bao token create -ttl=1s -field=token)
	export EXPIRED
	new_engine given token='${EXPIRED}' passphrase='command:sh -c "sleep 2; echo battery-staple"'
	fails 5 'the token has expired, or its policy' lamassu kms key create k2 --engine given --key-type ed25519
	[[ $stderr != *"$EXPIRED"* ]]
	# one that can be renewed is
	new_engine first path="kept-$BATS_TEST_NUMBER"
	ok lamassu kms key create k3 --engine first --key-type ed25519
	ok lamassu kms engine passphrase first --generate --out ../generated # which is not stretched: time is what is tested
	local times=$((${LAMASSU_SLOW:-1} > 1 ? 2 : 1)) # renewed after two thirds of its time, with room for a slow program in the last
	RENEWABLE=$(bao token create -period=$((9 * times))s -field=token)
	export RENEWABLE
	new_engine kept path="kept-$BATS_TEST_NUMBER" token='${RENEWABLE}' passphrase="command:sh -c 'sleep $((6 * times)).2; cat ../generated'"
	ok lamassu -v kms key create k4 --engine kept --key-type ed25519
	[[ $stderr == *'renew token: 200'* ]]
}

@test "K12: a policy that does not allow signing costs a batch one more login, not one for each request" {
	new_pki
	approle willing
	new_transit transit role_id="$role_id" secret_id='${SECRET_ID}' auth=approle
	new_authority transit
	many_csrs 80 ../reqs
	printf 'path "transit/keys/*" { capabilities = ["read"] }' | bao policy write willing - >/dev/null
	before=$(tips)
	status=0
	lamassu -v ca sign devices --csr ../reqs --out ../certs >../list 2>../said || status=$?
	[ "$status" -ne 0 ]
	[ "$(grep -c 'log in: 200' ../said)" -eq 2 ]
	grep -q 'permission denied: the policies of the login do not allow this' ../said
	[ "$(tips)" = "$before" ]
	[ -z "$(find ../certs -name '*.pem')" ]
	sound
}

@test "K12: a policy that denies, another authority's certificate, a mount that is not there or of version 1" {
	new_pki
	before=$(tips)
	echo "path \"secret/data/test-$BATS_TEST_NUMBER/*\" { capabilities = [\"read\"] }" | bao policy write reader - >/dev/null
	READER=$(bao token create -policy=reader -field=token)
	export READER
	new_engine vault token='${READER}'
	before=$(tips)
	fails 5 'permission denied' lamassu kms key create k --engine vault --key-type ed25519
	[[ $stderr == *"secret/data/test-$BATS_TEST_NUMBER/lamassu.seal"* ]]
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../ca.key -out ../ca.pem -days 2 -subj /CN=other 2>/dev/null
	new_engine stranger ca_file="$PWD/../ca.pem"
	before=$(tips)
	fails 6 'https://127.0.0.1' lamassu kms key create k --engine stranger --key-type ed25519
	[[ $stderr == *certificate* ]]
	new_engine system ca_file=/etc/ssl/certs/ca-certificates.crt
	new_engine lost address=https://no-such-host.invalid:8200
	new_engine nowhere mount_path=nowhere
	bao secrets enable -path=old -version=1 kv >/dev/null
	new_engine old mount_path=old
	before=$(tips)
	fails 6 'https://127.0.0.1' lamassu kms key create k --engine system --key-type ed25519
	fails 6 'resolve' lamassu kms key create k --engine lost --key-type ed25519
	one_line
	fails 6 'nothing is mounted' lamassu kms key create k --engine nowhere --key-type ed25519
	fails 6 'KV store of version 2' lamassu kms key create k --engine old --key-type ed25519
	[ "$(tips)" = "$before" ]
	[ -z "$(bao kv list -mount=old / 2>/dev/null)" ]
}

@test "K12: quotas are waited for; a server that hangs, is away or says nonsense is not" {
	new_pki
	bao secrets enable -path=slow transit >/dev/null
	bao write sys/quotas/rate-limit/slow path=slow rate=5 interval=1s >/dev/null
	new_transit transit mount_path=slow
	new_authority transit
	many_csrs 8 ../reqs
	ok lamassu -v ca sign devices --csr ../reqs --out ../certs
	[ "$(find ../certs -name '*.pem' | wc -l)" -eq 8 ]
	[[ $stderr == *': 429 in '* ]]
	before=$(tips)
	port=$(openbao_port)
	ok lamassu kms engine set transit address="https://127.0.0.1:$port" timeout=2s
	new_csr ../one
	fails 6 "https://127.0.0.1:$port" lamassu ca sign devices --csr ../one.csr
	[[ $stderr == *'onnect'* ]]
	python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(16); time.sleep(60)' "$port" 3>&- &
	hung=$!
	sleep 0.3
	start=$SECONDS
	fails 6 "https://127.0.0.1:$port" lamassu ca sign devices --csr ../one.csr
	[ "$((SECONDS - start))" -le 15 ]
	kill "$hung"
	wait "$hung" || true
	python3 -m http.server --bind 127.0.0.1 "$port" >/dev/null 2>&1 3>&- &
	hung=$!
	for _ in 1 2 3 4 5 6 7 8 9; do curl -s "http://127.0.0.1:$port" >/dev/null && break; sleep 0.2; done
	ok lamassu kms engine set transit address="http://127.0.0.1:$port"
	fails 6 "http://127.0.0.1:$port" lamassu ca sign devices --csr ../one.csr
	kill "$hung"
	[ "$(git rev-parse ledger)" = "$(cut -d' ' -f2 <<<"$(grep ledger <<<"$before")")" ]
}

@test "C13 K12: a server that is sealed in the middle of a batch, restarted, unsealed: what was signed stays, the rest follows" {
	openbao_start_file "$PWD/server"
	bao secrets enable transit >/dev/null
	new_pki
	new_transit transit
	new_authority transit
	many_csrs 120 ../reqs
	bao write sys/quotas/rate-limit/slow path=transit rate=30 interval=1s >/dev/null # so that there is a middle
	lamassu -v ca sign devices --csr ../reqs --out ../certs >../said 2>&1 &
	job=$!
	for ((i = 0; i < 500; i++)); do [ "$(grep -c 'transit sign: 200' ../said)" -ge 20 ] && break; sleep 0.02; done
	bao operator seal >/dev/null
	status=0
	wait "$job" || status=$?
	n=$(find ../certs -name '*.pem' | wc -l)
	echo "exit $status, $n certificates"
	[ "$n" -lt 120 ]
	[ "$n" -ge 20 ]
	[ "$status" -ne 0 ]
	grep -q 'the server is sealed' ../said
	[ "$(issued)" -ge "$n" ]
	new_csr ../one
	fails 6 'the server is sealed' lamassu ca sign devices --csr ../one.csr
	one_line
	openbao_stop
	fails 6 'https://127.0.0.1' lamassu ca sign devices --csr ../one.csr
	openbao_start_file "$BATS_TEST_TMPDIR/server"
	bao delete sys/quotas/rate-limit/slow >/dev/null
	ok lamassu ca sign devices --csr ../reqs --out ../certs
	[ "$(find ../certs -name '*.pem' | wc -l)" -eq 120 ]
	ok lamassu repo verify
	openbao_stop
}

@test "K11: two writers make one seal; another clone opens the keys with the passphrase alone" {
	new_pki
	new_engine vault
	git clone -q . ../other
	lamassu kms key create k1 --engine vault --key-type ed25519 >../said1 2>&1 &
	one=$!
	(cd ../other && lamassu kms key create k2 --engine vault --key-type ed25519 >../said2 2>&1) &
	two=$!
	wait "$one" && wait "$two" || { cat ../said1 ../said2; return 1; }
	[ "$(bao kv metadata get -format=json -mount=secret "test-$BATS_TEST_NUMBER/lamassu.seal" | jq .data.current_version)" -eq 1 ]
	echo text >../text
	ok lamassu kms key sign k1 --in ../text
	(cd ../other && ok lamassu kms key sign k2 --in ../text)
	git clone -q . ../third
	(cd ../third && ok lamassu kms key sign k1 --in ../text)
	(cd ../third && LAMASSU_PASSPHRASE=wrong fails 5 'wrong passphrase' lamassu kms key sign k1 --in ../text)
	# a change of the passphrase holds for all of them, and nothing of the old one stays readable
	LAMASSU_NEW_PASSPHRASE=battery-staple ok lamassu kms engine passphrase vault
	fails 5 'wrong passphrase' lamassu kms key sign k1 --in ../text
	(cd ../other && fails 5 'wrong passphrase' lamassu kms key sign k2 --in ../text)
	(cd ../other && LAMASSU_PASSPHRASE=battery-staple ok lamassu kms key sign k2 --in ../text)
	id=$(lamassu kms key show k1 -o id)
	bao kv metadata get -format=json -mount=secret "test-$BATS_TEST_NUMBER/$id" >../meta
	[ "$(jq -c '[.data.versions[].destroyed]' ../meta)" = '[true,false]' ]
	[ "$(bao kv list -mount=secret -format=json "test-$BATS_TEST_NUMBER" | jq length)" -eq 3 ]
	# two changes at once: one of them holds
	export LAMASSU_PASSPHRASE=battery-staple
	LAMASSU_NEW_PASSPHRASE=first-new lamassu kms engine passphrase vault >../said1 2>&1 &
	one=$!
	(cd ../other && LAMASSU_NEW_PASSPHRASE=second-new lamassu kms engine passphrase vault >../said2 2>&1) &
	two=$!
	s1=0 s2=0
	wait "$one" || s1=$?
	wait "$two" || s2=$?
	opens=0
	for p in battery-staple first-new second-new; do
		LAMASSU_PASSPHRASE=$p lamassu kms key sign k1 --in ../text >/dev/null 2>&1 && opens=$((opens + 1)) good=$p
	done
	[ "$opens" -eq 1 ] && [ "$good" != battery-staple ]
	(cd ../other && LAMASSU_PASSPHRASE=$good ok lamassu kms key sign k2 --in ../text)
	[ "$(bao kv list -mount=secret -format=json "test-$BATS_TEST_NUMBER" | jq length)" -eq 3 ]
}

@test "K11: a change of passphrase killed at any moment leaves one passphrase that opens every key, and at last nothing else" {
	new_pki
	bao secrets enable -path=killed -version=2 kv >/dev/null
	new_engine vault mount_path=killed
	for k in a b c; do ok lamassu kms key create "$k" --engine vault --key-type ed25519; done
	echo text >../text
	opens() { for k in a b c; do LAMASSU_PASSPHRASE=$1 lamassu kms key sign "$k" --in ../text >/dev/null 2>&1 || return 1; done; }
	p=correct-horse
	for calls in 6 9 12 15 18 21; do
		# killed after so many answers of the server
		coproc change { LAMASSU_PASSPHRASE=$p LAMASSU_NEW_PASSPHRASE=new-$calls exec "$LAMASSU" -v kms engine passphrase vault 2>&1; }
		pid=$change_PID
		for ((i = 0; i < calls; i++)); do read -r line <&"${change[0]}" || break; done
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		n=0 good=
		for try in "$p" "new-$calls"; do if opens "$try"; then n=$((n + 1)) good=$try; fi; done
		echo "killed after $calls: $n, $good"
		[ "$n" -eq 1 ]
		p=$good
	done
	LAMASSU_PASSPHRASE=$p LAMASSU_NEW_PASSPHRASE=last-one ok lamassu kms engine passphrase vault
	opens last-one
	[ "$(bao kv list -mount=killed -format=json "test-$BATS_TEST_NUMBER" | jq length)" -eq 4 ]
}

@test "K7 K11: keys as LAMASSU IoT keeps them are read; encrypted unless asked otherwise; deleted for good or not" {
	new_pki
	new_engine vault
	ok lamassu kms key create k --engine vault --key-type ecdsa:256 -o id
	id=$output at=secret/data/test-$BATS_TEST_NUMBER
	bao kv metadata patch -mount=secret -cas-required=false "test-$BATS_TEST_NUMBER/$id" >/dev/null
	echo text >../text
	bao read -format=json "$at/$id" | jq -r .data.data.key | base64 -d >../k.pem
	grep -q 'BEGIN ENCRYPTED PRIVATE KEY' ../k.pem
	for form in '' -aes256 '-traditional -aes256'; do
		# shellcheck disable=SC2086 # nothing when empty
		openssl pkey -in ../k.pem -passin pass:correct-horse $form ${form:+-passout pass:correct-horse} -out ../form.pem
		bao kv put -mount=secret "test-$BATS_TEST_NUMBER/$id" key="$(base64 -w0 ../form.pem)" >/dev/null
		ok lamassu kms key sign k --in ../text --out ../sig
		ok lamassu kms key verify k --in ../text --signature ../sig
	done
	bao kv put -mount=secret "test-$BATS_TEST_NUMBER/$id" key=nonsense, >/dev/null
	fails 6 'not base64' lamassu kms key sign k --in ../text
	bao kv delete -mount=secret "test-$BATS_TEST_NUMBER/$id" >/dev/null
	fails 3 'was deleted' lamassu kms key sign k --in ../text
	bao kv put -mount=secret "test-$BATS_TEST_NUMBER/$id" key="$(openssl genpkey -algorithm ed25519 | base64 -w0)" >/dev/null
	fails 5 'does not match' lamassu kms key sign k --in ../text
	ok lamassu kms key delete k --yes
	no bao kv metadata get -mount=secret "test-$BATS_TEST_NUMBER/$id" 2>/dev/null
	new_engine plain unencrypted=true delete_mode=soft path="plain-$BATS_TEST_NUMBER"
	ok env -u LAMASSU_PASSPHRASE "$LAMASSU" kms key create p --engine plain --key-type ecdsa:256 -o id
	id=$output
	bao kv get -field=key -mount=secret "plain-$BATS_TEST_NUMBER/$id" | base64 -d | openssl pkey -noout
	ok lamassu kms key delete p --yes
	bao kv undelete -mount=secret -versions=1 "plain-$BATS_TEST_NUMBER/$id" >/dev/null
	bao kv get -mount=secret "plain-$BATS_TEST_NUMBER/$id" >/dev/null
}

@test "K12: a Transit key that was rotated signs as before; one that was deleted, or that a record misnames, is refused" {
	new_pki
	new_transit transit
	ok lamassu kms key create k --engine transit --key-type ecdsa:256 -o json
	name=$(jq -r .handle <<<"$output") && name=${name%:1}
	bao write -f "transit/keys/$name/rotate" >/dev/null
	echo text >../text
	ok lamassu kms key sign k --in ../text --out ../sig
	ok lamassu kms key verify k --in ../text --signature ../sig
	ok lamassu kms key delete k --yes
	[[ $stderr == *'stays in the engine'*'other versions'* ]]
	ok lamassu kms key create k2 --engine transit --key-type ecdsa:256 -o json
	name=$(jq -r .handle <<<"$output") && name=${name%:1}
	bao write "transit/keys/$name/config" deletion_allowed=true >/dev/null
	bao delete "transit/keys/$name" >/dev/null
	fails 3 '' lamassu kms key sign k2 --in ../text
	for bad in ../../sys/seal:1 "$name" "$name:0" "$name:x" :1 a/b:1; do
		id=$(lamassu kms key show k2 -o id)
		sed -i "s|^handle: .*|handle: '$bad'|" "keys/$id.yaml"
		git -c user.name=x -c user.email=x@example.org commit -qam "change handle"
		fails 2 'is not the name of a key' lamassu kms key sign k2 --in ../text
	done
}

@test "K2 K4: the seal as the server reports it; a sealed server is named, or unsealed with shares where that was asked for" {
	openbao_start_file "$PWD/server"
	share=$(<server/share)
	new_pki
	new_engine vault
	ok lamassu kms engine show vault -o json
	[ "$(jq -c '[.security_level, .reported.sealed, .reported.standby, .reported.seal, .reported.auto_unseal_enabled]' <<<"$output")" = \
		'["SL0",false,false,"shamir",false]' ]
	ok lamassu kms engine set vault auto_unseal_enabled=true
	ok lamassu kms engine show vault -o json
	[ "$(jq -r .security_level <<<"$output")" = SL1 ]
	[[ $stderr == *'does not unseal itself'* ]]
	bao operator seal >/dev/null
	ok lamassu kms engine show vault -o json
	[ "$(jq .reported.sealed <<<"$output")" = true ]
	fails 6 'the server is sealed' lamassu kms key create k --engine vault --key-type ed25519
	printf '%s\n' "$share" >../share
	printf '{"id": "opened", "type": "HASHICORP_VAULT_KV_V2", "address": "%s", "ca_file": "%s", "token": "${BAO_TOKEN}", "auto_unseal_keys": ["file:%s"]}' \
		"$BAO_ADDR" "$BAO_CACERT" "$PWD/../share" >opened.json
	ok lamassu kms engine add -f opened.json
	ok lamassu -v kms key create k --engine opened --key-type ed25519
	[[ $stderr == *'unseal: 200'* && $stderr != *"$share"* ]]
	openbao_stop
}

@test "K2: a server that unseals itself" {
	mkdir server
	head -c 32 /dev/urandom >server/key
	openbao_start_file "$PWD/server" "seal \"static\" { current_key_id = \"a\"
current_key = \"file://$PWD/server/key\" }"
	new_pki
	new_engine vault auto_unseal_enabled=true
	ok lamassu kms key create k --engine vault --key-type ed25519 -o json
	[ "$(jq -r .security_level <<<"$output")" = SL1 ]
	ok lamassu kms engine show vault -o json
	[ "$(jq -c '[.reported.seal, .reported.auto_unseal_enabled]' <<<"$output")" = '["static",true]' ]
	[[ $stderr != *'does not unseal itself'* ]]
	openbao_stop
}

@test "K5 K7: names are shown in the server; keys that others put there are found and adopted" {
	new_pki
	new_engine vault
	ok lamassu kms key create k --engine vault --key-type ecdsa:256 --tag blue -o id
	at=test-$BATS_TEST_NUMBER/$output
	bao kv metadata patch -mount=secret -custom-metadata=owner=me "$at" >/dev/null
	ok lamassu kms key alias k now
	ok lamassu kms key tag k green
	bao kv metadata get -format=json -mount=secret "$at" >../meta
	[ "$(jq -c '[.data.custom_metadata.name, .data.custom_metadata.aliases, .data.custom_metadata.tags, .data.custom_metadata.owner]' ../meta)" = \
		'["k","now","blue, green","me"]' ]
	no bao kv put -mount=secret "$at" key=overwritten >/dev/null 2>&1
	openssl genpkey -algorithm ed25519 -out ../theirs.pem
	openssl pkey -in ../theirs.pem -pubout -out ../theirs.pub
	bao kv put -mount=secret "test-$BATS_TEST_NUMBER/theirs" key="$(base64 -w0 ../theirs.pem)" >/dev/null
	bao kv put -mount=secret "test-$BATS_TEST_NUMBER/password" password=geheim >/dev/null
	ok lamassu kms key list --all -o json
	[ "$(jq -r '[.list[].name] | sort | join(" ")' <<<"$output")" = 'k theirs' ]
	ok lamassu kms key import vault:theirs -o id
	[ "$output" = "$(key_id ../theirs.pub)" ]
	bao write -f transit/keys/ours type=ecdsa-p384 >/dev/null
	bao write -f transit/keys/cipher type=aes256-gcm96 >/dev/null
	new_transit transit
	ok lamassu kms key import transit:ours -o json
	[ "$(jq -r .handle <<<"$output")" = ours:1 ]
	fails 1 'signs nothing' lamassu kms key import transit:cipher
	fails 3 'not found' lamassu kms key import transit:nobody
	ok lamassu kms key show ours -o json
	[ "$(jq -r .state <<<"$output")" = usable ]
}
