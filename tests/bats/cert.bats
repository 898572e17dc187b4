#!/usr/bin/env bats
# Certificates after and beside `ca sign`. What leaves the program is judged by openssl, certtool and python's cryptography.
load helpers

pki() {
	new_pki "$@"
	ok lamassu ca create root --subject "CN=Root,O=Acme,C=US" --key-type ecdsa:384 --validity 20y
	ok lamassu ca create ca --parent root --subject "CN=Issuing,O=Acme" --key-type ecdsa:256 --validity 10y --issuance-profile tls-client
	ok lamassu ca export root --out ../root.pem
	ok lamassu ca export ca --out ../ca.pem
}

# leaf NAME: ../NAME.key, ../NAME.csr, ../NAME.pem, and its serial number in $serial
leaf() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../$1.key" -out "../$1.csr" -subj "/CN=$1" 2>/dev/null
	ok lamassu ca sign ca --csr "../$1.csr" --out "../$1.pem" || return 1
	serial=$(serial_of "../$1.pem")
}

serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2 | tr A-F a-f; }
field() { lamassu cert show "$1" -o json | jq -r "$2"; }

@test "C11: a certificate is found by its number in any form, fingerprint and file; an ambiguous one is refused" {
	pki
	leaf a
	colons=$(sed 's/../&:/g; s/:$//' <<<"$serial")
	print=$(openssl x509 -in ../a.pem -noout -fingerprint -sha256 | cut -d= -f2)
	for ref in "$serial" "${serial^^}" "$colons" "${colons^^}" "${colons//:/-}" "0x$serial" "${serial:0:8}" "${serial:0:13}" "$print" \
		"${print//:/}" ../a.pem; do
		ok lamassu cert show "$ref" -o id
		[ "$output" = "$serial" ] || { echo "$ref"; return 1; }
	done
	openssl x509 -in ../a.pem -outform DER -out ../a.der
	ok lamassu cert show ../a.der -o id
	ok lamassu cert show - -o id <../a.pem
	[ "$output" = "$serial" ]
	fails 3 'not in the ledger; serial numbers are shortened to 8 digits or more' lamassu cert show "${serial:0:7}"
	fails 3 'not in the ledger' lamassu cert show "00${serial}"
	fails 3 'neither a serial number' lamassu cert show nothing.pem
	fails 3 "as one of root" lamassu cert show --ca root "$serial"

	# The same number from two authorities, both imported.
	for n in 1 2; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../o$n.key" -out "../o$n.pem" -subj "/CN=Other $n" \
			-days 100 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
		ok lamassu ca import "other-$n" --cert "../o$n.pem"
		openssl x509 -req -in ../a.csr -CA "../o$n.pem" -CAkey "../o$n.key" -set_serial 0x1122334455667788 -days 10 -out "../t$n.pem" 2>/dev/null
		ok lamassu cert import "../t$n.pem"
	done
	fails 2 '--ca' lamassu cert show 11:22:33:44:55:66:77:88
	fails 2 '--ca' lamassu cert show 1122334455
	ok lamassu cert show 1122334455667788 --ca other-2 -o json
	[ "$(jq -r .ca <<<"$output")" = other-2 ]
}

