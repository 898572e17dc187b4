# microburst: a proxy that makes an AWS service fail as AWS's fail. Load server first.
#
#	microburst_start DIR UPSTREAM-URL     sets MICROBURST_URL, MICROBURST_PID
#	microburst_rules JSON                 what happens from now on; [] nothing
#	microburst_fired                      how many requests met a rule
microburst_start() {
	local port
	mkdir -p "$1" && port=$(server_port) || return 1
	microburst --upstream "$2" --port "$port" --no-resign >"$1/microburst.log" 2>&1 3>&- &
	MICROBURST_PID=$! MICROBURST_URL=http://127.0.0.1:$port
	server_wait "$MICROBURST_URL/_microburst/health" "$1/microburst.log"
}

microburst_rules() {
	curl -sSf --noproxy '*' -X DELETE "$MICROBURST_URL/_microburst/fired" >/dev/null &&
		curl -sSf --noproxy '*' -X POST "$MICROBURST_URL/_microburst/rules" -H 'Content-Type: application/json' -d "$1" >/dev/null
}

microburst_fired() { curl -sSf --noproxy '*' "$MICROBURST_URL/_microburst/fired?limit=10000" | jq length; }
