#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Keys in PKCS#11 tokens: SoftHSM, seen from outside by OpenSC's pkcs11-tool and pkcs11-spy; SoftHSM behind p11-kit's server; a TPM.
# What real tokens do on bad days is done by p11_shim.c around SoftHSM.
load helpers
load ca_helpers
load engine_helpers
load ../servers/softhsm

# SoftHSM and tpm2-pkcs11 lose some octets, and have no frame pointers to tell them by.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"

setup_file() {
	shim_build "$BATS_FILE_TMPDIR/shim.so"
}

# hsm_pki [MODULE [SETTING…]]: a token of this test's own, and a repository with the engine hsm for it
hsm_pki() {
	softhsm_start "$BATS_TEST_TMPDIR" && export HSM_PIN=1234 && new_pki || return 1
	local module=${1:-$softhsm}
	[ $# -eq 0 ] || shift
	# shellcheck disable=SC2016 # a reference, not a value
	add_engine hsm "$module" lam 'pin=${HSM_PIN}' "$@"
}

# shim_pki [SETTING…]: the same with the module that misbehaves
shim_pki() {
	export SHIM_MODULE SHIM_LOG=$BATS_TEST_TMPDIR/calls
	SHIM_MODULE=$(softhsm_module)
	hsm_pki "$BATS_FILE_TMPDIR/shim.so" "$@" && : >"$SHIM_LOG"
}

# add_engine ENGINE MODULE TOKEN [SETTING…]
add_engine() {
	local id=$1 module=$2 token=$3 s set=()
	shift 3
	for s; do set+=(--set "$s"); done
	ok lamassu kms engine add "$id" --type pkcs11 --set "module_path=$module" --set "token=$token" "${set[@]}"
}

# objects KIND: how many objects of this kind the token has
objects() { p11_tool lam -O --type "$1" | grep -c '^[A-Z][a-z]* Key Object'; }
# calls NAME: how often the shim was called so since the last time
calls() { grep -c "^$1\$" "$SHIM_LOG"; }

# shimmed WORDS CMD…
shimmed() {
	: >"$SHIM_LOG"
	SHIM=$1 "${@:2}"
}

sign_something() { # KEY [ALGORITHM]
	echo something >../message
	lamassu kms key sign "$1" --algorithm "${2:-ECDSA_SHA_256}" --in ../message --out ../signature &&
		lamassu kms key verify "$1" --algorithm "${2:-ECDSA_SHA_256}" --in ../message --signature ../signature
}

@test "K1 K3 K4 K5 K6 K7 K8 K9 C1 C2 C7 C8 C12 C13: everything works with keys in a PKCS#11 token" {
	hsm_pki
	conformance hsm
}

@test "K4 K6: a token tells its key types, and every one of them is proven without a trace" {
	hsm_pki
	ok lamassu kms engine show hsm -o json
	[ "$(jq -c .supported_key_types <<<"$output")" = \
		'["rsa:2048","rsa:3072","rsa:4096","ecdsa:224","ecdsa:256","ecdsa:384","ecdsa:521","ed25519"]' ]
	ok lamassu kms engine set hsm 'key_types=[ecdsa:256, ed25519]'
	ok lamassu kms engine test hsm
	[ "$(grep -c ok <<<"$output")" -eq 2 ]
	[ "$(objects privkey)" -eq 0 ]
	[ "$(objects pubkey)" -eq 0 ]
	fails 2 'cannot make rsa:2048 keys' lamassu kms key create r --engine hsm --key-type rsa:2048
	ok lamassu kms engine set hsm key_types= 'mechanisms=[CKM_EC_KEY_PAIR_GEN, 0x1041]'
	[ "$(engine_types hsm | grep -vc ecdsa)" -eq 0 ]
	fails 2 'CKM_NONSENSE' lamassu kms engine set hsm 'mechanisms=[CKM_NONSENSE]'
}

@test "K5 K7 K9: keys stay in the token: sensitive, not extractable, named by their id" {
	hsm_pki
	ok lamassu kms key create leaf --engine hsm --key-type ecdsa:256 -o id
	id=$output
	ok p11_tool lam -O --type privkey
	[[ $output == *"label:      leaf"* ]]
	[[ $output == *"ID:         $id"* ]]
	[[ $output == *"sensitive, always sensitive, never extractable, local"* ]]
	ok lamassu kms key export-public leaf --out ../pub.pem
	[ "$(key_id ../pub.pem)" = "$id" ]
	ok lamassu kms key delete leaf --reason test --yes
	[ "$(objects privkey)" -eq 0 ]
	[ "$(objects pubkey)" -eq 0 ]
}

@test "K3: the seeds' document of a PKCS#11 engine, with the environment of the module in it; secrets by reference only" {
	hsm_pki
	cat >../doc.yaml <<-Y
		crypto_engines:
		  default_id: seed
		  pkcs11:
		    - {id: seed, token: lam, pin: "\${HSM_PIN}", module_path: $softhsm, module_extra_options: {env: {SOFTHSM2_CONF: $SOFTHSM2_CONF}}}
	Y
	ok lamassu kms engine add -f ../doc.yaml
	unset SOFTHSM2_CONF
	ok lamassu kms key create k --key-type ecdsa:256
	ok sign_something k
	fails 2 'by reference' lamassu kms engine set seed pin=1234
	fails 2 'not an absolute path' lamassu kms engine set seed module_path=softhsm.so
	no git grep -q 1234
}

@test "K3: tokens are known by label or serial number; what fits several or none is refused with their names" {
	hsm_pki
	softhsm_token other
	softhsm_token lam
	add_engine none "$softhsm" none
	fails 6 'no token "none" is there; the module has: "' lamassu kms engine test none
	fails 4 'several tokens fit' lamassu kms key create k --engine hsm --key-type ecdsa:256
	serial=$(grep -o 'serial [0-9a-f][0-9a-f]*)' <<<"$stderr" | head -n 1 | tr -d ')' | cut -d' ' -f2)
	[[ $stderr != *other* ]]
	ok lamassu kms engine set hsm serial=cafe
	fails 6 'no token "lam" of serial number cafe is there; the module has: "' lamassu kms engine test hsm
	ok lamassu kms engine set hsm "serial=$serial"
	ok lamassu kms key create k --engine hsm --key-type ecdsa:256
	# shellcheck disable=SC2016
	add_engine two "$softhsm" other 'pin=${HSM_PIN}'
	ok lamassu kms key create k2 --engine two --key-type ecdsa:256
}

@test "K5 C2: keys that pkcs11-tool made are found by URI, label and id, and sign" {
	hsm_pki
	ok p11_tool lam --keypairgen --key-type EC:prime256v1 --label theirs --id 0a0b
	ok p11_tool lam --keypairgen --key-type rsa:2048 --label 'with space' --id 0c
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../root.key -out ../root.pem -subj /CN=Root -days 900 \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	p11_tool lam --read-object --type pubkey --id 0a0b -o ../their.der
	openssl pkey -pubin -inform DER -in ../their.der -out ../their.pub
	csr mid /CN=Mid
	openssl x509 -req -in ../mid.csr -CA ../root.pem -CAkey ../root.key -force_pubkey ../their.pub -days 500 -out ../mid.pem \
		-extfile <(printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n') 2>/dev/null
	ok lamassu ca import mid --cert ../mid.pem --key 'pkcs11:token=lam;id=%0a%0b;type=private' --engine hsm --issuance-profile tls-client
	csr leaf
	sign mid leaf
	accepted ../leaf.pem ../mid.pem ../root.pem
}

@test "K5 K7: taking over keys of a token: by label, by parts of a URI, all of them; what is not one key is refused" {
	hsm_pki
	ok p11_tool lam --keypairgen --key-type EC:prime256v1 --label one --id 01
	ok p11_tool lam --keypairgen --key-type rsa:2048 --label twin --id 0202
	ok p11_tool lam --keypairgen --key-type EC:secp384r1 --label twin --id 03
	fails 3 'twin' lamassu kms key import 'pkcs11:token=other;object=twin' --engine hsm
	fails 2 'names 2 private keys' lamassu kms key import 'pkcs11:token=lam;object=twin' --engine hsm
	fails 2 'pin-value' lamassu kms key import 'pkcs11:object=one?pin-value=1234' --engine hsm
	[[ $stderr != *1234* ]]
	fails 3 'not found' lamassu kms key import 'pkcs11:object=one?module-path=/lib/other.so' --engine hsm
	fails 2 'type=private' lamassu kms key import 'pkcs11:object=one;type=cert' --engine hsm
	ok lamassu kms key import 'pkcs11:token=lam;id=%02%02' --engine hsm --name theirs -o json
	[ "$(jq -r '[.handle, .algorithm, .size] | join(" ")' <<<"$output")" = '0202 RSA 2048' ]
	ok sign_something theirs RSASSA_PSS_SHA_256
	ok lamassu kms key list --all -o json
	[ "$(jq '[.list[] | select(.recorded == false)] | length' <<<"$output")" -eq 2 ]
}

@test "K12: one login and one C_SignInit for one signature, in the spy's eyes; the PIN is in nothing that we write" {
	hsm_pki
	export PKCS11SPY=$softhsm PKCS11SPY_OUTPUT=$BATS_TEST_TMPDIR/spy HSM_PIN=73557355
	softhsm2-util --init-token --free --label spied --pin "$HSM_PIN" --so-pin 5678 >/dev/null
	# shellcheck disable=SC2016
	add_engine spied "$(spy_module)" spied 'pin=${HSM_PIN}'
	ok lamassu ca create ca --engine spied --subject CN=Spied --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	csr leaf
	rm ../spy
	ok lamassu -v ca sign ca --csr ../leaf.csr --out ../leaf.pem
	printf '%s%s' "$output" "$stderr" >../said
	openssl verify -CAfile <(lamassu ca export ca) ../leaf.pem
	[ "$(grep -c ': C_Login$' ../spy)" -eq 1 ]
	[ "$(grep -c ': C_SignInit$' ../spy)" -eq 1 ]
	[ "$(grep -c ': C_Sign$' ../spy)" -eq 1 ]
	[ "$(grep -c ': C_OpenSession$' ../spy)" -eq 1 ]
	rm ../spy
	no grep -rq 73557355 ../said . .git
}

@test "K12: a wrong PIN is named and tried once, in a batch too" {
	shim_pki
	ok lamassu ca create ca --engine hsm --subject CN=H --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	many_csrs 5 ../batch
	before=$(tips)
	export HSM_PIN=97979797
	: >"$SHIM_LOG"
	fails 5 'PIN' lamassu ca sign ca --csr ../batch --out ../out
	one_line
	[[ $stderr != *9797* ]]
	[[ $stderr == *"few tries are left"* ]]
	[ "$(calls C_Login)" -eq 1 ]
	[ "$(tips)" = "$before" ]
	export HSM_PIN=1234
	ok lamassu ca sign ca --csr ../batch --out ../out
	sound
}

@test "K12: a locked PIN is not tried; a stored PIN does not use up the last try, a typed one may" {
	shim_pki
	ok lamassu kms key create k --engine hsm --key-type ecdsa:256
	fails 5 'locked' shimmed flags=0x40000 sign_something k
	[ "$(calls C_Login)" -eq 0 ]
	fails 5 'one try is left' shimmed flags=0x20000 sign_something k
	[ "$(calls C_Login)" -eq 0 ]
	ok lamassu kms engine set hsm pin=
	LAMASSU_PIN_HSM=1234 ok shimmed flags=0x20000 sign_something k
	fails 5 'PIN of engine hsm is needed' sign_something k
	[[ $stderr == *LAMASSU_PIN_HSM* ]]
	LAMASSU_PIN=1234 ok sign_something k
}

@test "K12: a token with a key pad asks there; a key that wants the PIN each time gets it" {
	shim_pki
	ok lamassu kms key create k --engine hsm --key-type ecdsa:256
	ok shimmed always sign_something k
	[ "$(calls 'C_Login context')" -eq 1 ]
	ok lamassu kms engine set hsm pin=
	ok shimmed keypad,flags=0x100 sign_something k
	[ "$(calls C_Login)" -eq 1 ]
}

@test "K12: lost sessions, logins and modules are made anew once, in a batch too" {
	shim_pki
	ok lamassu ca create ca --engine hsm --subject CN=H --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	csr leaf
	for w in lose=1 logout=1 finalize=1; do
		ok shimmed "$w" lamassu ca sign ca --csr ../leaf.csr --out ../leaf.pem
		[ "$(calls C_Login)" -eq 2 ]
		[ "$(calls C_SignInit)" -eq 2 ]
		rm ../leaf.pem
	done
	many_csrs 20 ../batch
	ok lamassu kms engine set hsm max_sessions=1 # SoftHSM does not bear it while another thread signs
	ok shimmed lose=7 lamassu ca sign ca --csr ../batch --out ../out
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 20 ]
	sound
}

@test "K12: a token that is taken away ends a batch with one reason; what was signed is kept" {
	shim_pki
	ok lamassu ca create ca --engine hsm --subject CN=H --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	many_csrs 20 ../batch
	status=0
	output=$(shimmed removed=8 lamassu ca sign ca --csr ../batch --out ../out 2>../said) || status=$?
	[ "$status" -ne 0 ]
	grep -q 'no token "lam" is there' ../said
	sound
	ok lamassu ca sign ca --csr ../batch --out ../out
	for f in ../out/*.pem; do openssl verify -CAfile <(lamassu ca export ca) "$f" >/dev/null || return 1; done
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 20 ]
}

@test "K12: a module that does not come back from a call is given up in time; what was signed is kept" {
	shim_pki timeout=10s max_sessions=1 # long enough for calls that do come back, on a busy machine too
	export SHIM_STALL=$BATS_TEST_TMPDIR/stalled
	ok lamassu ca create ca --engine hsm --subject CN=H --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	csr leaf
	before=$(tips)
	touch "$SHIM_STALL"
	fails 6 'engine hsm: the module does not answer: C_Sign has lasted longer than 10 seconds' \
		shimmed stall lamassu ca sign ca --csr ../leaf.csr --out ../leaf.pem
	one_line
	[ ! -e ../leaf.pem ]
	ok lamassu kms engine set hsm timeout=60s
	SHIM=stall-login leaves_no_core "$LAMASSU" ca sign ca --csr ../leaf.csr --out ../leaf.pem
	ok lamassu kms engine set hsm timeout=10s
	[ "$(git rev-parse ledger)" = "$(awk '/ledger/ { print $2 }' <<<"$before")" ]
	sound
	many_csrs 20 ../batch
	status=0
	shimmed stall-at=8 lamassu ca sign ca --csr ../batch --out ../out >../list 2>../said || status=$?
	[ "$status" -ne 0 ]
	grep -q 'C_Sign has lasted longer' ../said
	grep -q 'an earlier call has not come back' ../said
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 7 ]
	sound
	ok lamassu ca sign ca --csr ../batch --out ../out
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 20 ]
	for f in ../out/*.pem; do openssl verify -CAfile <(lamassu ca export ca) "$f" >/dev/null || return 1; done
}

@test "K12: a signature that is not the key's is refused; nothing is issued" {
	shim_pki
	ok lamassu ca create ca --engine hsm --subject CN=H --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	csr leaf
	before=$(tips)
	fails 6 'engine hsm: the signature that came back is not valid' shimmed garbage lamassu ca sign ca --csr ../leaf.csr --out ../leaf.pem
	[ ! -e ../leaf.pem ]
	[ "$(tips)" = "$before" ]
	sound
}

@test "K7: a key whose making was reported as failed leaves no second one" {
	shim_pki
	ok shimmed doubt=1 lamassu kms key create k --engine hsm --key-type ecdsa:256
	[ "$(calls C_GenerateKeyPair)" -eq 2 ]
	[ "$(objects privkey)" -eq 1 ]
	[ "$(objects pubkey)" -eq 1 ]
	ok sign_something k
}

@test "K7: keys come into tokens that take them as objects, wrapped, or not at all" {
	shim_pki
	openssl ecparam -name secp384r1 -genkey -noout -out ../ec.pem
	openssl genrsa -out ../rsa.pem 2048 2>/dev/null
	openssl genpkey -algorithm ed25519 -out ../ed.pem
	fails 1 'does not take private keys' shimmed nocreate,nounwrap lamassu kms key import ../ec.pem --engine hsm
	[ "$(objects pubkey)" -eq 0 ]
	ok shimmed nocreate lamassu kms key import ../ec.pem --engine hsm
	[ "$(calls C_UnwrapKey)" -eq 1 ]
	ok shimmed nocreate lamassu kms key import ../rsa.pem --engine hsm
	ok lamassu kms key import ../ed.pem --engine hsm
	ok sign_something ec ECDSA_SHA_384
	ok sign_something rsa RSASSA_PSS_SHA_256
	ok sign_something ed Ed25519
	ok p11_tool lam -O --type privkey
	[ "$(grep -c 'Access: *sensitive$' <<<"$output")" -eq 3 ]
}

@test "K5 K6: odd tokens: ids that cannot change, bare points, short digests, one session" {
	shim_pki
	ok shimmed fixed lamassu kms key create fixed --engine hsm --key-type ecdsa:256 -o json
	[ "$(jq -r '.handle == .id' <<<"$output")" = false ]
	ok sign_something fixed
	ok shimmed raw lamassu kms key create raw --engine hsm --key-type ecdsa:256
	ok sign_something raw
	ok lamassu kms key create p224 --engine hsm --key-type ecdsa:224
	ok shimmed short=28 sign_something p224
	ok lamassu ca create ca --engine hsm --subject CN=H --key-type ecdsa:256 --validity 5y --issuance-profile tls-client
	many_csrs 10 ../batch
	ok shimmed sessions=1 lamassu ca sign ca --csr ../batch --out ../out
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 10 ]
	fails 6 'no free session' shimmed nosession sign_something fixed
	one_line
}

@test "K7 K9: a read-only token signs, and nothing is made or deleted on it" {
	shim_pki
	ok lamassu kms key create k --engine hsm --key-type ecdsa:256
	ok shimmed flags=2 sign_something k
	fails 5 'write-protected' shimmed flags=2 lamassu kms key create more --engine hsm --key-type ecdsa:256
	ok lamassu kms engine set hsm read_only=true
	fails 5 'read-only' lamassu kms key create more --engine hsm --key-type ecdsa:256
	ok sign_something k
	[ "$(objects privkey)" -eq 1 ]
}

@test "K12: a key that was deleted or replaced behind our back is named" {
	hsm_pki
	ok lamassu kms key create k --engine hsm --key-type ecdsa:256 -o id
	id=$output
	ok p11_tool lam --delete-object --type privkey --id "$id"
	fails 3 'the token has no private key' sign_something k
	one_line
	ok p11_tool lam --keypairgen --key-type EC:prime256v1 --label other --id "$id"
	fails 6 'engine hsm: the signature that came back is not valid' sign_something k
	one_line
}

@test "K12: modules that are missing, no modules, crash, end the process or hang cost one line" {
	shim_pki
	sed -i "s|$BATS_FILE_TMPDIR/shim.so|/nonexistent/module.so|" engines/hsm.yaml && git -c user.name=t -c user.email=t@e.org commit -qam x
	fails 6 '/nonexistent/module.so: No such file' lamassu kms engine test hsm
	one_line
	printf '\177ELF\2\1\1\0 of another machine' >../odd.so
	for m in ../odd.so ../odd.txt; do
		echo text >>"$m"
		ok lamassu kms engine set hsm "module_path=$(realpath "$m")"
		fails 6 'engine hsm: module_path: ' lamassu kms engine test hsm
		one_line
	done
	ok lamassu kms engine set hsm "module_path=$(find /lib /usr/lib -name 'libz.so.1' | head -n 1)"
	fails 6 'not a PKCS#11 module' lamassu kms engine test hsm
	for w in crash exit hang; do
		cp "$BATS_FILE_TMPDIR/shim.so" "../$w.so"
		ok lamassu kms engine set hsm "module_path=$(realpath "../$w.so")"
		fails 6 "$w.so" shimmed "$w" lamassu kms engine test hsm
		one_line
	done
	[[ $stderr == *"does not answer"* ]]
	chmod g+w ../hang.so
	fails 5 'does not belong to root alone' lamassu kms engine test hsm
	one_line
	chmod g-w ../hang.so
	ok lamassu kms engine set hsm key_types='[ecdsa:256]'
	ok lamassu kms engine test hsm
	[ "$(find .git/lamassu/modules -type f | wc -l)" -ge 1 ]
}

@test "K1: SoftHSM behind p11-kit's server: another module, with fewer mechanisms" {
	hsm_pki
	p11kit_start "$BATS_TEST_TMPDIR" lam
	# shellcheck disable=SC2016
	add_engine remote "$p11kit_client" lam 'pin=${HSM_PIN}'
	no grep -q ed25519 <<<"$(engine_types remote)"
	ok lamassu ca create ca --engine remote --subject CN=R --key-type ecdsa:384 --validity 5y --issuance-profile tls-client
	csr leaf
	sign ca leaf
	openssl verify -CAfile <(lamassu ca export ca) ../leaf.pem
	ok lamassu kms key create r --engine remote --key-type rsa:2048
	ok sign_something r RSASSA_PSS_SHA_256
	p11kit_stop
	fails 6 'engine remote: ' sign_something r RSASSA_PSS_SHA_256
	one_line
}

@test "K1 K4 C1 C7: a TPM behind tpm2-pkcs11" {
	new_pki
	tpm_start "$BATS_TEST_TMPDIR"
	export HSM_PIN=1234
	# shellcheck disable=SC2016
	add_engine tpm "$tpm_module" tpm 'pin=${HSM_PIN}' 'key_types=["rsa:2048", "ecdsa:256", "ecdsa:384"]'
	conformance_engine tpm
	conformance_keys tpm
	conformance_hierarchy tpm
	openssl ecparam -name prime256v1 -genkey -noout -out ../ec.pem
	fails 1 'does not take private keys' lamassu kms key import ../ec.pem --engine tpm
}

teardown() {
	tpm_stop
	p11kit_stop
}
