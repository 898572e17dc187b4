# PKCS#11 tokens for the tests, without hardware. Each belongs to one folder; nothing is left running by the first.

# softhsm_start DIR [LABEL]: a SoftHSM of its own with one token (PIN 1234). Sets SOFTHSM2_CONF and $softhsm, the module.
softhsm_start() {
	local so
	for so in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do [ -e "$so" ] && softhsm=$so; done
	export softhsm SOFTHSM2_CONF=$1/softhsm2.conf
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
