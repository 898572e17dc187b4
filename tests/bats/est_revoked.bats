#!/usr/bin/env bats
# Client certificates of an authority elsewhere: its CRLs and OCSP decide, from the listener of another repository and of openssl.
load helpers
load est_helpers

setup() { est_pki && VA_PID='' OCSP_PID=''; }
teardown() { est_stop; va_stop; ocsp_stop; }

AUTH=settings.enrollment_settings.est_rfc7030_settings.authentication
accept() { L --repo pki dms set factory "$AUTH={type: client_certificate, client_certificate: {validation_cas: [vendor]${1:+, $1}}}"; }
enrol() { [ -e "$1.b64" ] || est_csr "$1"; est_post factory/simpleenroll "$1.b64" --cert "$2.pem" --key "$2.key"; }

vendor() { # an authority in another repository, known here by its certificate; clients "good", "bad" (revoked) and "soon"
	L init vendor --unencrypted-keys
	L --repo vendor ca create vendor --subject 'CN=Vendor' --key-type ecdsa:256 --validity 5y --issuance-profile bootstrap
	L --repo vendor ca export vendor --out vendor.pem
	local n
	for n in good bad soon; do est_csr $n && L --repo vendor ca sign vendor --csr $n.csr --out $n.pem || return 1; done
	revoke bad
	L --repo pki ca import vendor --cert vendor.pem
	est_dms factory
}
revoke() { L --repo vendor cert revoke "$(openssl x509 -in "$1.pem" -noout -serial | cut -d= -f2)" --reason superseded --yes; }
va_start() {
	rm -f va
	"$LAMASSU" --repo vendor va-serve --listen 127.0.0.1:0 --ready-file va --timeout 60s >va.out 2>&1 3>&- &
	VA_PID=$!
	local i
	for ((i = 0; i < 200; i++)); do [ -s va ] && break; sleep 0.05; done
	VA=http://$(cat va)
}
va_stop() { [ -z "$VA_PID" ] || { kill -TERM "$VA_PID"; wait "$VA_PID" || :; VA_PID=; }; }
ocsp_stop() { [ -z "$OCSP_PID" ] || { kill "$OCSP_PID" || :; wait "$OCSP_PID" || :; OCSP_PID=; } 2>/dev/null; }

@test "E7: OCSP of an authority elsewhere decides; out of reach nobody gets in, unless that is allowed" {
	vendor
	accept
	est_start
	[ "$(enrol dev-1 good)" = 401 ] # nobody to ask
	[ "$(enrol dev-1 bad)" = 401 ]
	va_start
	accept "ocsp_url: \"$VA/ocsp\""
	[ "$(enrol dev-1 good)" = 200 ]
	[ "$(enrol dev-2 bad)" = 401 ]
	[ "$(enrol dev-2 soon)" = 200 ]
	revoke soon
	[ "$(enrol dev-3 soon)" = 401 ]
	va_stop
	[ "$(enrol dev-3 good)" = 503 ]
	grep -qi '^retry-after' head
	accept "ocsp_url: \"$VA/ocsp\", revocation_unreachable: allow"
	[ "$(enrol dev-3 good)" = 200 ]
	grep -q 'nobody knows' err
	accept "ocsp_url: \"$VA/ocsp\", check_revocation: false"
	[ "$(enrol dev-4 bad)" = 200 ]
}