@test "C11: show says what openssl says; list filters, sorts, pages and shows everything" {
	pki
	leaf a
	leaf b
	ok lamassu cert show ../a.pem -o json
	[ "$(jq -r .certificate <<<"$output" | openssl x509 -noout -fingerprint)" = "$(openssl x509 -in ../a.pem -noout -fingerprint)" ]
	[ "$(date -ud "$(jq -r .not_after <<<"$output")" +%s)" = "$(date -ud "$(openssl x509 -in ../a.pem -noout -enddate | cut -d= -f2)" +%s)" ]
	[ "$(jq -c '[.subject,.issuer,.ca,.profile,.status,.type,.key_type,.extensions.keyUsage]' <<<"$output")" = \
		'["CN=a","CN=Issuing,O=Acme","ca","tls-client","ACTIVE","ISSUED","ecdsa:256","critical: digitalSignature"]' ]
	ok lamassu cert list --filter ca=ca --sort-by subject --sort-mode desc -o json
	[ "$(jq -c '[.list[].subject]' <<<"$output")" = '["CN=b","CN=a"]' ]
	ok lamassu cert list --page-size 3 -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 3 ]
	ok lamassu cert list --bookmark "$(jq -r .next <<<"$output")" -o json
	[ "$(jq -c '[(.list | length), .next]' <<<"$output")" = '[1,null]' ]
	# a bookmark goes on with its own list, not with another one
	ok lamassu cert list --filter ca=ca --sort-by subject --page-size 1 -o json
	next=$(jq -r .next <<<"$output")
	ok lamassu cert list --bookmark "$next" --filter ca=ca --sort-by subject -o json
	[ "$(jq -c '[.list[].subject]' <<<"$output")" = '["CN=b"]' ]
	for other in --filter=ca=root --filter=status=REVOKED --sort-by=serial_number --sort-mode=desc; do
		fails 2 '--bookmark carries the filters and the order' lamassu cert list --bookmark "$next" "$other"
	done
	ok lamassu cert list --all -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 4 ]
	ok lamassu cert list --all
	[ "$(wc -l <<<"$output")" -eq 5 ]
	ok lamassu cert list --all --filter 'subject[ct]=nobody' -o json
	[ "$(jq -c . <<<"$output")" = '{"list":[],"next":null}' ]
	fails 2 'unknown field' lamassu cert list --filter colour=red
	fails 2 '--columns: unknown field "colour"; known are serial_number status ' lamassu cert list --columns ca,colour
	# a terminal, which need not be there: rows fit, times keep their date and states their name
	cc -shared -fPIC -o ../terminal.so -x c - <<<'int isatty(int fd) { return fd == 1; }'
	on_terminal() { # on_terminal COLUMNS ARGUMENTS
		ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0 COLUMNS=$1 LD_PRELOAD=$PWD/../terminal.so \
			"$LAMASSU" "${@:2}" --color never
	}
	table=$(on_terminal 80 cert list --all)
	[ "$(LC_ALL=C.UTF-8 wc -L <<<"$table")" -eq 80 ]
	echo "$table"
	narrow=$(on_terminal 60 ca list && on_terminal 60 cert list --all)
	[ "$(LC_ALL=C.UTF-8 wc -L <<<"$narrow")" -le 60 ]
	[ "$(grep -c '^[0-9a-f]*…  ACTIVE ' <<<"$narrow")" -eq 4 ]
	[ "$(grep -c "^[0-9a-f]\{32\}  ACTIVE .* 20..-..-..…$" <<<"$table")" -eq 4 ]
}

@test "C11: verify trusts our roots only, at any time, and knows revocations of certificate and authority" {
	pki
	leaf a
	ok lamassu cert verify ../a.pem
	ok lamassu cert verify "$serial" -o json
	[ "$(jq -c '[.valid,.chain]' <<<"$output")" = '[true,["CN=a","CN=Issuing,O=Acme","CN=Root,O=Acme,C=US"]]' ]
	openssl verify -CAfile ../root.pem -untrusted ../ca.pem ../a.pem
	ok lamassu cert verify ../root.pem
	fails 5 'expired' lamassu --at 2040-01-01 cert verify ../a.pem
	fails 5 'not yet valid' lamassu --at 2020-01-01 cert verify ../a.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../f.key -out ../f.pem -subj "/CN=Root/O=Acme" -days 10 2>/dev/null
	fails 5 'no authority of this repository issued it' lamassu cert verify ../f.pem
	# A certificate whose signature is damaged.
	openssl x509 -in ../a.pem -outform DER | python3 -c 'import sys; d = bytearray(sys.stdin.buffer.read()); d[-3] ^= 1; sys.stdout.buffer.write(d)' >../bad.der
	fails 5 '' lamassu cert verify ../bad.der
	leaf b
	ok lamassu cert revoke "$serial" --reason key_compromise --yes
	fails 5 'key_compromise' lamassu cert verify ../b.pem
	leaf c
	ok lamassu cert hold "$serial" --yes
	fails 5 'on hold' lamassu cert verify ../c.pem
	ok lamassu ca revoke ca --reason ca_compromise --yes
	fails 5 'ca is REVOKED' lamassu cert verify ../a.pem
	printf junk >../junk.pem
	fails 2 '' lamassu cert verify ../junk.pem
}

