# ministack: KMS, Secrets Manager, STS and the metadata service of instances in one process, in memory. Load server first.
#
#	ministack_start DIR [VARIABLE=VALUE…]     sets MINISTACK_URL, MINISTACK_PID
ministack_start() {
	local port dir=$1
	shift
	mkdir -p "$dir" && port=$(server_port) || return 1
	env BIND_HOST=127.0.0.1 GATEWAY_PORT="$port" IOT_MTLS_ENABLED=0 MINISTACK_IMDS_V2_REQUIRED=1 PERSIST_STATE=0 "$@" \
		ministack >"$dir/ministack.log" 2>&1 3>&- &
	MINISTACK_PID=$! MINISTACK_URL=http://127.0.0.1:$port
	server_wait "$MINISTACK_URL/" "$dir/ministack.log"
}