@test "E7: CRLs from files and addresses: current, complete, signed by the issuer, and kept" {
	vendor
	"$LAMASSU" --repo vendor ca crl vendor >v.crl
	accept "crls: [$PWD/v.crl]"
	est_start --workers 1
	[ "$(enrol dev-1 good)" = 200 ]
	[ "$(enrol dev-2 bad)" = 401 ]
	# another authority of that name
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout f.key -out f.pem -subj /CN=Vendor -days 9 2>/dev/null
	touch index.txt; echo 01 >num
	printf '[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\ncrlnumber=num\ndefault_md=sha256\n' >ca.cnf
	openssl ca -config ca.cnf -gencrl -keyfile f.key -cert f.pem -crldays 3 -out v.crl 2>/dev/null
	[ "$(enrol dev-2 good)" = 503 ]
	# one that has ended
	python3 - <<'P'
import datetime as d, glob
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
ca = x509.load_pem_x509_certificate(open("vendor.pem", "rb").read())
for path in glob.glob("vendor/.git/lamassu/**/*", recursive=True):
    try:
        key = serialization.load_pem_private_key(open(path, "rb").read(), None)
    except Exception:
        continue
    if key.public_key() == ca.public_key():
        break
now = d.datetime.now(d.timezone.utc)
b = x509.CertificateRevocationListBuilder().issuer_name(ca.subject).last_update(now - d.timedelta(days=3)).next_update(now - d.timedelta(days=1))
open("v.crl", "wb").write(b.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
P
	[ "$(enrol dev-2 good)" = 503 ]
	echo garbage >v.crl
	[ "$(enrol dev-2 good)" = 503 ]
	va_start
	ski=$(openssl x509 -in vendor.pem -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ' :' | tr A-F a-f)
	accept "crls: [\"$VA/crl/$ski.crl\"]"
	[ "$(enrol dev-2 good)" = 200 ]
	[ "$(enrol dev-3 bad)" = 401 ]
	va_stop
	[ "$(enrol dev-3 good)" = 200 ]
	[ "$(enrol dev-4 bad)" = 401 ]
}

@test "E7: the responder that the certificate names, of openssl: delegated by the issuer or not believed" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout vendor.key -out vendor.pem -subj '/CN=Vendor/O=Far' -days 90 2>/dev/null
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	issue() { # issue NAME EXTENSIONS
		est_csr "$1" && openssl x509 -req -in "$1.csr" -CA vendor.pem -CAkey vendor.key -days 30 -set_serial "0x$3" -extfile <(printf '%s\n' "$2") -out "$1.pem" 2>/dev/null
	}
	issue good "authorityInfoAccess=OCSP;URI:http://127.0.0.1:$port/" 11
	issue bad "authorityInfoAccess=OCSP;URI:http://127.0.0.1:$port/" 12
	issue responder 'extendedKeyUsage=OCSPSigning' 13
	issue liar 'extendedKeyUsage=clientAuth' 14
	printf 'V\t400101000000Z\t\t11\tunknown\t/CN=good\nR\t400101000000Z\t250101000000Z\t12\tunknown\t/CN=bad\n' >index.txt
	L --repo pki ca import vendor --cert vendor.pem
	est_dms factory
	accept
	est_start
	[ "$(enrol dev-1 good)" = 503 ]
	respond() { # respond SIGNER
		ocsp_stop
		openssl ocsp -port "$port" -index index.txt -CA vendor.pem -rsigner "$1.pem" -rkey "$1.key" -nmin 5 >ocsp.log 2>&1 3>&- &
		OCSP_PID=$!
		local i
		for ((i = 0; i < 100; i++)); do grep -q waiting ocsp.log && break; sleep 0.05; done
	}
	respond liar
	[ "$(enrol dev-1 good)" = 503 ]
	respond responder
	[ "$(enrol dev-1 good)" = 200 ]
	[ "$(enrol dev-2 bad)" = 401 ]
	respond vendor
	[ "$(enrol dev-2 good)" = 200 ]
}

@test "E7: an authority between, which the client sends, is asked about too" {
	gencrl() { # gencrl CA OUT [REVOKED-SERIAL]
		rm -f "$1".idx* && : >"$1.idx" && echo 01 >"$1.num"
		[ -z "${3:-}" ] || printf 'R\t400101000000Z\t250101000000Z\t%s\tunknown\t/CN=x\n' "$3" >"$1.idx"
		printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s.idx\ncrlnumber=%s.num\ndefault_md=sha256\n' "$1" "$1" >ca.cnf
		openssl ca -config ca.cnf -gencrl -keyfile "$1.key" -cert "$1.pem" -crldays 3 -out "$2" 2>/dev/null
	}
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout vendor.key -out vendor.pem -subj '/CN=Vendor/O=Far' -days 90 2>/dev/null
	est_csr sub && openssl x509 -req -in sub.csr -CA vendor.pem -CAkey vendor.key -days 60 -set_serial 0x21 -out sub.pem \
		-extfile <(printf 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n') 2>/dev/null
	est_csr leaf && openssl x509 -req -in leaf.csr -CA sub.pem -CAkey sub.key -days 30 -set_serial 0x31 -out one.pem 2>/dev/null
	cat one.pem sub.pem >leaf.pem
	gencrl vendor v.crl; gencrl sub s.crl
	L --repo pki ca import vendor --cert vendor.pem
	est_dms factory
	accept "crls: [$PWD/v.crl, $PWD/s.crl]"
	est_start
	[ "$(enrol dev-1 leaf)" = 200 ]
	gencrl vendor v.crl 21
	[ "$(enrol dev-2 leaf)" = 401 ]
	accept "crls: [$PWD/s.crl]"
	[ "$(enrol dev-2 leaf)" = 503 ]
	gencrl vendor v.crl; gencrl sub s.crl 31
	accept "crls: [$PWD/v.crl, $PWD/s.crl]"
	[ "$(enrol dev-2 leaf)" = 401 ]
	gencrl sub s.crl
	# a resumed session does not tell what stands between, so there is none for such a client
	est_csr dev-3
	for v in tls1_2 tls1_3; do
		{ printf 'GET /.well-known/est/factory/cacerts HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n'; sleep 0.5; } |
			openssl s_client -connect "127.0.0.1:$EST_PORT" -CAfile root.pem -cert one.pem -key leaf.key -cert_chain sub.pem -$v -ign_eof -sess_out $v.sess >/dev/null 2>&1 || true
		{ printf 'POST /.well-known/est/factory/simpleenroll HTTP/1.1\r\nHost: l\r\nConnection: close\r\nContent-Type: application/pkcs10\r\nContent-Length: %s\r\n\r\n' \
			"$(wc -c <dev-3.b64)"; cat dev-3.b64; sleep 0.5; } |
			openssl s_client -connect "127.0.0.1:$EST_PORT" -CAfile root.pem -cert one.pem -key leaf.key -cert_chain sub.pem -$v -ign_eof -sess_in $v.sess >out 2>&1 || true
		grep -a '^New' out; grep -a 'HTTP/1.1 200' out
	done
}
