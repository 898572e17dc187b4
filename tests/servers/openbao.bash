# OpenBao, a real server that speaks HashiCorp Vault's protocol, for the tests of engines. It listens on 127.0.0.1 on a free port.
#
#	openbao_start DIR         in memory, with TLS; root token "root"; KV v2 at secret/. Sets and exports BAO_ADDR,
#	                          BAO_CACERT, BAO_TOKEN, BAO_PID
#	openbao_start_file DIR [CONFIG]
#	                          the same server on files, unsealed by one share: DIR/share; openbao_start_file again after
#	                          openbao_stop is a restart
#	openbao_stop [PID]

openbao_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

openbao_wait() { # openbao_wait DIR: until it answers; 2 is sealed
	local i status
	for ((i = 0; i < 150; i++)); do
		status=0
		bao status >/dev/null 2>&1 || status=$?
		[ "$status" -ne 1 ] && return
		sleep 0.1
	done
	cat "$1/bao.log"
	return 1
}

openbao_start() {
	local port
	mkdir -p "$1" && port=$(openbao_port) || return 1
	bao server -dev -dev-tls -dev-tls-cert-dir="$1" -dev-root-token-id=root -dev-listen-address="127.0.0.1:$port" -dev-no-store-token \
		>"$1/bao.log" 2>&1 3>&- &
	export BAO_PID=$! BAO_ADDR=https://127.0.0.1:$port BAO_CACERT=$1/vault-ca.pem BAO_TOKEN=root
	for ((i = 0; i < 100; i++)); do [ -s "$BAO_CACERT" ] && break; sleep 0.1; done
	openbao_wait "$1"
}

openbao_start_file() {
	local port new= i
	[ -e "$1/bao.hcl" ] || {
		new=yes
		mkdir -p "$1" && port=$(openbao_port) || return 1
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1/tls.key" -out "$1/tls.pem" -days 10 -subj /CN=bao \
			-addext subjectAltName=IP:127.0.0.1 2>/dev/null
		printf 'storage "raft" { path = "%s/data"\nnode_id = "a" }\nlistener "tcp" { address = "127.0.0.1:%s"\ntls_cert_file = "%s/tls.pem"\ntls_key_file = "%s/tls.key" }\napi_addr = "https://127.0.0.1:%s"\ncluster_addr = "https://127.0.0.1:%s"\n' \
			"$1" "$port" "$1" "$1" "$port" "$(openbao_port)" >"$1/bao.hcl"
		printf '%s\n' "${2:-}" >>"$1/bao.hcl"
		mkdir -p "$1/data"
		echo "$port" >"$1/port"
	}
	bao server -config="$1/bao.hcl" >>"$1/bao.log" 2>&1 3>&- &
	port=$(<"$1/port")
	export BAO_PID=$! BAO_ADDR=https://127.0.0.1:$port BAO_CACERT=$1/tls.pem
	openbao_wait "$1" || return 1
	if [ -n "$new" ]; then
		i=$(if [ -n "${2:-}" ]; then echo recovery; else echo key; fi)
		bao operator init "-$i-shares=1" "-$i-threshold=1" -format=json >"$1/init.json" || return 1
		jq -r '.unseal_keys_b64[0]' "$1/init.json" >"$1/share"
	fi
	BAO_TOKEN=$(jq -r .root_token "$1/init.json")
	export BAO_TOKEN
	[ -n "${2:-}" ] || bao operator unseal "$(<"$1/share")" >/dev/null || return 1
	for ((i = 0; i < 150; i++)); do curl -s --cacert "$BAO_CACERT" "$BAO_ADDR/v1/sys/health" | grep -q '"standby":false' && break; sleep 0.1; done
	[ -z "$new" ] || bao secrets enable -path=secret -version=2 kv >/dev/null
}

openbao_stop() {
	local pid=${1:-$BAO_PID}
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	return 0
}
