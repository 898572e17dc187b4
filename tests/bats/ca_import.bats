#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Authorities that exist already: with and without key, chains in any order, what is refused, and orphans that find their parent.
load helpers
load ca_helpers

# A foreign hierarchy made by openssl in ..: o-root, o-mid, o-ca (each .pem and .key), o-leaf below the last.
foreign() {
	local ext=$'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../o-root.key -out ../o-root.pem -subj "/CN=Old Root" -days 3000 \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	below o-mid o-root "/CN=Old Mid" "$ext"
	below o-ca o-mid "/CN=Old CA" "$ext"
	below o-leaf o-ca "/CN=leaf" $'keyUsage=critical,digitalSignature\n'
}
below() { # NAME ISSUER SUBJECT EXTENSIONS
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../$1.key" -out "../$1.csr" -subj "$3" 2>/dev/null
	openssl x509 -req -in "../$1.csr" -CA "../$2.pem" -CAkey "../$2.key" -days 2000 -out "../$1.pem" -extfile <(printf %s "$4") 2>/dev/null
}

@test "C2: a root with its key goes on issuing; the AKI copies the foreign SKI byte for byte" {
	new_pki
	foreign
	ok lamassu ca import old --cert ../o-root.pem --key ../o-root.key --issuance-profile tls-client --metadata from=openssl -o json
	[ "$(jq -c '[.type,.status,.level,.engine_id,.metadata]' <<<"$output")" = '["IMPORTED_WITH_KEY","ACTIVE",0,"software",{"from":"openssl"}]' ]
	[ "$(jq -j .certificate <<<"$output")" = "$(openssl x509 -in ../o-root.pem)" ]
	openssl pkey -in .git/lamassu/keys/*.pem -pubout | cmp - <(openssl x509 -in ../o-root.pem -noout -pubkey)
	csr new
	sign old new
	accepted ../new.pem ../o-root.pem
	ski=$(openssl x509 -in ../o-root.pem -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ' ')
	[ "${#ski}" -eq 59 ] # SHA-1, 20 octets: openssl's choice
	[ "$(openssl x509 -in ../new.pem -noout -ext authorityKeyIdentifier | tail -n 1 | tr -d ' ')" = "$ski" ]
	ok lamassu ca crl old --out ../old.crl
	openssl crl -in ../old.crl -CAfile ../o-root.pem -noout 2>&1 | grep -q 'verify OK'
	fails 4 'is that of ca old' lamassu ca import again --cert ../o-root.pem
	fails 4 'exists already' lamassu ca import old --cert ../o-mid.pem
	ok lamassu repo verify
}

@test "C2 C4: chains in any order bring their parents; without key an authority is known for chains only" {
	new_pki
	foreign
	cat ../o-mid.pem ../o-root.pem ../o-ca.pem >../chain.pem
	ok lamassu ca import old --cert ../chain.pem
	[ "$(jq -r .id < <(lamassu ca show old -o json))" = old ]
	[ "$(ca_field old '[.type,.level,.parent_id] | join(" ")')" = 'IMPORTED_WITHOUT_KEY 2 old-mid' ]
	[ "$(ca_field old-mid '[.type,.level,.parent_id] | join(" ")')" = 'IMPORTED_WITHOUT_KEY 1 old-root' ]
	ok lamassu cert import ../o-leaf.pem
	ok lamassu cert verify ../o-leaf.pem
	ok lamassu cert export ../o-leaf.pem --chain
	[ "$(grep -c BEGIN <<<"$output")" -eq 4 ]
	csr x
	fails 5 'no key here' lamassu ca sign old --csr ../x.csr --profile tls-client
	fails 5 'no key here' lamassu ca crl old
	# the key picks its certificate out of a chain; PKCS#7 and DER are read as well
	new2() { cd .. && ok lamassu init "pki-$1" --unencrypted-keys && cd "pki-$1"; }
	openssl crl2pkcs7 -nocrl -certfile ../chain.pem -outform DER -out ../chain.p7b
	new2 b
	ok lamassu ca import mid --cert ../chain.p7b --key ../o-mid.key
	[ "$(ca_field mid .subject)" = "CN=Old Mid" ]
	[ "$(ca_field old-ca .parent_id)" = mid ]
	sign mid x --profile tls-client
	accepted ../x.pem ../o-mid.pem ../o-root.pem
	openssl x509 -in ../o-root.pem -outform DER -out ../o-root.der
	new2 c
	ok lamassu ca import r --cert ../o-root.der
	ok lamassu repo verify
}

@test "C4: orphans find their parent when it arrives, keep what happened to them, and are shown once" {
	new_pki
	foreign
	ok lamassu ca import old --cert ../o-ca.pem --key ../o-ca.key
	ok lamassu ca import mid --cert ../o-mid.pem
	[ "$(ca_field old '[.level,.parent_id,.issuer_metadata.id] | join(" ")')" = '1 mid mid' ]
	[ "$(ca_field mid '[.level,.parent_id,.issuer_metadata] | tojson')" = '[0,null,{"id":"-","level":-1}]' ]
	serial=$(serial_of ../o-mid.pem)
	ok lamassu cert metadata set "$serial" note=kept
	ok lamassu ca revoke mid --reason superseded --yes
	[ "$(ca_field mid .status)" = REVOKED ]
	ok lamassu ca import root --cert ../o-root.pem
	[ "$(ca_field old '[.level,.parent_id] | join(" ")')" = '2 mid' ]
	[ "$(ca_field mid '[.level,.parent_id,.issuer_metadata.id,.status] | join(" ")')" = '1 root root REVOKED' ]
	ok lamassu cert show "$serial" -o json
	[ "$(jq -c '[.ca,.status,.revocation_reason,.metadata.note]' <<<"$output")" = '["root","REVOKED","superseded","kept"]' ]
	ok lamassu ca show "$serial" -o id
	[ "$output" = mid ]
	ok lamassu cert list --all -o id
	[ "$(sort <<<"$output" | uniq -d)" = '' ]
	[ "$(wc -l <<<"$output")" -eq 3 ]
	rm .git/lamassu/index.db*
	ok lamassu cert list --all -o id
	[ "$(wc -l <<<"$output")" -eq 3 ]
	ok lamassu repo verify
	# Two that certified each other do not become each other's parents.
	for n in a b; do
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../x$n.key -out ../x$n.csr -subj "/CN=X$n" 2>/dev/null
		openssl req -x509 -key ../x$n.key -out ../s$n.pem -subj "/CN=X$n" -days 99 2>/dev/null
	done
	ext=$'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'
	openssl x509 -req -in ../xa.csr -CA ../sb.pem -CAkey ../xb.key -days 99 -out ../a-by-b.pem -extfile <(printf %s "$ext") 2>/dev/null
	openssl x509 -req -in ../xb.csr -CA ../sa.pem -CAkey ../xa.key -days 99 -out ../b-by-a.pem -extfile <(printf %s "$ext") 2>/dev/null
	ok lamassu ca import a --cert ../a-by-b.pem
	ok lamassu ca import b --cert ../b-by-a.pem
	ok lamassu ca list
}

@test "C2: a PKCS#12 with key and chain, and encrypted key files" {
	new_pki
	foreign
	openssl pkcs12 -export -inkey ../o-ca.key -in ../o-ca.pem -certfile <(cat ../o-mid.pem ../o-root.pem) -passout pass:bag -out ../old.p12
	LAMASSU_IMPORT_PASSPHRASE=wrong fails 5 'passphrase' lamassu ca import old --cert ../old.p12
	[ ! -e .git/lamassu/keys ] || [ -z "$(ls .git/lamassu/keys)" ]
	LAMASSU_IMPORT_PASSPHRASE=bag ok lamassu ca import old --cert ../old.p12
	[ "$(ca_field old '[.type,.level] | join(" ")')" = 'IMPORTED_WITH_KEY 2' ]
	csr x
	sign old x --profile tls-client
	accepted ../x.pem ../o-ca.pem ../o-mid.pem ../o-root.pem
	openssl pkey -in ../o-mid.key -aes256 -passout pass:key -out ../enc.key
	ok lamassu ca delete old-mid --yes || fails 4 'live' lamassu ca delete old-mid --yes
	cd .. && ok lamassu init two --unencrypted-keys && cd two
	LAMASSU_IMPORT_PASSPHRASE=wrong fails 5 'passphrase' lamassu ca import mid --cert ../o-mid.pem --key ../enc.key
	LAMASSU_IMPORT_PASSPHRASE=key ok lamassu ca import mid --cert ../o-mid.pem --key ../enc.key
	[ "$(ca_field mid .type)" = IMPORTED_WITH_KEY ]
}

@test "C2 K7: MANAGED where the key is here already; that key is never touched by a dry run or a failure" {
	new_pki
	foreign
	ok lamassu kms key import ../o-root.key --name mine -o id
	file=.git/lamassu/keys/$output.pem
	ok lamassu --dry-run ca import old --cert ../o-root.pem
	[ -f "$file" ]
	ok lamassu --dry-run ca import old --cert ../o-root.pem --key ../o-root.key
	[ -f "$file" ]
	mkdir -p cas/old && echo mine >cas/old/ca.yaml
	fails 4 'cas/old' lamassu ca import old --cert ../o-root.pem
	[ -f "$file" ]
	rm -r cas/old
	ok lamassu ca import old --cert ../o-root.pem
	[ "$(ca_field old .type)" = MANAGED ]
	[ -f "$file" ]
	ok lamassu kms key import ../o-mid.key --name named
	ok lamassu ca import mid --cert ../o-mid.pem --key named
	[ "$(ca_field mid .type)" = IMPORTED_WITH_KEY ]
	# a new key that came with a failed import does not stay
	keys=$(ls .git/lamassu/keys)
	ok lamassu --dry-run ca import new --cert ../o-ca.pem --key ../o-ca.key
	[ "$(ls .git/lamassu/keys)" = "$keys" ]
	# the public part alone is no key to sign with
	openssl pkey -in ../o-ca.key -pubout -out ../pub.pem
	ok lamassu kms key import ../pub.pem --name half
	fails 5 'only its public part' lamassu ca import new --cert ../o-ca.pem --key half
	ok lamassu ca import new --cert ../o-ca.pem
	[ "$(ca_field new .type)" = IMPORTED_WITHOUT_KEY ]
}

@test "C2: what is refused: another key, no CA, a bad signature, rubbish; nothing stays" {
	new_pki
	foreign
	head=$(git rev-parse HEAD ledger)
	fails 5 'for the key' lamassu ca import x --cert ../o-root.pem --key ../o-ca.key
	fails 5 'not a CA' lamassu ca import x --cert ../o-leaf.pem
	fails 5 'not a CA' lamassu ca import x --cert <(cat ../o-leaf.pem ../o-ca.pem)
	# self-issued, but the signature is not its own
	openssl req -x509 -key ../o-ca.key -out ../fake.pem -subj "/CN=Old Root" -days 9 2>/dev/null
	openssl x509 -in ../o-root.pem -outform DER -out ../r.der
	python3 - <<-'P'
		d = bytearray(open('../r.der', 'rb').read()); d[-1] ^= 1; open('../r.der', 'wb').write(d)
	P
	fails 5 'does not verify' lamassu ca import x --cert ../r.der
	fails 2 '' lamassu ca import x --cert <(echo rubbish)
	fails 2 '' lamassu ca import x --cert <(head -c 300 ../o-root.pem)
	fails 2 'not an id' lamassu ca import 'X!' --cert ../o-root.pem
	fails 3 'no-such.key' lamassu ca import x --cert ../o-root.pem --key no-such.key
	fails 3 'no-profile' lamassu ca import x --cert ../o-root.pem --issuance-profile no-profile
	[ "$(git rev-parse HEAD ledger)" = "$head" ]
	[ ! -e .git/lamassu/keys ] || [ -z "$(ls .git/lamassu/keys)" ]
}

@test "C2 C3 P9: an import of an expired or weak authority warns, and its status says it" {
	new_pki
	openssl req -x509 -newkey rsa:1024 -nodes -keyout ../weak.key -out ../weak.pem -subj /CN=Weak -days 30 2>/dev/null
	ok lamassu ca import weak --cert ../weak.pem
	[[ $stderr == *weak* ]]
	[ "$(ca_field weak .status)" = ACTIVE ]
	ok lamassu --at "$(now_plus '+31 days')" ca import late --cert <(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../no.key -subj /CN=Late -days 30 2>/dev/null)
	[[ $stderr == *ended* ]]
	[ "$(lamassu --at "$(now_plus '+31 days')" ca show late -o json | jq -r .status)" = EXPIRED ]
}
