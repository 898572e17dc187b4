# PKCS#11 tokens for the tests, without hardware. Each belongs to one folder; nothing is left running by the first.

softhsm_module() { find /usr/lib -name libsofthsm2.so | head -n 1; }

# softhsm_start DIR [LABEL]: a SoftHSM of its own with one token (PIN 1234). Sets SOFTHSM2_CONF and $softhsm, the module.
softhsm_start() {
	export softhsm SOFTHSM2_CONF=$1/softhsm2.conf
	softhsm=$(softhsm_module)
	mkdir -p "$1/tokens" &&
		printf '%s\n' "directories.tokendir = $1/tokens" 'objectstore.backend = file' 'log.level = ERROR' >"$SOFTHSM2_CONF" &&
		softhsm_token "${2:-lam}"
}

# softhsm_token LABEL: one more token
softhsm_token() { softhsm2-util --init-token --free --label "$1" --pin 1234 --so-pin 5678 >/dev/null; }

# p11_tool LABEL ARGUMENTS…: OpenSC's pkcs11-tool, logged in
p11_tool() {
	local label=$1
	shift
	pkcs11-tool --module "$softhsm" --token-label "$label" --login --pin 1234 "$@" 2>/dev/null
}

# shim_build FILE: the module that misbehaves (p11_shim.c)
shim_build() {
	# shellcheck disable=SC2046 # words
	cc -shared -fPIC -o "$1" "${BASH_SOURCE[0]%/*}/p11_shim.c" $(pkg-config --cflags p11-kit-1) -ldl -lpthread
}

spy_module() { find /usr/lib -name pkcs11-spy.so | head -n 1; }

# p11kit_start DIR LABEL: the token offered by p11-kit's server, through a socket. Sets $p11kit_client, the module for it.
p11kit_start() {
	p11kit_client=$(find /usr/lib -name p11-kit-client.so | head -n 1)
	p11-kit server -f -n "$1/p11-kit.sock" --provider "$softhsm" "pkcs11:token=$2" >/dev/null 2>&1 3>&- &
	p11kit_pid=$!
	export P11_KIT_SERVER_ADDRESS=unix:path=$1/p11-kit.sock
	wait_for_file "$1/p11-kit.sock"
}

p11kit_stop() {
	[ -z "${p11kit_pid:-}" ] || { kill "$p11kit_pid"; wait "$p11kit_pid" || :; } 2>/dev/null
	p11kit_pid=
}

wait_for_file() {
	local i
	for ((i = 0; i < 100; i++)); do [ -e "$1" ] && return; sleep 0.1; done
	echo "$1 did not appear"
	return 1
}

# tpm_start DIR: a TPM in software with its resource manager, and the token "tpm" (PIN 1234) in it. Sets $tpm_module.
tpm_start() {
	tpm_module=$(find /usr/lib -name 'libtpm2_pkcs11.so.1' | head -n 1)
	mkdir -p "$1/tpm-state" "$1/tpm-store" &&
		swtpm socket --tpm2 --tpmstate dir="$1/tpm-state" --ctrl type=unixio,path="$1/tpm.ctrl" --server type=unixio,path="$1/tpm" \
			--flags not-need-init,startup-clear --daemon --pid file="$1/tpm.pid" 3>&- || return 1
	export DBUS_SESSION_BUS_ADDRESS=unix:path=$1/bus TPM2_PKCS11_STORE=$1/tpm-store TPM2_PKCS11_TCTI=tabrmd:bus_type=session
	wait_for_file "$1/tpm.pid" && wait_for_file "$1/tpm"
	dbus-daemon --session --nofork --address="$DBUS_SESSION_BUS_ADDRESS" >/dev/null 2>&1 3>&- &
	tpm_pids="$! $(cat "$1/tpm.pid")"
	wait_for_file "$1/bus"
	tpm2-abrmd --session --allow-root --tcti="swtpm:path=$1/tpm" >"$1/abrmd.log" 2>&1 3>&- &
	tpm_pids="$! $tpm_pids"
	local i
	for ((i = 0; i < 100; i++)); do TPM2TOOLS_TCTI=$TPM2_PKCS11_TCTI tpm2_getcap handles-transient >/dev/null 2>&1 && break; sleep 0.1; done
	pkcs11-tool --module "$tpm_module" --slot 1 --init-token --label tpm --so-pin 5678 >/dev/null 2>&1 &&
		pkcs11-tool --module "$tpm_module" --token-label tpm --init-pin --so-pin 5678 --login --login-type so --pin 1234 >/dev/null 2>&1
}

tpm_stop() {
	local p
	for p in ${tpm_pids:-}; do kill "$p" 2>/dev/null || :; done
	tpm_pids=
}
