# What the files of test servers share: free ports, waiting, the end by process id.
server_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

server_wait() { # server_wait URL LOG [CURL-OPTIONS…]: until it answers, whatever it says
	local i url=$1 log=$2
	shift 2
	for ((i = 0; i < 300; i++)); do
		curl -s -o /dev/null --noproxy '*' --max-time 2 "$@" "$url" && return
		sleep 0.1
	done
	cat "$log"
	return 1
}

server_stop() { # server_stop PID…
	local pid
	for pid; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}
