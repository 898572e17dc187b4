#!/usr/bin/env bats
# Input as strangers and tired people write it: refused with the reason and the place, and nothing changes.
load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" && new_cas && new_csr ../good && new_csr ../better || return 1
	mkdir ../bad; python3 "$LAMASSU_SOURCE/tests/bats/bad_requests.py" ../bad
	cat >../reasons <<'R'
signature|signature does not verify
rsa-1024|RSA key below 2048 bits
secp192r1|EC curve below 224 bits
explicit-curve|explicit parameters
trailing|trailing bytes after the request
trailing-pem|trailing bytes after the request
extensions-1mb|than
extensions-many|more than 64 extensions
extension-twice|1.2.3.4 is there twice
nul|CN is not a valid string
nul-san|subjectAltName
newline-san|subjectAltName
version|version is not v1
dsa|key type is not supported
x25519|key type is not supported
secp256k1|EC curve is not one of
not-utf8|CN is not a valid string
surrogate|CN is not a valid string
country-3|C has 3 characters
truncated|not a PKCS#10 request
long-length|not a PKCS#10 request
indefinite|not a PKCS#10 request
nested|120000 octets
empty|no certificate request found
text|no certificate request found
certificate|no certificate request found
damaged-pem|PEM block is damaged
R
}

setup() {
	cp -a "$BATS_FILE_TMPDIR/pki" "$BATS_TEST_TMPDIR/pki"
	cd "$BATS_TEST_TMPDIR/pki" || return 1
	bad=$BATS_FILE_TMPDIR/bad good=$BATS_FILE_TMPDIR/good.csr better=$BATS_FILE_TMPDIR/better.csr
	before=$(tips)
}

untouched() {
	[ "$(tips)" = "$before" ] && [ -z "$(git status --porcelain)" ] && [ -z "$(leftovers)" ] && return
	tips
	git status --porcelain
	leftovers
	return 1
}

@test "C7 robust: a bad request alone is refused with the reason, and nothing is issued" {
	while IFS='|' read -r name reason; do
		status=0
		stderr=$(lamassu ca sign devices --profile tls-server --csr "$bad/$name.csr" --out ../out.pem 2>&1 >../printed) || status=$?
		echo "$name: $status $stderr"
		[ "$status" -eq 2 ] || [ "$status" -eq 5 ]
		[[ $stderr == "lamassu: $name.csr: "*"$reason"* ]]
		one_line
		[ ! -e ../out.pem ]
		[ ! -s ../printed ]
		untouched
	done <"$BATS_FILE_TMPDIR/reasons"
	[ "$(ls "$bad" | wc -l)" -eq "$(wc -l <"$BATS_FILE_TMPDIR/reasons")" ]
}

