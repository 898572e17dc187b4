#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031,SC2016 # output, stderr: set by ok and fails of helpers.bash; references, not values
# Several engines at once, in SoftHSM and OpenBao: keys that other tools made, keys that move, and engines that go away.
load helpers
load ca_helpers
load engine_helpers
load aws_helpers
load ../servers/softhsm
load ../servers/openbao

# SoftHSM loses 37 octets with each Ed25519 signature, and has no frame pointers.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"

# A repository with engines hsm and spare, two tokens of one SoftHSM.
two_tokens() {
	softhsm_start "$BATS_TEST_TMPDIR" one && softhsm_token two && export HSM_PIN=1234 && new_pki || return 1
	ok lamassu kms engine add hsm --type pkcs11 --set "module_path=$softhsm" --set token=one --set 'pin=${HSM_PIN}' &&
		ok lamassu kms engine add spare --type pkcs11 --set "module_path=$softhsm" --set token=two --set 'pin=${HSM_PIN}'
}
teardown() {
	[ -z "${BAO_PID:-}" ] || openbao_stop
	[ -z "${MINISTACK_PID:-}" ] || server_stop "$MINISTACK_PID"
	[ -z "${cut:-}" ] || kill "$cut" 2>/dev/null || true
}
# cut_after N: a server before $BAO_ADDR that goes away for good when it has passed on N octets of requests; its address is $cut_at
cut_after() {
	python3 - "$1" "${BAO_ADDR##*:}" >../cut.port 3>&- <<-'P' &
		import asyncio, os, sys
		left = int(sys.argv[1])
		async def pump(r, w, counted):
		    global left
		    while data := await r.read(65536):
		        if counted:
		            left -= len(data)
		            if left < 0: os._exit(0)
		        w.write(data)
		        await w.drain()
		    w.close()
		async def serve(r, w):
		    r2, w2 = await asyncio.open_connection('127.0.0.1', int(sys.argv[2]))
		    await asyncio.gather(pump(r, w2, True), pump(r2, w, False))
		async def main():
		    s = await asyncio.start_server(serve, '127.0.0.1', 0)
		    print(s.sockets[0].getsockname()[1], flush=True)
		    await s.serve_forever()
		asyncio.run(main())
	P
	cut=$!
	until [ -s ../cut.port ]; do sleep 0.05; done
	cut_at=https://127.0.0.1:$(<../cut.port)
}
# whole_batch DIR N BEFORE: the certificates of N requests d-I, each valid and its own request's; no number twice, none beside them in the ledger
whole_batch() {
	local i files=() named=()
	for ((i = 0; i < $2; i++)); do files+=("$1/d-$i.pem") named+=(-certfile "$1/d-$i.pem"); done
	openssl verify -trusted ../root.pem "${files[@]}" | grep -c 'OK$' | grep -qx "$2" || return 1
	openssl crl2pkcs7 -nocrl "${named[@]}" | openssl pkcs7 -print_certs -text -noout >../named || return 1
	diff <(sed -n 's/^ *Subject: CN=//p' ../named) <(for ((i = 0; i < $2; i++)); do echo "d-$i"; done) || return 1
	[ "$(grep -A 1 'Serial Number:' ../named | grep -E '^ +[0-9a-f:]+$' | sort -u | wc -l)" -eq "$2" ] || return 1
	[ "$(find "$1" -name '*.pem' | wc -l)" -eq "$2" ] && [ "$(issued)" -eq "$(($3 + $2))" ]
}
key_field() { lamassu kms key show "$1" -o json | jq -r "$2"; }
# foreign TOKEN LABEL ID: a key that OpenSC makes; its public half is ../LABEL.pub
foreign() {
	p11_tool "$1" --keypairgen --key-type EC:prime256v1 --label "$2" --id "$3" >/dev/null
	p11_tool "$1" --read-object --type pubkey --id "$3" -o ../key.der && openssl pkey -pubin -inform DER -in ../key.der -out "../$2.pub"
}

