# What the tests of authorities share; load it after helpers.

# A root and an authority below it, in ./pki; their certificates are ../root.pem and ../ca.pem.
two_tier() {
	new_pki "$@" || return 1
	ok lamassu ca create root --subject "CN=Root,O=Acme,C=US" --key-type ecdsa:384 --validity 20y || return 1
	ok lamassu ca create ca --parent root --subject "CN=Issuing,O=Acme" --key-type ecdsa:256 --validity 10y --issuance-profile tls-client || return 1
	export_ca root ca
}

# export_ca ID…: ../ID.pem each
export_ca() {
	local id
	for id; do ok lamassu ca export "$id" --out "../$id.pem" || return 1; done
}

# csr NAME [SUBJECT [ARGUMENTS OF openssl req…]]: ../NAME.csr with the P-256 key ../NAME.key
csr() {
	local name=$1 subject=${2:-/CN=$1}
	shift; [ $# -eq 0 ] || shift
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../$name.key" -out "../$name.csr" -subj "$subject" "$@" 2>/dev/null
}

# sign CA NAME [OPTIONS…]: ../NAME.csr signed into ../NAME.pem; its number is in $serial
sign() {
	local ca=$1 name=$2
	shift 2
	ok lamassu ca sign "$ca" --csr "../$name.csr" --out "../$name.pem" "$@" || return 1
	serial=$(serial_of "../$name.pem")
}

serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2 | tr A-F a-f; }
text_of() { openssl x509 -in "$1" -noout -text; }
ca_field() { lamassu ca show "$1" -o json | jq -r "$2"; }
cert_field() { lamassu cert show "$1" -o json | jq -r "$2"; }
now_plus() { date -u -d "$1" +%Y-%m-%dT%H:%M:%SZ; }

# accepted LEAF ISSUER… ROOT: openssl, certtool and python's cryptography follow the path from the first to the last.
accepted() {
	local leaf=$1 root=${!#} between=("${@:2:$#-2}") untrusted=() f
	for f in "${between[@]}"; do untrusted+=(-untrusted "$f"); done
	openssl verify -x509_strict -purpose any -trusted "$root" "${untrusted[@]}" "$leaf" >/dev/null || return 1
	cat "$@" >"$BATS_TEST_TMPDIR/.path.pem"
	certtool --verify-chain --infile "$BATS_TEST_TMPDIR/.path.pem" >"$BATS_TEST_TMPDIR/.certtool" 2>&1 ||
		{ cat "$BATS_TEST_TMPDIR/.certtool"; return 1; }
	python3 - "$@" <<-'P'
		import sys
		from cryptography import x509
		path = [x509.load_pem_x509_certificate(open(f, 'rb').read()) for f in sys.argv[1:]]
		for cert, issuer in zip(path, path[1:]):
		    cert.verify_directly_issued_by(issuer)
		for cert in path:
		    list(cert.extensions)
	P
}

# A CRL in PEM: its entries as lines "serial reason", sorted; python's cryptography has verified it with ISSUER.
crl_entries() { # CRL ISSUER
	python3 - "$@" <<-'P'
		import sys
		from cryptography import x509
		crl = x509.load_pem_x509_crl(open(sys.argv[1], 'rb').read())
		assert crl.is_signature_valid(x509.load_pem_x509_certificate(open(sys.argv[2], 'rb').read()).public_key())
		list(crl.extensions)
		for e in sorted(crl, key=lambda e: e.serial_number):
		    try: reason = e.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
		    except x509.ExtensionNotFound: reason = '-'
		    h = '%x' % e.serial_number
		    print(h if len(h) % 2 == 0 else '0' + h, reason)
	P
}
crl_number() { openssl crl -in "$1" -noout -crlnumber | cut -d= -f2; }
# The same as a decimal number; CRL may also be DER.
crl_decimal() { python3 -c "print(int('$(crl_number "$1")', 16))"; }

# settings YAML…: lines added to lamassu.yaml, committed with plain git
settings() {
	printf '%s\n' "$@" >>lamassu.yaml
	git -c user.name=t -c user.email=t@example.org commit -qam settings
}
