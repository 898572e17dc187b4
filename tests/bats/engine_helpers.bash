# What every engine must do, whatever it is: the same list for all of them, judged by openssl, certtool and python's cryptography.
# Load it after helpers and ca_helpers.
#
#	conformance ENGINE
#	watch_secrets; … ; secrets_kept SECRET…
#
# in a repository that has the engine. What the engine can do is asked of itself (`kms engine show`). A test server that lacks
# something is spared that by words in $conformance_without: digest, pss.

# conformance ENGINE: keys first, then authorities whose keys are in the engine.
conformance() {
	conformance_engine "$1" && conformance_keys "$1" && conformance_import "$1" && conformance_adopt "$1" && conformance_hierarchy "$1" &&
		conformance_taken "$1" && conformance_renewal "$1" && conformance_end "$1"
}

# watch_secrets: from here on, lamassu is verbose, and what it prints and the arguments of the programs that it starts are kept.
watch_secrets() {
	local real=${LAMASSU_LIBEXECDIR:-}/lamassu-net dir=$BATS_TEST_TMPDIR/watched
	[ -x "$real" ] || real=$(dirname "$LAMASSU")/../libexec/lamassu/lamassu-net
	mkdir -p "$dir"
	printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"%s/arguments"\nexec "%s" "$@"\n' "$dir" "$(realpath "$real")" >"$dir/lamassu-net"
	chmod +x "$dir/lamassu-net"
	export LAMASSU_LIBEXECDIR=$dir
	lamassu() {
		local rc=0
		"$LAMASSU" -v "$@" >"$BATS_TEST_TMPDIR/watched/stdout" 2>"$BATS_TEST_TMPDIR/watched/stderr" || rc=$?
		cat "$BATS_TEST_TMPDIR"/watched/std* >>"$BATS_TEST_TMPDIR/watched/printed"
		cat "$BATS_TEST_TMPDIR/watched/stdout"
		cat "$BATS_TEST_TMPDIR/watched/stderr" >&2
		return "$rc"
	}
}

# secrets_kept SECRET…: none of them, as it is or in base64, is in what watch_secrets has kept, in the repository, its history and
# its own files, in the current folder.
secrets_kept() {
	local s form where=$BATS_TEST_TMPDIR/watched
	git cat-file --batch-all-objects --batch >"$where/objects"
	for s; do
		[ "${#s}" -ge 4 ] || { echo "too short to look for: $s"; return 1; }
		for form in "$s" "$(printf %s "$s" | base64 -w0 | tr -d =)"; do
			grep -raqF -e "$form" "$where/printed" "$where/arguments" "$where/objects" . 2>/dev/null || continue
			printf 'a secret is in: %s\n' "$(grep -ralF -e "$form" "$where" . 2>/dev/null | tr '\n' ' ')"
			return 1
		done
	done
}

# leaves_no_core COMMAND…: while it hangs, in front of something that does not answer, it has given up its right to a core file. It is
# ended then.
leaves_no_core() {
	local pid i
	(
		ulimit -S -c "$(ulimit -H -c)"
		exec "$@"
	) >/dev/null 2>&1 3>&- &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -q '^Max core file size  *0  *0 ' "/proc/$pid/limits" && break
		sleep 0.1
	done
	kill -0 "$pid" && kill "$pid"
	wait "$pid" || true
	[ "$i" -lt 300 ] || { echo "there would be a core of: $*"; return 1; }
}

# step TEXT…: what is being tried; shown when the test fails
step() { printf 'conformance: %s\n' "$*"; }

without() { [[ " ${conformance_without:-} " == *" $1 "* ]]; }
engine_can() { lamassu kms engine show "$1" -o json | jq -e --arg c "$2" '.capabilities | index($c)' >/dev/null; }
engine_types() { lamassu kms engine show "$1" -o json | jq -r '.supported_key_types[]'; }

# K4: the engine proves its own key types, and leaves nothing.
conformance_engine() {
	step "kms engine test $1"
	ok lamassu kms engine test "$1" --read-only -o json || return 1
	[ "$(jq -r '.list[].key_type' <<<"$output")" = "$(engine_types "$1")" ] || return 1
	without digest && return
	ok lamassu kms engine test "$1" -o json || return 1
	[ "$(jq -c '[.list[] | select(.result != "ok" or .microseconds <= 0)]' <<<"$output")" = '[]' ]
}

