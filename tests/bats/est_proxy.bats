#!/usr/bin/env bats
# Certificates that a proxy has seen: who is believed, and what the header may look like.
load helpers
load est_helpers

setup() { est_pki && est_dms factory; }
teardown() { est_stop; }

CERT() { jq -sRr @uri "${1:-boot-1.pem}"; }
enrol() { est_csr "$1" && est_post factory/simpleenroll "$1.b64" "${@:2}"; }

@test "E7: nobody but a trusted proxy says which certificate the client has" {
	est_start --trusted-proxy 10.0.0.0/8 --trusted-proxy ::1
	for header in X-Forwarded-Client-Cert ssl-client-cert X-Amzn-Mtls-Clientcert; do
		[ "$(enrol dev-1 -H "$header: $(CERT)")" = 403 ]
		[ "$(enrol dev-1 -H "$header: $(CERT)" --cert boot-1.pem --key boot-1.key)" = 403 ]
	done
	est_stop
	for wrong in 10.0.0.0/ 10.0.0.0/33 10.0.0/8 ::1/129 127.0.0.1/-1 localhost '127.0.0.1/ 8' 1/1/1; do
		fails 2 --trusted-proxy lamassu --repo pki est-serve --listen 127.0.0.1:0 --trusted-proxy "$wrong" --timeout 5s
	done
}

@test "E7: headers of Envoy, nginx and AWS, with what a subject may hold" {
	cat boot-1.pem pki/cas/boot/cert.pem >chain.pem 2>/dev/null || cp boot-1.pem chain.pem
	est_start --trusted-proxy 127.0.0.0/8
	[ "$(enrol dev-0)" = 401 ]
	[ "$(enrol nginx -H "ssl-client-cert: $(CERT)")" = 200 ]
	[ "$(enrol aws -H "X-Amzn-Mtls-Clientcert: $(CERT)")" = 200 ]
	[ "$(enrol envoy-1 -H "X-Forwarded-Client-Cert: Hash=0a;Cert=\"$(CERT)\"")" = 200 ]
	[ "$(enrol envoy-2 -H "X-Forwarded-Client-Cert: By=x;Cert=\"$(CERT)\";Subject=\"CN=boot-1,O=a;b,OU=\\\"c\\\",d\";DNS=a")" = 200 ]
	[ "$(enrol envoy-3 -H "X-Forwarded-Client-Cert: Subject=\"CN=x;Cert=\\\"junk\\\",O=y\"; Chain=\"$(CERT chain.pem)\"")" = 200 ]
	[ "$(enrol envoy-4 -H "X-Forwarded-Client-Cert: Cert=\"junk\",By=y;Cert=$(CERT)")" = 200 ]
	# the last element counts, and it has none; neither does one that another value only mentions
	[ "$(enrol envoy-5 -H "X-Forwarded-Client-Cert: Cert=\"$(CERT)\",By=y;Hash=z")" = 400 ]
	[ "$(enrol envoy-6 -H "X-Forwarded-Client-Cert: By=y;Subject=\"CN=a;Cert=$(CERT)\"")" = 400 ]
	[ "$(enrol envoy-7 -H 'X-Forwarded-Client-Cert: Cert="')" = 400 ]
	# which of two is the client's own invention, nobody knows
	[ "$(enrol two-1 -H "ssl-client-cert: $(CERT)" -H "X-Forwarded-Client-Cert: Cert=\"$(CERT root.pem)\"")" = 400 ]
	[ "$(enrol two-2 -H "ssl-client-cert: $(CERT)" -H "ssl-client-cert: $(CERT)")" = 400 ]
	# an empty one says that there is no certificate
	[ "$(enrol none-1 -H 'ssl-client-cert;')" = 401 ]
	[ "$(enrol none-2 -H 'ssl-client-cert;' -H "X-Amzn-Mtls-Clientcert: $(CERT)")" = 200 ]
	[ "$(enrol other -H "ssl-client-cert: $(CERT root.pem)")" = 401 ]
}
