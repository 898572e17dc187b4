#!/usr/bin/env bats
# CRLs that are published when they are made: into folders, and by HTTP PUT to a server (python's).
load helpers

# A server that takes PUT into ./www and answers 403 below /no; its address is in $url, its process in $server.
start_server() {
	mkdir -p www
	python3 - www >port 2>server.log <<-'P' &
		import http.server, os, sys
		root = sys.argv[1]
		class H(http.server.BaseHTTPRequestHandler):
		    def do_PUT(self):
		        body = self.rfile.read(int(self.headers['Content-Length']))
		        bad = self.path.startswith('/no')
		        if not bad:
		            with open(os.path.join(root, os.path.basename(self.path)), 'wb') as f: f.write(body)
		            with open(os.path.join(root, 'type'), 'w') as f: f.write(self.headers['Content-Type'])
		        self.send_response(403 if bad else 201); self.end_headers()
		s = http.server.HTTPServer(('127.0.0.1', 0), H)
		print(s.server_port, flush=True)
		s.serve_forever()
	P
	server=$!
	local i=0
	until [ -s port ] || [ $i = 100 ]; do sleep 0.05; i=$((i + 1)); done
	url=http://127.0.0.1:$(cat port)
}

teardown() {
	[ -z "${server:-}" ] || kill "$server"
}

@test "C13: crl.publish writes each new CRL, in DER, to a folder and to an HTTP server" {
	start_server
	mkdir pub
	new_pki
	ok lamassu ca create root --subject CN=Root -q
	ok lamassu ca set root "crl.publish=[$BATS_TEST_TMPDIR/pub, $url/crls]" -q
	ok lamassu ca crl root --out ../root.crl -q
	openssl crl -in ../root.crl -outform DER -out ../want.der
	cmp ../want.der ../pub/root.crl
	cmp ../want.der ../www/root.crl
	[ "$(cat ../www/type)" = application/pkix-crl ]
}

@test "C13 C11: cert revoke --crl publishes too; a server that refuses is exit 6 and the revocation stands" {
	start_server
	new_pki
	ok lamassu ca create root --subject CN=Root -q
	ok lamassu ca set root "crl.publish=[$url]" -q
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../k -out ../a.csr -subj /CN=a 2>/dev/null
	for n in 1 2; do ok lamassu ca sign root --csr ../a.csr --profile iot-device --out "../a$n.pem" -q; done
	serial=$(openssl x509 -in ../a1.pem -noout -serial | cut -d= -f2)
	ok lamassu cert revoke "$serial" --reason superseded --crl -y
	openssl crl -inform DER -in ../www/root.crl -noout -text | grep -qi "$serial"
	ok lamassu ca set root "crl.publish=[$url/no]" -q
	serial=$(openssl x509 -in ../a2.pem -noout -serial | cut -d= -f2)
	fails 6 'the server answered 403' lamassu cert revoke "$serial" --reason superseded --crl -y
	ok lamassu cert show "$serial" -o json
	[ "$(jq -r .status <<<"$output")" = REVOKED ]
}

@test "robust: without network the program starts no network library; commands that need one name what failed" {
	new_pki
	ok lamassu ca create root --subject CN=Root -q
	ok env LD_DEBUG=libs LD_DEBUG_OUTPUT="$BATS_TEST_TMPDIR/libs" "$LAMASSU" ca crl root
	no grep -qE 'lib(curl|event|cjose)' "$BATS_TEST_TMPDIR"/libs.*
	ok lamassu ca set root 'crl.publish=[http://127.0.0.1:1]' -q
	fails 6 'http://127.0.0.1:1/root.crl' lamassu ca crl root
	ok lamassu ca set root 'crl.publish=["http://us:s3cret@127.0.0.1:1/?sig=s3cret"]' -q
	fails 6 'http://127.0.0.1:1/' lamassu ca crl root
	no grep -q s3cret <<<"$stderr$output"
}