# Which of the engine's types are tried here: one of each family, the smallest.
conformance_types() {
	local all family
	all=$(engine_types "$1")
	for family in rsa ecdsa:256 ecdsa:384 ed25519; do grep -m 1 "^$family" <<<"$all"; done
	return 0
}

# signature_is_valid ALGORITHM PUBLIC MESSAGE SIGNATURE, in openssl's eyes
signature_is_valid() {
	local md=sha${1##*_}
	case $1 in
	RSASSA_PSS*) openssl dgst "-$md" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -verify "$2" -signature "$4" "$3" ;;
	Ed25519) openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$3" -sigfile "$4" ;;
	*) openssl dgst "-$md" -verify "$2" -signature "$4" "$3" ;;
	esac
}

# K8 for one key and algorithm: raw and digest, each verified by openssl and by ourselves
conformance_sign() { # KEY PUBLIC ALGORITHM
	step "kms key sign $1 $3"
	ok lamassu kms key sign "$1" --algorithm "$3" --in ../c-msg --out ../c-sig &&
		ok signature_is_valid "$3" "$2" ../c-msg ../c-sig &&
		ok lamassu kms key verify "$1" --algorithm "$3" --in ../c-msg --signature ../c-sig || return 1
	fails 5 'not valid' lamassu kms key verify "$1" --algorithm "$3" --in "$2" --signature ../c-sig || return 1
	[ "$3" = Ed25519 ] && return
	without digest && return
	openssl dgst "-sha${3##*_}" -binary ../c-msg >../c-digest
	ok lamassu kms key sign "$1" --algorithm "$3" --message-type digest --in ../c-digest --out ../c-sig &&
		ok signature_is_valid "$3" "$2" ../c-msg ../c-sig &&
		ok lamassu kms key verify "$1" --algorithm "$3" --message-type digest --in ../c-digest --signature ../c-sig
}

# K5 K7 K8: create, list, show, sign, verify, alias, tag, export-public, delete
conformance_keys() {
	local engine=$1 t id name algs a
	head -c 3000 /dev/zero | tr '\0' m >../c-msg
	for t in $(conformance_types "$engine"); do
		name=c-${t/:/-}
		step "kms key create $t"
		ok lamassu kms key create "$name" --engine "$engine" --key-type "$t" --alias "$name-now" --tag conformance -o id || return 1
		id=$output
		ok lamassu kms key export-public "$id" --out ../c-pub.pem || return 1
		[ "$(key_id ../c-pub.pem)" = "$id" ] || return 1
		ok lamassu kms key show "$name-now" -o json || return 1
		[ "$(jq -c '[.id, .name, .aliases, .engine_id, .has_private_key, .tags]' <<<"$output")" = \
			"[\"$id\",\"$name\",[\"$name-now\"],\"$engine\",true,[\"conformance\"]]" ] || return 1
		case $t in
		rsa:*) algs='RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PSS_SHA_256' ;;
		ecdsa:256) algs=ECDSA_SHA_256 ;;
		ecdsa:384) algs=ECDSA_SHA_384 ;;
		*) algs=Ed25519 ;;
		esac
		for a in $algs; do
			case $a in *PSS*) without pss && continue ;; esac
			conformance_sign "$id" ../c-pub.pem "$a" || return 1
		done
	done
	step "alias, tag, list, delete"
	ok lamassu kms key create c-other --engine "$engine" --key-type "$t" -o id || return 1
	id=$output
	ok lamassu kms key alias c-other "$name-now" --move || return 1
	[ "$(lamassu kms key show "$name-now" -o id)" = "$id" ] || return 1
	ok lamassu kms key tag c-other blue green && ok lamassu kms key tag c-other blue --remove || return 1
	[ "$(lamassu kms key list --filter 'tags[ct]=green' -o id)" = "$id" ] || return 1
	ok lamassu kms key list --filter "engine_id=$engine" -o id || return 1
	grep -q "$id" <<<"$output" || return 1
	engine_can "$engine" delete || return 0
	ok lamassu kms key delete c-other --reason 'end of test' --yes || return 1
	fails 3 'not found' lamassu kms key show "$id"
}