@test "C11: a certificate without a record, but of our authority, is good with a warning" {
	pki
	leaf a
	ok lamassu init ../other --unencrypted-keys
	ok lamassu -C ../other ca import root --cert ../root.pem
	ok lamassu -C ../other ca import ca --cert ../ca.pem
	ok lamassu -C ../other cert verify ../a.pem
	[[ $stderr == *"no record of this certificate"* ]]
	ok lamassu -C ../other cert import ../a.pem -o json
	[ "$(jq -c '[.ca,.type,.status]' <<<"$output")" = '["ca","IMPORTED","ACTIVE"]' ]
	ok lamassu -C ../other cert verify ../a.pem
	[ -z "$stderr" ]
}

@test "C9 C11: revocations of several in one commit; openssl reads reason and date from the CRL" {
	pki
	for n in a b c d; do leaf "$n"; done
	n=$(git rev-list --count ledger)
	ok lamassu cert revoke ../a.pem "$(serial_of ../b.pem)" --reason KeyCompromise --yes --note stolen
	[ "$(git rev-list --count ledger)" -eq $((n + 1)) ]
	[[ $output == "revoked 2 certificates" ]]
	ok lamassu cert revoke ../c.pem --reason cessationOfOperation --at 2026-01-02T03:04:05Z --invalidity 2026-01-01 --yes --crl
	ok lamassu ca crl ca --out ../crl.pem
	text=$(openssl crl -in ../crl.pem -noout -text)
	[ "$(grep -c 'Serial Number:' <<<"$text")" -eq 3 ]
	[ "$(grep -c 'Key Compromise' <<<"$text")" -eq 2 ]
	grep -A4 -i "$(serial_of ../c.pem)" <<<"$text" | grep -q 'Jan  2 03:04:05 2026'
	[[ $text == *"Cessation Of Operation"*"Invalidity Date"* ]]
	openssl crl -in ../crl.pem -CAfile ../ca.pem -noout
	no openssl verify -crl_check -CAfile ../root.pem -untrusted ../ca.pem -CRLfile ../crl.pem ../a.pem
	openssl verify -crl_check -CAfile ../root.pem -untrusted ../ca.pem -CRLfile ../crl.pem ../d.pem
	[ "$(field ../a.pem '[.status,.revocation_reason] | join(" ")')" = 'REVOKED key_compromise' ]

	fails 4 'revoked already' lamassu cert revoke ../a.pem --reason superseded --yes
	fails 1 '1 of 2' lamassu cert revoke ../a.pem ../d.pem --reason superseded --yes
	[[ $stderr == *"revoked already"* ]]
	[ "$(field ../d.pem .status)" = REVOKED ]
	leaf e
	n=$(git rev-parse ledger)
	fails 4 'revoked already' lamassu cert revoke ../e.pem ../a.pem --reason superseded --yes --atomic
	fails 2 '--reason' lamassu cert revoke ../e.pem --yes
	fails 2 'none of RFC 5280' lamassu cert revoke ../e.pem --reason bored --yes
	fails 2 'future' lamassu cert revoke ../e.pem --reason superseded --at 2090-01-01 --yes
	fails 2 '--yes' lamassu cert revoke ../e.pem --reason superseded
	fails 3 'not in the ledger' lamassu cert revoke 0123456789abcdef --reason superseded --yes
	ok lamassu -n cert revoke ../e.pem --reason superseded
	[ "$(git rev-parse ledger)" = "$n" ]
}