@test "K5 K7 C1 C2: keys that another tool made in a token are named by URI, and get their record in the same commit" {
	two_tokens
	foreign one theirs 0a0b
	foreign one old 0c
	foreign one label 0d
	id=$(key_id ../theirs.pub)
	ok lamassu kms key list --all -o json
	[ "$(jq -c '[.list[] | [.name, .engine_id, .handle, .recorded]] | sort' <<<"$output")" = \
		'[["label","hsm","0d",false],["old","hsm","0c",false],["theirs","hsm","0a0b",false]]' ]
	# reading says how; nothing is written
	head=$(git rev-parse HEAD)
	fails 3 "lamassu kms key import 'pkcs11:object=theirs'" lamassu kms key show 'pkcs11:object=theirs'
	echo x >../msg
	fails 3 'kms key import' lamassu kms key sign 'pkcs11:object=theirs' --in ../msg
	fails 3 'hsm, spare' lamassu kms key show 'pkcs11:object=nothing'
	fails 3 'not found' lamassu ca create root --key 'pkcs11:object=nothing' --subject CN=R
	[ "$(git rev-parse HEAD)" = "$head" ]
	ok lamassu ca create root --key 'pkcs11:token=one;object=theirs' --subject CN=Root --validity 10y --issuance-profile tls-client
	[ "$(git rev-list --count "$head..HEAD")" -eq 1 ]
	[ "$(key_field "$id" '[.engine_id, .handle, .bound[0].resource_id] | join(" ")')" = 'hsm 0a0b root' ]
	export_ca root
	cmp <(openssl x509 -in ../root.pem -noout -pubkey) ../theirs.pub
	csr a
	sign root a
	accepted ../a.pem ../root.pem
	[ "$(lamassu kms key show 'pkcs11:object=theirs' -o id)" = "$id" ]
	# an authority whose certificate came from elsewhere
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../up.key -out ../up.pem -subj /CN=Up -days 900 \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	openssl x509 -req -in ../a.csr -CA ../up.pem -CAkey ../up.key -force_pubkey ../old.pub -days 300 -out ../old.pem \
		-extfile <(printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n') 2>/dev/null
	ok lamassu ca import old --cert ../old.pem --key 'pkcs11:id=%0c;type=private' --issuance-profile tls-client
	sign old a
	accepted ../a.pem ../old.pem ../up.pem
	# alone
	ok lamassu kms key alias 'pkcs11:object=label' third
	[ "$(key_field third '[.name, .handle, .adopted] | join(" ")')" = 'label 0d true' ]
	fails 4 'here already' lamassu kms key import 'pkcs11:object=label'
	[ -z "$(lamassu kms key list --all --filter recorded=false -o id)" ]
	# two tokens that have the name are not chosen between
	foreign one twin 0e
	foreign two twin 0f
	fails 2 'engines hsm and spare both have it' lamassu kms key import 'pkcs11:object=twin'
	ok lamassu kms key import 'pkcs11:object=twin' --engine spare
	[ "$(key_field twin .engine_id)" = spare ]
	ok lamassu kms key import 'pkcs11:token=one;object=twin' --name twin-one --tag ours
	p11_tool one -O --type privkey | grep -q 'label:.*twin$' # whoever made it still finds it
	[ "$(key_field twin-one .engine_id)" = hsm ]
	# a record goes without its key, and with it
	ok lamassu kms key delete twin-one --keep --yes
	p11_tool one -O --type privkey | grep -q twin
	ok lamassu kms key delete twin --yes
	no grep -q twin < <(p11_tool two -O --type privkey)
	sound
}

@test "K13 K4: a software key moves into a token and cannot come out; an engine with bound keys is not removed" {
	two_tokens
	ok lamassu ca create root --subject CN=Root --validity 10y --issuance-profile tls-client
	export_ca root
	id=$(ca_field root .key_id)
	ok lamassu kms key move "$id" --to hsm
	[ "$(ca_field root '[.engine_id, .security_level] | join(" ")')" = 'hsm SL0' ]
	[ -z "$(find .git/lamassu/keys -name '*.pem')" ]
	csr a
	sign root a
	accepted ../a.pem ../root.pem
	head=$(git rev-parse HEAD)
	fails 1 'cannot leave it' lamassu kms key move "$id" --to spare
	[ "$(git rev-parse HEAD)" = "$head" ]
	HSM_PIN=9999 fails 5 'PIN' lamassu ca sign root --csr ../a.csr
	fails 4 'holds 1 key' lamassu kms engine remove hsm
	# where it is meant to be, when it is not: nothing is changed
	ok lamassu kms key create soft --key-type ecdsa:256
	HSM_PIN=9999 fails 5 'PIN' lamassu kms key move soft --to spare
	[ "$(key_field soft .engine_id)" = software ]
	[ -z "$(p11_tool two -O --type privkey)" ]
	sound
}

@test "K13: a replica signs when the service goes away, before and in the middle of a batch" {
	openbao_start "$BATS_TEST_TMPDIR/bao"
	bao secrets enable transit >/dev/null
	two_tokens
	ok lamassu kms engine add bao --type HASHICORP_VAULT_TRANSIT --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" --set 'token=${BAO_TOKEN}'
	openssl ecparam -name prime256v1 -genkey -noout -out ../root.key
	ok lamassu kms key import ../root.key --name root-key --engine bao
	ok lamassu kms key import ../root.key --engine hsm --replica
	ok lamassu ca create root --key root-key --subject CN=Root --validity 10y --issuance-profile tls-client
	[ "$(ca_field root .engine_id)" = bao ]
	fails 4 'holds 1 key' lamassu kms engine remove hsm
	export_ca root
	csr a
	ok lamassu ca sign root --csr ../a.csr --out ../a.pem
	[[ $stderr != *hsm* ]]
	mkdir ../req
	for ((i = 0; i < 500; i++)); do printf '../a.csr ../req/%s.csr\n' "$i"; done | xargs -n 2 ln
	cut_after 100000
	ok lamassu kms engine set bao address="$cut_at"
	ok lamassu ca sign root --csr ../req --out ../out
	wait "$cut" # it was cut off in the middle
	[ "$(grep -c 'engine hsm signs from here on' <<<"$stderr")" -eq 1 ]
	[ "$(find ../out -name '*.pem' | wc -l)" -eq 500 ]
	[ "$(cat ../out/*.pem | openssl storeutl -noout -certs /dev/stdin | tail -n 1)" = 'Total found: 500' ]
	for f in ../out/*.pem; do echo "$f"; done | xargs openssl verify -trusted ../root.pem | grep -c OK | grep -qx 500
	# and for one signature, now that it is gone
	ok lamassu ca sign root --csr ../a.csr --out ../b.pem
	[[ $stderr == *'engine hsm signs'* ]]
	accepted ../b.pem ../root.pem
	ok lamassu kms key show root-key -o json
	[ "$(jq -r .engine_id <<<"$output")" = bao ]
	# without it nothing signs, and nothing is issued
	unset HSM_PIN
	before=$(issued)
	fails 6 'engine bao' lamassu ca sign root --csr ../a.csr
	[ "$(issued)" -eq "$before" ]
	# promoted, it needs the other one no longer
	export HSM_PIN=1234
	ok lamassu kms key move root-key --to hsm --keep
	[ "$(ca_field root .engine_id)" = hsm ]
	ok lamassu ca sign root --csr ../a.csr --out ../c.pem
	[[ $stderr == *'its replica cannot stand in'* && $stderr != *'signs'*'bao'* ]]
	sound
}

@test "K13: a replica signs when a token is taken away, a module hangs or a service is killed in the middle of a batch" {
	local w before
	export SHIM_MODULE SHIM_STALL=$BATS_TEST_TMPDIR/stalled SHIM_LOG=$BATS_TEST_TMPDIR/calls
	shim_build "$BATS_TEST_TMPDIR/shim.so"
	openbao_start "$BATS_TEST_TMPDIR/bao"
	bao secrets enable transit >/dev/null
	two_tokens
	SHIM_MODULE=$softhsm
	ok lamassu kms engine add bao --type HASHICORP_VAULT_TRANSIT --set address="$BAO_ADDR" --set ca_file="$BAO_CACERT" --set 'token=${BAO_TOKEN}'
	ok lamassu kms engine set hsm "module_path=$BATS_TEST_TMPDIR/shim.so" max_sessions=1 timeout=2s
	openssl ecparam -name prime256v1 -genkey -noout -out ../root.key
	ok lamassu kms key import ../root.key --name root-key --engine hsm
	ok lamassu kms key import ../root.key --engine bao --replica
	ok lamassu ca create root --key root-key --subject CN=Root --validity 10y --issuance-profile tls-client
	export_ca root
	many_csrs 16 ../batch
	touch "$SHIM_STALL"
	for w in removed=8 stall-at=8; do
		before=$(issued)
		: >"$SHIM_LOG"
		SHIM=$w ok lamassu ca sign root --csr ../batch --out "../$w"
		[ "$(grep -c 'engine bao signs from here on' <<<"$stderr")" -eq 1 ]
		[ "$(grep -c '^C_SignInit$' "$SHIM_LOG")" -ge 8 ]
		whole_batch "../$w" 16 "$before"
	done
	ok lamassu kms key move root-key --to bao --keep
	bao write sys/quotas/rate-limit/slow path=transit rate=2 interval=1s >/dev/null # so that there is a middle
	before=$(issued)
	: >../said
	lamassu -v ca sign root --csr ../batch --out ../killed >../said 2>&1 &
	job=$!
	for ((i = 0; i < 1500; i++)); do [ "$(grep -c 'transit sign: 200' ../said)" -lt 3 ] || break; sleep 0.02; done
	kill -9 "$BAO_PID"
	wait "$job" || { cat ../said; return 1; }
	grep 'engine hsm signs from here on' ../said
	whole_batch ../killed 16 "$before"
	sound
}

@test "K9 K5: what a service says of a key is shown, and until when it keeps a deleted one; out of reach it hides no record" {
	aws_nothing
	aws_keys
	ministack_start "$BATS_TEST_TMPDIR/ministack"
	new_pki
	aws_kms kms "$MINISTACK_URL"
	ok lamassu kms key create k --engine kms --key-type ecdsa:256
	arn=$(key_field k .handle)
	[ "$(key_field k .state)" = usable ]
	aws_api "$MINISTACK_URL" TrentService.DisableKey "{\"KeyId\":\"$arn\"}" >/dev/null
	[ "$(key_field k .state)" = disabled ]
	echo x >../msg
	fails 5 'disabled' lamassu kms key sign k --in ../msg
	aws_api "$MINISTACK_URL" TrentService.EnableKey "{\"KeyId\":\"$arn\"}" >/dev/null
	ok lamassu kms key delete k --yes --reason 'not needed'
	[[ $output$stderr =~ 'engine kms keeps its private part, unusable, until '(20[0-9-]+T[0-9:]+Z) ]]
	[ "$(date -d "${BASH_REMATCH[1]}" +%s)" -gt "$(date -d '+6 days' +%s)" ]
	git grep -q 'not needed' ledger
	# behind our back
	ok lamassu kms key create k2 --engine kms --key-type ecdsa:256
	arn=$(key_field k2 .handle)
	aws_api "$MINISTACK_URL" TrentService.ScheduleKeyDeletion "{\"KeyId\":\"$arn\",\"PendingWindowInDays\":9}" >/dev/null
	ok lamassu kms key show k2 -o json
	[ "$(jq -r .state <<<"$output")" = deleting ]
	[[ $(jq -r .gone_at <<<"$output") == "$(date -u -d '+9 days' +%F)"* ]]
	# nobody there
	ok lamassu kms key create k3 --engine kms --key-type ecdsa:256 --alias third
	server_stop "$MINISTACK_PID"
	MINISTACK_PID=
	ok lamassu kms key show k3 -o json
	[ "$(jq -r '[.name, .aliases[0], .state] | join(" ")' <<<"$output")" = 'k3 third ' ]
	[[ $stderr == *'state of the key is not known: engine kms'* ]]
	ok lamassu kms key list --all -o id
	[ "$(wc -l <<<"$output")" -eq 2 ]
	[[ $stderr == *'engine kms'* ]]
	ok lamassu kms key tag k3 kept
	[[ $stderr == *'not shown there'* ]]
	[ "$(key_field k3 '.tags[0]')" = kept ]
	head=$(git rev-parse HEAD)
	fails 6 'engine kms' lamassu kms key sign k3 --in ../msg
	[ "$(git rev-parse HEAD)" = "$head" ]
	fails 6 'engine kms' lamassu kms key delete k3 --yes
	[ "$(git rev-parse HEAD)" = "$head" ]
	ok lamassu kms key delete k3 --keep --yes
	sound
}