@test "C7 robust: bad requests in a batch are named with the reason, and the good ones are issued" {
	mkdir ../all && cp "$bad"/*.csr ../all/ && cp "$good" ../all/a-good.csr && cp "$better" ../all/z-good.csr
	n=$(issued)
	fails 1 'of 29 requests failed' lamassu ca sign devices --profile tls-server --csr ../all --out ../outs -o json
	while IFS='|' read -r name reason; do
		[[ $stderr == *"$name.csr: "*"$reason"* ]] || { echo "$name is not named"; return 1; }
		[[ $(jq -r --arg n "$name.csr" '.list[] | select(.request == $n) | .error' <<<"$output") == *"$reason"* ]]
	done <"$BATS_FILE_TMPDIR/reasons"
	[ "$(jq '[.list[] | select(.serial_number)] | length' <<<"$output")" -eq 2 ]
	[ "$(ls ../outs)" = $'a-good.pem\nz-good.pem' ]
	[ "$(issued)" -eq $((n + 2)) ]
	for f in ../outs/*; do
		ok lamassu cert show "$(serial_of "$f")" -o json
		[ "$(openssl x509 -in "$f" -noout -pubkey)" != "" ]
	done
	[ "$(openssl x509 -in ../outs/a-good.pem -noout -pubkey)" = "$(openssl req -in "$good" -noout -pubkey)" ]
	sound
}

@test "C7 robust: with --atomic one bad request keeps all back" {
	mkdir ../all && cp "$bad/signature.csr" "$bad/nul.csr" "$good" "$better" ../all/
	fails 1 'signature does not verify' lamassu ca sign devices --csr ../all --out ../outs --atomic
	[ -z "$(ls ../outs)" ]
	untouched
}

@test "C7 robust: a bad request among several on standard input" {
	n=$(issued)
	{ cat "$good"; openssl req -inform DER -in "$bad/signature.csr" -outform PEM; cat "$better"; } >../three.pem
	fails 1 'signature does not verify' lamassu ca sign devices --csr - --out ../outs <../three.pem
	[ "$(issued)" -eq $((n + 2)) ]
	[ "$(ls ../outs | wc -l)" -eq 2 ]
	tar -cf ../all.tar -C "$bad" nul.csr signature.csr -C "$(dirname "$good")" good.csr
	fails 1 '2 of 3 requests failed' lamassu ca sign devices --csr - --out ../outs2 <../all.tar
	[ "$(issued)" -eq $((n + 3)) ]
	sound
}

@test "C7 robust: an archive that lies about its content" {
	tar -cf ../a.tar -C "$(dirname "$good")" good.csr better.csr
	head -c 700 ../a.tar >../cut.tar
	cp ../a.tar ../size.tar && printf '77777777777' | dd of=../size.tar bs=1 seek=124 conv=notrunc 2>/dev/null
	cp ../a.tar ../sum.tar && printf 'x' | dd of=../sum.tar bs=1 seek=150 conv=notrunc 2>/dev/null
	for f in ../cut.tar ../size.tar ../sum.tar; do
		status=0
		stderr=$(lamassu ca sign devices --csr - --out ../outs <"$f" 2>&1) || status=$?
		echo "$f $status $stderr"
		[ "$status" -eq 2 ]
		one_line
		untouched
	done
	mkdir ../evil && cp "$good" ../evil/x
	tar -cf ../evil.tar --transform 's,^x$,../../escaped.csr,' -P -C ../evil x
	ok lamassu ca sign devices --csr - --out ../outs <../evil.tar
	[ ! -e ../../escaped.pem ] && [ ! -e ../escaped.pem ] && [ "$(find .. -name '*escaped*' | wc -l)" -eq 0 ]
}

# refused WHAT PLACE-AND-REASON DOCUMENT: profile create and update refuse it, at that place.
refused() {
	local file=../$1
	printf "$3" >"$file"
	fails 2 "$file$2" lamassu profile create -f "$file" && one_line && untouched &&
		fails 2 "standard input$2" lamassu profile create -f - <"$file" && untouched
}

@test "P1 robust: a document that is wrong is refused with line, column, field and nearest name" {
	refused unknown.yaml ':3:1: validty: unknown field; did you mean "validity"?' 'id: one\nname: x\nvalidty:\n  type: Time\n'
	refused nested.yaml ':4:3: validity.duraton: unknown field; did you mean "duration"?' 'id: one\nvalidity:\n  type: Duration\n  duraton: 1d\n'
	refused unknown.json ':2:15: validity.typ: unknown field; did you mean "type"?' '{"id": "one",\n "validity": {"typ": "Duration"}}'
	refused twice.yaml ':3:1: name: given twice' 'id: one\nname: a\nname: b\n'
	refused twice.json ':2:2: sign_as_ca: given twice' '{"id": "one", "sign_as_ca": true,\n "sign_as_ca": false}'
	refused type.yaml ':2:13: sign_as_ca: must be true or false, not "perhaps"' 'id: one\nsign_as_ca: perhaps\n'
	refused map.yaml ':2:11: validity: must be a mapping' 'id: one\nvalidity: 1d\n'
	refused unit.yaml ':4:13: validity.duration: duration "1M": there is no unit for months' 'id: one\nvalidity:\n  type: Duration\n  duration: 1M\n'
	refused usage.yaml ':2:22: extended_key_usages: unknown usage "clientAut", did you mean "clientAuth"?' 'id: one\nextended_key_usages: [clientAut]\n'
	refused key-usage.yaml ':3:3: key_usage: "digital_signatur" is not one of' 'id: one\nkey_usage:\n  digital_signatur: true\n'
	refused missing.yaml ':2:8: ca_id: ca "devixes" not found; did you mean "devices"?' 'id: one\nca_id: devixes\n'
	refused escape.yaml ':1:5: id: not a valid id' 'id: ../../etc\n'
	refused tab.yaml ':2:1: found a tab' 'id: one\n\tname: x\n'
	refused nul.yaml ':1:5: a NUL character' 'id: "o\\0ne"\n'
	refused latin1.yaml ':2:1: not UTF-8' 'id: one\nname: caf\xe9\n'
	refused second.yaml ':2:1: a second document' 'id: one\n---\nid: two\n'
	refused terminal.yaml ':2:1: bogus\x1b: unknown field' 'id: one\n"bogus\\e": 1\n'
	refused null.yaml ':2:7: name:' 'id: one\nname: ~\n'
	refused list.yaml ':1:1:' '[1, 2]\n'
	refused empty.yaml ':' ''
}

@test "P1 robust: bombs and giants are refused at once" {
	refused anchors.yaml ':1:4: anchors' 'a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nid: one\nextended_key_usages: [*b]\n'
	refused aliases.yaml ':' 'id: one\nname: *nothing\n'
	refused merge.yaml ':' 'id: one\n<<: {name: x}\n'
	refused tags.yaml ':1:5:' 'id: !!python/object:os.system one\n'
	refused deep.json ':1:17: nested too deeply' "$(head -c 5000 /dev/zero | tr '\0' '[')"
	{ printf 'id: one\ndescription: "'; head -c 10485760 /dev/zero | tr '\0' x; printf '"\n'; } >../huge.yaml
	fails 2 'huge.yaml: larger than 1048576 bytes' lamassu profile create -f ../huge.yaml
	fails 2 'standard input: larger than 1048576 bytes' lamassu profile create -f - <../huge.yaml
	fails 2 'larger than' lamassu profile create -f /dev/zero
	fails 2 'larger than' lamassu ca sign devices --csr /dev/zero
	{ printf 'id: one\nextended_key_usages: ['; yes 'x,' | head -n 200000 | tr -d '\n'; printf 'x]\n'; } >../many.yaml
	fails 2 'many.yaml:' lamassu profile create -f ../many.yaml
	one_line
	untouched
}

@test "C1 P14 robust: orders, settings and fragments name the place too" {
	printf 'id: one\nsubject: {common_name: x}\nparent_id: roott\n' >../ca.yaml
	fails 2 '../ca.yaml:3:12: parent_id: ca "roott" not found; did you mean "root"?' lamassu ca create -f ../ca.yaml
	printf 'id: one\nsubject: {common_nam: x}\n' >../ca.yaml
	fails 2 '../ca.yaml:2:11: subject.common_nam: unknown field; did you mean "common_name"?' lamassu ca create -f ../ca.yaml
	printf 'id: one\nsubject: {common_name: x}\nca_issuance_profile_id: iot-devise\n' >../ca.yaml
	fails 2 '../ca.yaml:3:25: ca_issuance_profile_id: profile "iot-devise" not found; did you mean "iot-device"?' lamassu ca create -f ../ca.yaml
	printf '{"id": "one", "subject": {"common_name": "x"},\n "engine_id": "softwar"}' >../ca.json
	fails 2 '../ca.json:2:15: engine_id: engine "softwar" not found; did you mean "software"?' lamassu ca create -f ../ca.json
	printf 'crl_update_interval_hour: 3\n' >../crl.yaml
	fails 2 '../crl.yaml:1:1: crl_update_interval_hour: unknown field; did you mean "crl_update_interval_hours"?' lamassu ca set devices -f ../crl.yaml
	fails 2 'profiles/iot-device.yaml:' lamassu profile set iot-device validity.duration=soon
	fails 2 'did you mean' lamassu profile set iot-device validty.duration=1d
	fails 2 'issuance_profile_id: profile "nothing" not found' lamassu ca set devices issuance_profile_id=nothing
	untouched
	[ "$(ls .git/lamassu/keys | wc -l)" -eq 2 ]
}

@test "P14 robust: a record that somebody committed wrong is named by file, line and column, and nothing is issued under it" {
	sed -i 's/^validity:/validty:/' profiles/iot-device.yaml
	git -c user.name=x -c user.email=x@y commit -qam 'edit by hand'
	line=$(grep -n '^validty' profiles/iot-device.yaml | cut -d: -f1)
	before=$(tips)
	fails 2 "profiles/iot-device.yaml:$line:1: validty: unknown field" lamassu ca sign devices --csr "$good"
	fails 2 "profiles/iot-device.yaml:$line:1: validty: unknown field" lamassu profile show iot-device
	fails 5 '1 problem' lamassu repo verify
	[[ $output == *"profiles/iot-device.yaml:$line:1: validty"* ]]
	untouched
	ok lamassu ca sign devices --profile tls-server --csr "$good"
}