# K7: what openssl made comes in, or is refused in so many words
conformance_import() {
	local id
	step "kms key import"
	openssl ecparam -name prime256v1 -genkey -noout -out ../c-import.pem
	openssl pkey -in ../c-import.pem -pubout -out ../c-pub.pem
	if ! engine_can "$1" import; then
		fails 1 'cannot import' lamassu kms key import ../c-import.pem --engine "$1"
		return
	fi
	ok lamassu kms key import ../c-import.pem --engine "$1" -o id || return 1
	id=$output
	[ "$id" = "$(key_id ../c-pub.pem)" ] || return 1
	conformance_sign "$id" ../c-pub.pem ECDSA_SHA_256 || return 1
	fails 4 'here already' lamassu kms key import ../c-import.pem --engine "$1"
}

# K7 K9: a key whose record is lost is still in the engine; it is listed there, and comes back by the name that it has there
conformance_adopt() {
	local id handle
	step "kms key list --all, kms key import NAME"
	ok lamassu kms key create c-lost --engine "$1" --key-type ecdsa:256 -o json || return 1
	id=$(jq -r .id <<<"$output") handle=$(jq -r .handle <<<"$output")
	ok lamassu kms key delete c-lost --keep --yes || return 1
	fails 3 'not found' lamassu kms key show "$id" || return 1
	if engine_can "$1" list; then
		ok lamassu kms key list --all --filter "id=$id" -o json || return 1
		[ "$(jq -c '.list[] | [.engine_id, .handle, .recorded]' <<<"$output")" = "[\"$1\",\"$handle\",false]" ] || return 1
	fi
	ok lamassu kms key import "$handle" --engine "$1" --name c-found -o id || return 1
	[ "$output" = "$id" ] || return 1
	ok lamassu kms key export-public c-found --out ../c-pub.pem && conformance_sign c-found ../c-pub.pem ECDSA_SHA_256 || return 1
	fails 4 'here already' lamassu kms key import "$handle" --engine "$1"
}

# C1 C7 C13: root and subordinate, one request, a batch, revocations, full and delta CRL
conformance_hierarchy() {
	local i
	step "ca create"
	ok lamassu ca create c-root --engine "$1" --subject "CN=Root,O=Acme" --key-type ecdsa:256 --validity 20y &&
		ok lamassu ca create c-ca --parent c-root --engine "$1" --subject "CN=Issuing,O=Acme" --key-type ecdsa:256 --validity 10y \
			--issuance-profile tls-client && export_ca c-root c-ca || return 1
	[ "$(ca_field c-ca .engine_id)" = "$1" ] || return 1
	step "ca sign"
	csr c-leaf && sign c-ca c-leaf && accepted ../c-leaf.pem ../c-ca.pem ../c-root.pem || return 1
	mkdir ../c-req
	for i in 1 2 3 4 5; do cp ../c-leaf.csr "../c-req/$i.csr"; done
	ok lamassu ca sign c-ca --csr ../c-req --out ../c-out || return 1
	for i in 1 2 3 4 5; do openssl verify -x509_strict -trusted ../c-root.pem -untrusted ../c-ca.pem "../c-out/$i.pem" || return 1; done
	step "cert revoke, ca crl"
	settings 'crl: {delta: true}'
	ok lamassu cert revoke "$(serial_of ../c-out/1.pem)" --reason superseded --yes &&
		ok lamassu ca crl c-ca --out ../c-full.crl &&
		ok lamassu cert revoke "$(serial_of ../c-out/2.pem)" --reason key_compromise --yes &&
		ok lamassu ca crl c-ca --delta --out ../c-delta.crl || return 1
	[ "$(crl_entries ../c-full.crl ../c-ca.pem)" = "$(serial_of ../c-out/1.pem) superseded" ] || return 1
	[ "$(crl_entries ../c-delta.crl ../c-ca.pem)" = "$(serial_of ../c-out/2.pem) keyCompromise" ] || return 1
	openssl crl -in ../c-delta.crl -CAfile ../c-ca.pem -noout 2>&1 | grep -q 'verify OK'
}

