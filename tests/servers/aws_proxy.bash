# A proxy before a server of AWS's protocol: aws_proxy.py says what it can. Load server first.
#
#	aws_proxy_start DIR UPSTREAM-URL [OPTIONS…]   sets PROXY_URL, PROXY_PID
#	aws_proxy_mode WORD [COUNT [AFTER]]           what happens to the next COUNT requests that make or sign something, when
#	                                              AFTER of them have passed
#	aws_proxy_stats [PATH]                        JSON since then: requests by operation, the most that were under way at
#	                                              once, access keys, times that /creds was asked
aws_proxy_start() {
	local port dir=$1
	shift
	mkdir -p "$dir" && port=$(server_port) || return 1
	python3 "${BASH_SOURCE[0]%/*}/aws_proxy.py" --port "$port" --upstream "$@" >"$dir/aws_proxy.log" 2>&1 3>&- &
	PROXY_PID=$! PROXY_URL=http://127.0.0.1:$port
	server_wait "$PROXY_URL/_stats" "$dir/aws_proxy.log"
}

aws_proxy_mode() { curl -sSf --noproxy '*' -X POST "$PROXY_URL/_mode?mode=$1&count=${2:-1000000}&after=${3:-0}" >/dev/null; }
aws_proxy_stats() { curl -sSf --noproxy '*' "$PROXY_URL/_stats" | jq -c "${1:-.}"; }