@test "C11: hold and release, and what a CRL says of them" {
	pki
	leaf a
	ok lamassu cert hold ../a.pem --yes --crl
	[ "$(field ../a.pem .status)" = HELD ]
	ok lamassu ca crl ca --out ../crl.pem
	openssl crl -in ../crl.pem -noout -text | grep -q 'Certificate Hold'
	fails 4 'on hold already' lamassu cert hold ../a.pem --yes
	ok lamassu cert unhold ../a.pem
	[ "$(field ../a.pem .status)" = ACTIVE ]
	ok lamassu ca crl ca --out ../crl.pem
	openssl crl -in ../crl.pem -noout -text | grep -q 'No Revoked Certificates'
	fails 4 'not on hold' lamassu cert unhold ../a.pem
	for i in 1 2 3 4 5 6; do # within a second too, the later entry counts
		ok lamassu cert hold ../a.pem --yes
		[ "$(field ../a.pem .status)" = HELD ]
		ok lamassu cert unhold ../a.pem
		[ "$(field ../a.pem .status)" = ACTIVE ]
	done
	ok lamassu cert hold ../a.pem --yes
	ok lamassu cert revoke ../a.pem --reason superseded --yes
	fails 4 'revoked already' lamassu cert unhold ../a.pem
}

@test "C11: export as pem, der, p7b, fullchain and p12; openssl and cryptography read them" {
	pki --encrypted
	ok lamassu cert issue --ca ca --profile tls-server --subject CN=www.example.com --san DNS:www.example.com --out ../w.pem
	w=$(serial_of ../w.pem)
	want=$(openssl x509 -in ../w.pem -noout -fingerprint)
	ok lamassu cert export "$w" --out ../x.pem
	[ "$(openssl x509 -in ../x.pem -noout -fingerprint)" = "$want" ]
	ok lamassu cert export "$w" --format der --out ../x.der
	[ "$(openssl x509 -inform DER -in ../x.der -noout -fingerprint)" = "$want" ]
	ok lamassu cert export "$w" --format p7b --out ../x.p7b
	[ "$(openssl pkcs7 -in ../x.p7b -print_certs -noout | grep -c ^subject)" -eq 3 ]
	ok lamassu cert export "$w" --format fullchain --out ../full.pem
	[ "$(grep -c BEGIN ../full.pem)" -eq 2 ]
	openssl verify -CAfile ../root.pem -untrusted ../full.pem ../w.pem
	ok lamassu cert export "$w" --chain
	[ "$(grep -c BEGIN <<<"$output")" -eq 3 ]

	printf 'p12 secret\nnot this line\n' >../pw
	fails 2 '--out' lamassu cert export "$w" --format p12
	ok lamassu cert export "$w" --format p12 --out ../w.p12 --export-passphrase-file ../pw
	[ "$(stat -c %a ../w.p12)" = 600 ]
	fails 4 'exist' lamassu cert export "$w" --format p12 --out ../w.p12 --export-passphrase-file ../pw
	LAMASSU_EXPORT_PASSPHRASE='p12 secret' ok lamassu cert export "$w" --format p12 --out ../w.p12 --force
	info=$(openssl pkcs12 -in ../w.p12 -passin 'pass:p12 secret' -info -noout 2>&1)
	[[ $info == *"MAC: sha256"*PBES2*AES-256-CBC*hmacWithSHA256* ]]
	openssl pkcs12 -in ../w.p12 -passin 'pass:p12 secret' -nodes -nocerts 2>/dev/null | openssl pkey -pubout | cmp - <(openssl x509 -in ../w.pem -noout -pubkey)
	python3 - <<-'P'
		from cryptography.hazmat.primitives.serialization import pkcs12
		key, cert, more = pkcs12.load_key_and_certificates(open('../w.p12', 'rb').read(), b'p12 secret')
		assert key.public_key().public_numbers() == cert.public_key().public_numbers() and len(more) == 2
	P
	LAMASSU_EXPORT_PASSPHRASE=old ok lamassu cert export "$w" --format p12 --legacy --out ../old.p12
	info=$(openssl pkcs12 -legacy -in ../old.p12 -passin pass:old -info -noout 2>&1)
	[[ $info == *"MAC: sha1"*pbeWithSHA1And3-KeyTripleDES-CBC* ]]

	leaf a
	fails 5 'not in our engines' lamassu cert export "$serial" --format p12 --out ../a.p12
	LAMASSU_EXPORT_PASSPHRASE=x ok lamassu cert export "$serial" --format p12 --key ../a.key --out ../a.p12
	openssl pkcs12 -in ../a.p12 -passin pass:x -nodes -nocerts 2>/dev/null | openssl pkey -pubout | cmp - <(openssl x509 -in ../a.pem -noout -pubkey)
	fails 5 'not the key' lamassu cert export "$w" --format p12 --key ../a.key --out ../b.p12
	[ ! -e ../b.p12 ]
	fails 2 'p12' lamassu cert export "$w" --legacy
}

