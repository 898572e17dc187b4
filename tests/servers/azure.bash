# The Azure fixture (azure_fixture.py) as a server of tests: azure_start in setup_file, azure_stop in teardown_file. It is the vault
# v1.vault.azure.net, Entra and the identity services of a machine at once. Values are those of the fixture.
export AZURE_TENANT=11111111-2222-3333-4444-555555555555 AZURE_APP=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
export AZURE_CERT_APP=bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee AZURE_WORKLOAD_APP=cccccccc-bbbb-cccc-dddd-eeeeeeeeeeee
export AZURE_SECRET='s3cr3t~of+the/application=&%' AZURE_IDENTITY_HEADER=h3ader-0f-the-app-service

# azure_certificates DIR: an authority of the test's own, the server's certificate, and that of an application
azure_certificates() {
	(
		cd "$1" || exit 1
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj "/CN=Test of servers" -days 2 \
			-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj "/CN=vault"
		openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -days 2 -out server.crt \
			-extfile <(echo 'subjectAltName=DNS:*.vault.azure.net,DNS:localhost')
		openssl req -x509 -newkey rsa:2048 -nodes -keyout client.key -out client.crt -subj "/CN=application" -days 2
		cat client.key client.crt >client.pem
		openssl pkcs12 -export -inkey client.key -in client.crt -out client.p12 -passout pass:bag-pass
		echo federated-token-of-the-cluster >federated
	) >/dev/null 2>&1
}

azure_start() {
	export AZURE_DIR=${1:-$BATS_FILE_TMPDIR/azure}
	mkdir -p "$AZURE_DIR" && azure_certificates "$AZURE_DIR" || return 1
	python3 "${BASH_SOURCE[0]%/*}/azure_fixture.py" "$AZURE_DIR" "$AZURE_DIR/server.crt" "$AZURE_DIR/server.key" \
		>"$AZURE_DIR/out" 2>&1 3>&- &
	export AZURE_PID=$!
	for _ in $(seq 200); do
		[ -s "$AZURE_DIR/ports" ] && break
		kill -0 "$AZURE_PID" 2>/dev/null || break
		sleep 0.1
	done
	read -r AZURE_PORT AZURE_HTTP_PORT <"$AZURE_DIR/ports" || { cat "$AZURE_DIR/out"; return 1; }
	export AZURE_PORT AZURE_HTTP_PORT
}

azure_stop() { [ -z "${AZURE_PID:-}" ] || kill "$AZURE_PID"; }

# azure_rules JSON: what the server is to do; counted from here. Without JSON: its best.
azure_rules() {
	jq -c --arg id "$RANDOM$RANDOM" 'map_values(if type == "array" and (.[0] | type) == "object" then map(.id = $id) else . end)' \
		<<<"${1:-{\}}" >"$AZURE_DIR/rules.new" && mv "$AZURE_DIR/rules.new" "$AZURE_DIR/rules.json"
}

# azure_count OPERATION: how often it was asked for since azure_log_clear
azure_count() { grep -c "^$1 " "$AZURE_DIR/log"; }
azure_log_clear() { : >"$AZURE_DIR/log"; }

# azure_engine ID [FIELD=VALUE…]: adds the engine; a client secret unless fields say otherwise
azure_engine() {
	local id=$1 f fields=() given=" ${*:2} "
	shift
	for f; do fields+=(--set "$f"); done
	[[ $given == *" credential="* ]] || fields+=(--set "client_id=$AZURE_APP" --set "client_secret=env:AZURE_SECRET")
	[[ $given == *" connect_to="* ]] || fields+=(--set "connect_to=127.0.0.1:$AZURE_PORT")
	[[ $given == *" vault_name="* || $given == *" endpoint="* ]] || fields+=(--set vault_name=v1)
	[[ $given == *" ca_file="* ]] || fields+=(--set "ca_file=$AZURE_DIR/ca.crt")
	[[ $given == *" tenant_id="* ]] || fields+=(--set "tenant_id=$AZURE_TENANT")
	ok lamassu kms engine add "$id" --type azure_key_vault "${fields[@]}" --set "authority_host=https://localhost:$AZURE_PORT" \
		--set "authority_ca_file=$AZURE_DIR/ca.crt"
}
