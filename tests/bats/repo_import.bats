bats_require_minimum_version 1.5.0
load helpers
load repo_helpers

# An authority of `openssl ca` in ./old, with its openssl.cnf, three certificates and the numbers' files.
openssl_ca() {
	mkdir -p old/newcerts old/private && cd old || return 1
	: >index.txt && echo 1000 >serial && echo 07 >crlnumber
	cat >openssl.cnf <<-'END'
	[ ca ]
	default_ca = CA_default   # the only one
	[ CA_default ]
	dir = /where/it/once/was
	certificate = $dir/root.pem
	private_key = ${dir}/private/root.key
	database = $dir/index.txt
	new_certs_dir = $dir/newcerts
	serial = $dir/serial
	crlnumber = $dir/crlnumber
	crl = $dir/last.crl
	default_md = sha256
	default_days = 365
	default_crl_days = 30
	policy = any
	[ any ]
	commonName = supplied
	END
	sed "s|^dir = .*|dir = $PWD|" openssl.cnf >../now.cnf
	openssl req -x509 -newkey rsa:2048 "$@" -keyout private/root.key -out root.pem -subj '/O=Acme/CN=Old Root' -days 3650 2>/dev/null
	for name in a b c d; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../$name.key" -subj "/CN=$name.example.org" \
			-addext "subjectAltName=DNS:$name.example.org" 2>/dev/null |
			old_ca -in /dev/stdin -out "../$name.pem" -notext
	done
	cd ..
}

old_ca() {
	openssl ca -config ../now.cnf -batch -passin pass:geheim "$@" 2>/dev/null
}

serial_of() {
	openssl x509 -in "$1" -noout -serial | cut -d= -f2 | tr A-F a-f
}

field() { jq -r "$1" <<<"$output"; }

@test "repo import C2 C9 C13: an authority of openssl ca moves here with its past, and openssl trusts what goes on" {
	openssl_ca -nodes
	cd old
	old_ca -revoke ../a.pem -crl_reason keyCompromise
	old_ca -revoke ../b.pem -crl_reason certificateHold
	old_ca -revoke ../c.pem -crl_compromise 20240101000000Z
	old_ca -gencrl -out last.crl
	old_ca -gencrl -out later.crl
	cp -a . ../before
	cd .. && new_pki
	ok lamassu repo import --from openssl ../old --profile tls-server -o json
	[ "$(jq -c '[.ca,.key,.certificates,.revoked,.held,.missing,.crl_number]' <<<"$output")" = '["old-root",true,4,2,1,0,"8"]' ]
	[ "$(git rev-list --count main)" -eq 2 ]
	[ "$(git rev-list --count ledger)" -eq 2 ]
	diff -r ../old ../before
	ok lamassu cert show "$(serial_of ../a.pem)" -o json
	[ "$(field .status)/$(field .revocation_reason)/$(field .profile)" = REVOKED/key_compromise/tls-server ]
	ok lamassu cert show "$(serial_of ../b.pem)" -o json
	[ "$(field .status)" = HELD ]
	ok lamassu cert show "$(serial_of ../d.pem)" -o json
	[ "$(field .status)/$(field .type)" = ACTIVE/IMPORTED ]
	ok lamassu ca crl old-root --out ../new.crl
	openssl crl -in ../new.crl -CAfile ../old/root.pem -noout 2>&1 | grep -q 'verify OK'
	for name in a b c; do
		openssl crl -in ../new.crl -noout -text | grep -qi "Serial Number: $(serial_of ../$name.pem)"
	done
	openssl crl -in ../new.crl -noout -text | grep -A1 'Invalidity Date' | grep -q 'Jan  1 00:00:00 2024 GMT'
	diff <(openssl crl -in ../old/last.crl -noout -text | grep 'Revocation Date') <(openssl crl -in ../new.crl -noout -text | grep 'Revocation Date')
	[ "$(openssl crl -in ../new.crl -noout -crlnumber | cut -d= -f2)" != 0x08 ]
	no openssl verify -crl_check -CAfile ../old/root.pem -CRLfile ../new.crl ../a.pem
	openssl verify -crl_check -CAfile ../old/root.pem -CRLfile ../new.crl ../d.pem
	issue fresh old-root
	openssl verify -CAfile ../old/root.pem "$BATS_TEST_TMPDIR/fresh.pem"
	ok lamassu repo verify --full
	ok git fsck --strict
	fails 4 'is here already, as ca old-root' lamassu repo import --from openssl ../old
	fails 4 'is here already' lamassu repo import --from openssl ../old --ca again
}