@test "C11: chain up to the root, also of a file" {
	pki
	leaf a
	ok lamassu cert chain ../a.pem -o json
	[ "$(jq -c '[.list[].subject]' <<<"$output")" = '["CN=a","CN=Issuing,O=Acme","CN=Root,O=Acme,C=US"]' ]
	ok lamassu cert chain "$serial" --out ../chain.pem
	certtool --verify-chain --infile ../chain.pem | grep -q 'Chain verification output: Verified'
}

@test "C11: foreign certificates are recorded with their issuer, once, and can be revoked" {
	pki
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ../o.key -out ../o.pem -subj "/CN=Old CA" -days 400 \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	ok lamassu ca import old --cert ../o.pem --key ../o.key
	for i in 1 2 3; do
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../k.pem -subj "/CN=host-$i" 2>/dev/null |
			openssl x509 -req -CA ../o.pem -CAkey ../o.key -set_serial "0xabcdef0123456$i" -days 30 2>/dev/null >>../many.pem
	done
	n=$(git rev-list --count ledger)
	ok lamassu cert import ../many.pem --metadata source=openssl --profile tls-server -o json
	[ "$(git rev-list --count ledger)" -eq $((n + 1)) ]
	[ "$(jq -c '[.list[] | [.ca,.subject,.metadata.source]] | sort' <<<"$output")" = \
		'[["old","CN=host-1","openssl"],["old","CN=host-2","openssl"],["old","CN=host-3","openssl"]]' ]
	fails 1 '3 of 3' lamassu cert import ../many.pem
	openssl req -x509 -newkey rsa:1024 -nodes -keyout ../k.pem -out ../self.pem -subj "/CN=stranger" -days 30 2>/dev/null
	ok lamassu cert import ../self.pem -o json
	[ "$(jq -r .ca <<<"$output")" = - ]
	[[ $stderr == *weak* ]]
	fails 4 'recorded already' lamassu cert import ../self.pem
	fails 5 'did not issue it' lamassu cert import ../root.pem --ca old
	ok lamassu cert revoke abcdef01234562 --reason superseded --yes
	ok lamassu ca crl old --out ../old.crl
	openssl crl -in ../old.crl -CAfile ../o.pem -noout -text | grep -qi 'Serial Number: ABCDEF01234562'
	printf junk >../junk.pem
	fails 2 'junk.pem' lamassu cert import ../junk.pem
}

@test "C11: metadata of a certificate changes, the certificate's entry does not" {
	pki
	leaf a
	path=$(field "$serial" .path)
	entry=$(git show "ledger:$path")
	ok lamassu cert metadata set "$serial" site=vienna 'tags=["x","y"]' n=5 -o json
	[ "$(jq -c '[.metadata.site,.metadata.tags,.metadata.n]' <<<"$output")" = '["vienna",["x","y"],5]' ]
	for i in 1 2 3 4 5; do
		ok lamassu cert metadata set ../a.pem "site=$i"
		[ "$(field ../a.pem .metadata.site)" = "$i" ]
	done
	ok lamassu cert metadata set ../a.pem site=graz
	ok lamassu cert metadata unset "$serial" n
	ok lamassu cert metadata show "$serial" -o json
	[ "$(jq -c .metadata <<<"$output")" = '{"site":"graz","tags":["x","y"]}' ]
	[ "$(git show "ledger:$path")" = "$entry" ]
	ok lamassu cert list --filter metadata.site=graz -o id
	[ "$output" = "$serial" ]
	fails 2 'key=value' lamassu cert metadata set "$serial" site
}

