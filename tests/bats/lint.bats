# What lamassu makes, as a linter of another house sees it: pkilint's rules of RFC 5280 and RFC 6960.
load helpers
load ca_helpers

# judge KIND FILE...: no finding of severity ERROR or FATAL. One process for all files, for starting it takes longer than its work.
judge() {
	python3 - "$@" <<-'P'
		import sys
		from importlib import import_module
		kind, files = sys.argv[1], sys.argv[2:]
		main = import_module("pkilint.bin.lint_" + {"certificate": "pkix_cert", "ocsp": "ocsp_response"}.get(kind, "crl")).main
		options = ["-t", kind, "-p", "PKIX"] if kind in ("CRL", "ARL") else []
		bad = 0
		for name in files:
		    print(name, flush=True)
		    bad += main(["lint", *options, "-s", "ERROR", name]) != 0
		sys.exit(1 if bad or not files else 0)
	P
}

pki() {
	new_pki && ok lamassu ca create root --subject 'CN=Root,O=Acme,C=US' --key-type ecdsa:384 --validity 10y -q &&
		ok lamassu ca create sub --parent root --subject 'CN=Sub,O=Acme,C=US' --key-type ecdsa:256 --validity 5y -q &&
		settings 'va_domains: [va.example.org]' 'crl: {delta: true}'
}

@test "P12 C1 C8: pkilint finds no error in what the templates issue, nor in authorities and link certificates" {
	pki
	openssl req -new -newkey rsa:4096 -nodes -keyout ../r.key -out ../r.csr -subj /CN=www.example.org 2>/dev/null
	ok lamassu profile templates -o id
	for t in $output; do
		[ "$t" != root-ca ] || continue
		ok lamassu ca sign sub --csr ../r.csr --profile "$t" --san DNS:www.example.org --out "../$t.pem" -q
	done
	ok lamassu ca create rsa --subject CN=RSA --key-type rsa:4096 --profile root-ca -q
	ok lamassu ca reissue root --new-key -y -q
	for ca in $(lamassu ca list --all -o id); do ok lamassu ca export "$ca" --out "../ca-$ca.pem"; done
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../x.key -out ../x.crt -set_serial 0 -subj /CN=x 2>/dev/null
	no judge certificate ../x.crt # it does look
	ok judge certificate ../*.pem
	[ "$(grep -c '[.]pem$' <<<"$output")" -ge 12 ]
}

@test "C13 C14: pkilint finds no error in CRLs of all kinds, nor in answers of OCSP" {
	pki
	for n in a b; do
		new_csr "../$n"
		ok lamassu ca sign sub --csr "../$n.csr" --profile tls-client --out "../$n.pem" -q
	done
	ok lamassu ca crl root --out ../root.arl -q
	ok lamassu cert revoke "$(serial_of ../a.pem)" --reason key_compromise -y -q
	ok lamassu ca crl sub --out ../full.crl -q
	ok lamassu cert hold "$(serial_of ../b.pem)" -y -q
	ok lamassu ca crl sub --delta --out ../delta.crl -q
	ok lamassu ca set sub crl.partitions=2 -q
	ok lamassu ca crl sub --partition 1 --out ../part.crl -q
	ok lamassu ca ocsp sub --out ../ocsp -q
	ok judge CRL ../*.crl
	[ "$(grep -c '[.]crl$' <<<"$output")" -eq 3 ]
	ok judge ARL ../root.arl
	ok judge ocsp ../ocsp/*
	[ "$(grep -c /ocsp/ <<<"$output")" -ge 2 ]
}