@test "repo import C2: the usual names without openssl.cnf, also demoCA; an encrypted key asks for its passphrase" {
	openssl_ca -passout pass:geheim
	mkdir -p moved/demoCA && mv old/* moved/demoCA/ && cd moved/demoCA
	mv root.pem cacert.pem && mv private/root.key private/cakey.pem && rm openssl.cnf
	cd ../.. && new_pki
	fails 5 '' lamassu repo import --from openssl ../moved --ca moved
	[ "$(git rev-list --count main)" -eq 1 ]
	LAMASSU_IMPORT_PASSPHRASE=geheim ok lamassu repo import --from openssl ../moved --ca moved --profile tls-server -o json
	[ "$(jq -c '[.ca,.key,.certificates]' <<<"$output")" = '["moved",true,4]' ]
	issue fresh moved
	openssl verify -CAfile ../moved/demoCA/cacert.pem "$BATS_TEST_TMPDIR/fresh.pem"
}

@test "repo import C2: without its key the authority comes for looking things up, and says so" {
	openssl_ca -nodes
	rm old/private/root.key
	new_pki
	ok lamassu repo import --from openssl ../old -o json
	[ "$(field .key)" = false ]
	[[ $stderr == *'cannot sign here'* ]]
	ok lamassu ca show old-root -o json
	[ "$(field .type)" = IMPORTED_WITHOUT_KEY ]
	ok lamassu repo verify
}

@test "repo import: what does not fit is refused by its line, and nothing is left behind" {
	openssl_ca -nodes
	new_pki
	attempt() { # attempt STATUS TEXT: fails, and leaves neither commit nor key
		fails "$1" "$2" lamassu repo import --from openssl ../old
		[ "$(git rev-list --count --all)" -eq 2 ] && no compgen -G '.git/lamassu/keys/*.pem' >/dev/null
	}
	cp -a ../old ../sound
	cp ../old/newcerts/1001.pem ../old/newcerts/1000.pem
	attempt 5 'index.txt:1: the certificate has the serial number 1001, and the record says 1000'
	cp ../sound/newcerts/1000.pem ../old/newcerts/
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ../old/private/root.key -out ../old/root.pem -subj '/O=Acme/CN=Old Root' 2>/dev/null
	attempt 5 'was not issued by'
	cp ../sound/private/root.key ../old/private/
	attempt 5 'no certificate in the file is for the key'
	cp ../sound/root.pem ../old/
	sed -i '2s/^V/X/' ../old/index.txt
	attempt 2 'index.txt:2: expected V, R or E'
	cp ../sound/index.txt ../old/ && sed -n 1p ../old/index.txt >>../old/index.txt
	attempt 5 'is recorded twice: index.txt:1 and index.txt:5'
	sed 's/^V\t[0-9]*Z/V\t269999999999Z/' ../sound/index.txt >../old/index.txt
	attempt 2 'index.txt:1: the end'
	printf 'V\t\0\n' >../old/index.txt
	attempt 2 'bytes that no text has'
	rm ../old/index.txt
	attempt 3 'no index.txt was found'
	fails 2 'say what keeps' lamassu repo import ../old
	fails 3 'profile "nope" not found' lamassu repo import --from openssl ../sound --profile nope
	ok lamassu repo import --from openssl ../sound
}

@test "repo import: certificates that are no longer kept are counted; their revocations count" {
	openssl_ca -nodes
	(cd old && old_ca -revoke ../a.pem -crl_reason superseded)
	rm old/newcerts/1000.pem old/newcerts/1001.pem
	new_pki
	ok lamassu repo import --from openssl ../old -o json
	[ "$(jq -c '[.certificates,.revoked,.missing]' <<<"$output")" = '[2,1,2]' ]
	[[ $stderr == *'2 records without a certificate'* ]]
	ok lamassu ca crl old-root --out ../new.crl
	openssl crl -in ../new.crl -noout -text | grep -q 'Serial Number: 1000'
	ok lamassu repo verify
}

@test "repo import: a dry run shows the change and makes nothing" {
	openssl_ca -nodes
	new_pki
	ok lamassu repo import --from openssl ../old -n
	[[ $output == *'cas/old-root/ca.yaml'* ]]
	[ "$(git rev-list --count --all)" -eq 2 ]
	no compgen -G '.git/lamassu/keys/*.pem' >/dev/null
}

@test "repo import C2 C9: easy-rsa as Debian ships it, its folder or its pki" {
	easyrsa=/usr/share/easy-rsa/easyrsa
	export EASYRSA=/usr/share/easy-rsa EASYRSA_BATCH=1 EASYRSA_ALGO=ec EASYRSA_PKI=$PWD/easy/pki
	mkdir easy
	"$easyrsa" init-pki && EASYRSA_REQ_CN='Easy CA' "$easyrsa" build-ca nopass
	"$easyrsa" build-server-full server nopass && "$easyrsa" build-client-full one nopass && "$easyrsa" build-client-full two nopass
	one=$(serial_of easy/pki/issued/one.crt)
	"$easyrsa" revoke one superseded && "$easyrsa" gen-crl
	new_pki
	ok lamassu repo import --from easyrsa ../easy -o json
	[ "$(jq -c '[.ca,.key,.certificates,.revoked,.missing]' <<<"$output")" = '["easy-ca",true,3,1,0]' ]
	ok lamassu cert show "$one" -o json
	[ "$(field .status)/$(field .revocation_reason)" = REVOKED/superseded ]
	ok lamassu ca crl easy-ca --out ../easy.crl
	openssl verify -crl_check -CAfile ../easy/pki/ca.crt -CRLfile ../easy.crl ../easy/pki/issued/two.crt
	openssl crl -in ../easy.crl -noout -text | grep -qi "Serial Number: $one"
	ok lamassu repo verify
	fails 4 'is here already' lamassu repo import --from easyrsa ../easy/pki
}

@test "repo import C2 C9: cfssl's database, with times, reasons and rows of another authority" {
	mkdir cfssl && cd cfssl
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca.pem -subj '/CN=CFSSL CA' -days 999 2>/dev/null
	aki=$(openssl x509 -in ca.pem -noout -ext subjectKeyIdentifier | tail -1 | tr -d ' :' | tr A-F a-f)
	sqlite3 certs.db 'CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
		status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
		PRIMARY KEY(serial_number, authority_key_identifier))'
	row() { # row NAME SERIAL STATUS REASON REVOKED_AT [AKI]
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj "/CN=$1" -out "$1.csr" 2>/dev/null
		openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -set_serial "$2" -days 99 -out "$1.pem" \
			-extfile <(echo 'authorityKeyIdentifier=keyid') 2>/dev/null
		sqlite3 certs.db "INSERT INTO certificates VALUES('$2', '${6:-$aki}', '', '$3', $4, '2027-01-02 03:04:05+00:00', '$5',
			CAST(readfile('$1.pem') AS TEXT))"
	}
	row good 123456789012345678901234567890 good 0 '0001-01-01 00:00:00+00:00'
	row lost 77 revoked 1 '2025-03-04 05:06:07.123+00:00'
	row held 78 revoked 6 '2025-03-04T07:06:07+02:00'
	row other 79 good 0 '0000-00-00 00:00:00' abcdef
	cd .. && new_pki
	ok lamassu repo import --from cfssl ../cfssl --profile tls-server -o json
	[ "$(jq -c '[.ca,.key,.certificates,.revoked,.held]' <<<"$output")" = '["cfssl-ca",true,3,1,1]' ]
	[[ $stderr == *'1 row of other authorities'* ]]
	ok lamassu cert show 4d -o json
	[ "$(field .status)/$(field .revocation_reason)/$(field .revoked_at)" = REVOKED/key_compromise/2025-03-04T05:06:07Z ]
	ok lamassu cert show 4e -o json
	[ "$(field .status)/$(field .revoked_at)" = HELD/2025-03-04T05:06:07Z ]
	ok lamassu cert show "$(serial_of ../cfssl/good.pem)" -o json
	[ "$(field .status)" = ACTIVE ]
	issue fresh cfssl-ca
	openssl verify -CAfile ../cfssl/ca.pem "$BATS_TEST_TMPDIR/fresh.pem"
	ok lamassu repo verify
	fails 4 'is here already' lamassu repo import --from cfssl ../cfssl
	sqlite3 ../cfssl/certs.db "UPDATE certificates SET serial_number = '80' WHERE serial_number = '77'"
	new=$BATS_TEST_TMPDIR/new && ok lamassu init "$new" --unencrypted-keys && cd "$new"
	fails 5 'certificates row 2: the certificate has the serial number 4d, and the record says 50' lamassu repo import --from cfssl ../cfssl
	head -c 5000 /dev/urandom >../cfssl/certs.db
	fails 2 'is not a database of cfssl' lamassu repo import --from cfssl ../cfssl
}