@test "C11: what ends soon" {
	pki
	leaf a
	ok lamassu ca sign ca --csr ../a.csr --validity 5d --out ../soon.pem
	ok lamassu ca sign ca --csr ../a.csr --validity 20d --out ../later.pem
	ok lamassu ca sign ca --csr ../a.csr --validity 6d --out ../gone.pem
	ok lamassu cert revoke ../gone.pem --reason superseded --yes
	ok lamassu cert expiring --within 10d -o id
	[ "$output" = "$(serial_of ../soon.pem)" ]
	ok lamassu cert expiring -o id
	[ "$output" = "$(serial_of ../soon.pem)"$'\n'"$(serial_of ../later.pem)" ]
	ok lamassu cert expiring --within 10d --filter ca=root -o id
	[ -z "$output" ]
	ok lamassu --at "$(date -ud '+15 days' +%FT%TZ)" cert expiring --within 10d -o id
	[ "$output" = "$(serial_of ../later.pem)" ]
}

@test "C17: key and certificate in one step, in an engine or a file; nothing stays behind of what failed" {
	pki
	ok lamassu cert issue --ca ca --profile tls-server --subject "CN=www.example.com" --san DNS:www.example.com --san IP:192.0.2.7 \
		--key-type rsa:2048 --out ../w.pem -o json
	[ "$(jq -r .type <<<"$output")" = MANAGED ]
	openssl verify -CAfile ../root.pem -untrusted ../ca.pem -purpose sslserver -verify_hostname www.example.com ../w.pem
	openssl verify -CAfile ../root.pem -untrusted ../ca.pem -verify_ip 192.0.2.7 ../w.pem
	key=$(jq -r .key_id <<<"$output")
	[ "$(key_id <(openssl x509 -in ../w.pem -noout -pubkey))" = "$key" ]
	grep -q "certificate" "keys/$key.yaml"
	[ -f ".git/lamassu/keys/$key.pem" ]

	ok lamassu cert issue --ca ca --subject CN=db --key-out ../db.key --out ../db.pem
	[ "$(stat -c %a ../db.key)" = 600 ]
	openssl pkey -in ../db.key -pubout | cmp - <(openssl x509 -in ../db.pem -noout -pubkey)
	[ "$(field ../db.pem .type)" = ISSUED ]
	sum=$(sha256sum ../db.key)
	fails 4 'exists already' lamassu cert issue --ca ca --subject CN=db --key-out ../db.key
	[ "$(sha256sum ../db.key)" = "$sum" ]
	# a key in use is not lost with a certificate that could not be recorded
	: >.git/refs/heads/ledger.lock
	fails 4 'holds this lock' lamassu --lock-timeout 1s cert issue --ca ca --subject CN=db --key-out ../db.key --force
	rm .git/refs/heads/ledger.lock
	[ "$(sha256sum ../db.key)" = "$sum" ] && [ ! -e ../db.key.new ]
	ok lamassu cert issue --ca ca --subject CN=db --key-out ../db.key --force --out ../db.pem
	openssl pkey -in ../db.key -pubout | cmp - <(openssl x509 -in ../db.pem -noout -pubkey)
	[ "$(stat -c %a ../db.key)" = 600 ] && [ ! -e ../db.key.new ]
	for out in ../both.pem .././both.pem; do
		fails 2 'name one file' lamassu cert issue --ca ca --subject CN=db --key-out ../both.pem --out $out
		[ ! -e ../both.pem ]
	done
	sum=$(sha256sum ../db.key)
	fails 2 'name one file' lamassu cert issue --ca ca --subject CN=db --key-out ../db.key --out ../db.key --force
	[ "$(sha256sum ../db.key)" = "$sum" ] && [ ! -e ../db.key.new ]
	LAMASSU_EXPORT_PASSPHRASE=secret ok lamassu cert issue --ca ca --subject CN=enc --key-out ../enc.key --encrypt-key --out ../enc.pem
	grep -q 'BEGIN ENCRYPTED PRIVATE KEY' ../enc.key
	openssl pkey -in ../enc.key -passin pass:secret -pubout | cmp - <(openssl x509 -in ../enc.pem -noout -pubkey)

	ok lamassu cert issue --ca ca --key "$key" --subject CN=again -o json
	[ "$(jq -r .key_id <<<"$output")" = "$key" ]
	before="$(ls .git/lamassu/keys) $(git rev-parse HEAD ledger)"
	fails 5 'does not allow' lamassu cert issue --ca ca --profile tls-server --subject CN=x --key-type ed25519
	fails 2 'both be empty' lamassu cert issue --ca ca
	fails 5 'makes authorities' lamassu cert issue --ca ca --profile root-ca --subject CN=x
	fails 2 'key-type' lamassu cert issue --ca ca --subject CN=x --key-type rsa:1024
	fails 3 'nobody' lamassu cert issue --ca nobody --subject CN=x
	fails 2 'existing key' lamassu cert issue --ca ca --subject CN=x --key "$key" --key-type rsa:2048
	fails 5 'does not allow' lamassu cert issue --ca ca --profile tls-server --subject CN=x --key-type ed25519 --key-out ../no.key
	[ ! -e ../no.key ]
	fails 3 'no such file' lamassu cert issue --ca ca --subject CN=x --key-out /nonexistent/x.key
	ok lamassu -n cert issue --ca ca --subject CN=dry --key-out ../dry.key --out ../dry.pem
	ok lamassu -n cert issue --ca ca --subject CN=dry --out ../dry.pem
	[ ! -e ../dry.key ] && [ ! -e ../dry.pem ]
	[ "$(ls .git/lamassu/keys) $(git rev-parse HEAD ledger)" = "$before" ]
	[ -z "$(git status --porcelain)" ]
}