# C2: an authority of somebody else whose key is in the engine; by import of the key file where the engine takes it
conformance_taken() {
	local ext=$'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n'
	step "ca import"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../c-old.key -out ../c-old.pem -subj "/CN=Old Root" -days 3000 \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	ok lamassu kms key create c-mid-key --engine "$1" --key-type ecdsa:256 &&
		ok lamassu kms key export-public c-mid-key --out ../c-mid.pub || return 1
	csr c-mid "/CN=Old Mid"
	openssl x509 -req -in ../c-mid.csr -CA ../c-old.pem -CAkey ../c-old.key -force_pubkey ../c-mid.pub -days 2000 -out ../c-mid.pem \
		-extfile <(printf %s "$ext") 2>/dev/null
	ok lamassu ca import c-mid --cert ../c-mid.pem --key c-mid-key --issuance-profile tls-client || return 1
	sign c-mid c-leaf && accepted ../c-leaf.pem ../c-mid.pem ../c-old.pem || return 1
	engine_can "$1" import || return 0
	ok lamassu ca import c-old --cert ../c-old.pem --key ../c-old.key --engine "$1" --issuance-profile tls-client || return 1
	[ "$(ca_field c-old '[.type, .engine_id] | join(" ")')" = "IMPORTED_WITH_KEY $1" ] || return 1
	sign c-old c-leaf && accepted ../c-leaf.pem ../c-old.pem
}

# C8 C12: reissue with the same key and with a new one, request and install, a cross certificate
conformance_renewal() {
	step "ca reissue"
	ok lamassu ca reissue c-ca && ok lamassu ca export c-ca --out ../c-ca2.pem || return 1
	sign c-ca c-leaf && accepted ../c-leaf.pem ../c-ca2.pem ../c-root.pem || return 1
	cmp <(openssl x509 -in ../c-ca.pem -noout -pubkey) <(openssl x509 -in ../c-ca2.pem -noout -pubkey) || return 1
	ok lamassu ca reissue c-root --new-key --new-id c-root2 && export_ca c-root2 || return 1
	[ "$(ca_field c-root2 .engine_id)" = "$1" ] || return 1
	no cmp -s <(openssl x509 -in ../c-root.pem -noout -pubkey) <(openssl x509 -in ../c-root2.pem -noout -pubkey) || return 1
	step "ca request, ca install"
	ok lamassu profile create -f - <<<'{id: c-sub, sign_as_ca: true, honor_subject: true, key_usage: {cert_sign: true, crl_sign: true}, validity: {type: Duration, duration: 5y}}' || return 1
	ok lamassu ca request c-new --engine "$1" --subject "CN=New,O=Acme" --key-type ecdsa:256 --issuance-profile tls-client --out ../c-new.csr || return 1
	openssl req -in ../c-new.csr -noout -verify 2>&1 | grep -q 'verify OK' || return 1
	ok lamassu ca sign c-root --csr ../c-new.csr --profile c-sub --out ../c-new.pem &&
		ok lamassu ca install c-new --cert ../c-new.pem || return 1
	sign c-new c-leaf && accepted ../c-leaf.pem ../c-new.pem ../c-root.pem || return 1
	step "cross certificate"
	ok lamassu ca sign c-root2 --csr ../c-new.csr --profile c-sub --out ../c-cross.pem &&
		ok lamassu ca install c-new --cert ../c-cross.pem --cross || return 1
	accepted ../c-leaf.pem ../c-cross.pem ../c-root2.pem
}

# K9 and what must hold after all that
conformance_end() {
	step "what is left"
	local id
	id=$(ca_field c-ca .key_id)
	fails 4 'in use by ca c-ca' lamassu kms key delete "$id" --yes || return 1
	fails 4 'holds' lamassu kms engine remove "$1" || return 1
	no git grep -q 'PRIVATE KEY' HEAD || return 1
	no git grep -q 'PRIVATE KEY' ledger || return 1
	sound
}