@test "P11 C17: renewal inside the profile's window, with the same key and names, once" {
	pki
	ok lamassu cert issue --ca ca --profile tls-server --subject "CN=www.example.com,O=Foo" --san DNS:www.example.com --out ../w.pem
	ok lamassu cert issue --ca ca --profile tls-server --subject "CN=b" --san DNS:b.example --out ../b.pem
	leaf foreign
	old=$(serial_of ../w.pem)
	fails 5 'renews from' lamassu cert renew "$old"
	ok lamassu cert renew --due
	[ -z "$output" ]
	later=$(date -ud '+70 days' +%FT%TZ)
	ok lamassu cert revoke ../b.pem --reason superseded --yes
	mkdir ../new
	ok lamassu --at "$later" cert renew --due --out ../new -o json
	[ "$(jq -r .renewed_from <<<"$output")" = "$old" ]
	new=$(jq -r .serial_number <<<"$output")
	[ "$(ls ../new)" = "$new.pem" ]
	[ "$new" != "$old" ]
	[ "$(openssl x509 -in "../new/$new.pem" -noout -pubkey -subject -ext subjectAltName)" = \
		"$(openssl x509 -in ../w.pem -noout -pubkey -subject -ext subjectAltName)" ]
	openssl verify -attime "$(date -ud "$later" +%s)" -CAfile ../root.pem -untrusted ../ca.pem "../new/$new.pem"
	[ "$(field "$old" '.metadata["lamassu.io/certificate/renewed-as"]')" = "$new" ]
	[ "$(field "$new" '.metadata["lamassu.io/certificate/renewed-from"]')" = "$old" ]
	grep -q "ca/$new" "keys/$(field "$new" .key_id).yaml"
	ok lamassu --at "$later" cert renew --due
	[ -z "$output" ]
	ok lamassu cert renew "$new" --force --out ../again.pem
	fails 5 'not in our engines' lamassu cert renew ../foreign.pem --force
	fails 5 'REVOKED' lamassu cert renew ../b.pem --force
	fails 5 'ca reissue' lamassu cert renew ../ca.pem --force
	fails 2 'one of them' lamassu cert renew
	ok lamassu profile set tls-server sign_as_ca=true key_usage.cert_sign=true
	fails 5 'profile tls-server makes authorities' lamassu cert renew "$new" --force
}
