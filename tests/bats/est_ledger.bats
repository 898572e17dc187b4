#!/usr/bin/env bats
# What enrolment leaves in the ledger beside certificates: revocations that lie ahead, double uses, summaries of refusals.
load helpers
load est_helpers

setup() { est_pki && est_dms factory; }
teardown() { est_stop; }

status_of() { lamassu --repo pki --at "$2" cert show "$1" -o json | jq -r .status; }
listed() { lamassu --repo pki ca crl devices --out "$1" "${@:2}" >/dev/null && openssl crl -in "$1" -noout -text | grep -c 'Serial Number:' || true; }
answered() { # answered TIME: what openssl reads in the answer that is made then
	rm -rf ocsp && lamassu --repo pki --at "$1" ca ocsp devices --out ocsp --validity 7d >/dev/null &&
		cat ocsp/"$(openssl ocsp -issuer devices.pem -cert old.pem -no_nonce -reqout - | base64 -w0 | jq -Rr @uri)" >a.resp &&
		openssl ocsp -respin a.resp "${@:2}" -issuer devices.pem -cert old.pem -CAfile root.pem -attime "$(date -d "$1" +%s)" 2>&1
}

@test "E11 C11 C13 C14: revoke_after DURATION: what was renewed ends by itself, in records, CRLs, deltas, OCSP and TLS" {
	L --repo pki dms set factory settings.reenrollment_settings.revoke_on_reenrollment=true settings.reenrollment_settings.revoke_after=3d
	L --repo pki ca export devices --out devices.pem
	est_start
	est_csr dev-1
	[ "$(est_post factory/simpleenroll dev-1.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]; est_pem >old.pem; cp dev-1.key old.key
	sleep 1; est_csr dev-1
	[ "$(est_post factory/simplereenroll dev-1.b64 --cert old.pem --key old.key)" = 200 ]
	serial=$(serial_of old.pem); now=$(date -u +%FT%TZ); later=$(date -u -d '+4 days' +%FT%TZ)
	# the old one still serves, and still renews
	sleep 1; est_csr dev-1
	[ "$(est_post factory/simplereenroll dev-1.b64 --cert old.pem --key old.key)" = 200 ]
	est_stop
	ok lamassu --repo pki cert show "$serial" -o json
	jq -e '.status == "ACTIVE" and .revocation_reason == "superseded"' <<<"$output"
	ends=$(jq -r .revoked_at <<<"$output")
	secs=$(($(date -d "$ends" +%s) - $(date +%s)))
	[ "$secs" -gt $((3 * 86400 - 60)) ]; [ "$secs" -le $((3 * 86400)) ]
	[ "$(status_of "$serial" "$later")" = REVOKED ]
	for pair in "$now ACTIVE 3" "$later ACTIVE 1" "$now REVOKED 0" "$later REVOKED 2"; do
		# shellcheck disable=SC2086 # three words
		set -- $pair
		ok lamassu --repo pki --at "$1" cert list --filter status="$2" --filter dms=factory -o json
		[ "$(jq '.list | length' <<<"$output")" -eq "$3" ] || { echo "$pair: $output"; return 1; }
	done
	[ "$(lamassu --repo pki repo status -o json | jq .revoked) $(lamassu --repo pki --at "$later" repo status -o json | jq .revoked)" = '0 2' ]
	[ "$(lamassu --repo pki --at "$later" device show dev-1 -o json | jq -r .status)" != REVOKED ]
	[ "$(listed full.crl)" -eq 0 ]
	[ "$(listed late.crl --at "$later")" -eq 2 ]
	openssl crl -in late.crl -noout -text | grep -A2 "$serial" -i | grep -q "$(date -u -d "$ends" '+%b %e %T %Y')"
	answered "$now" | grep -q 'old.pem: good'
	# what says "good" does not outlive it
	openssl ocsp -respin a.resp -text -noverify | grep -q "Next Update: $(date -u -d "$ends" '+%b %e %T %Y')"
	answered "$later" -text >said || true
	grep -q 'Cert Status: revoked' said; grep -q 'Revocation Reason: superseded' said; grep -q 'Response verify OK' said
	est_start --at "$later"; est_csr dev-1
	[ "$(est_post factory/simplereenroll dev-1.b64 -k --cert old.pem --key old.key)" = 401 ]
	est_stop
	lamassu --repo pki repo verify
}

@test "C11 C13: a delta has what took effect since its base; a hold or a revocation brings forward what lies ahead" {
	L --repo pki dms set factory settings.reenrollment_settings.revoke_on_reenrollment=true settings.reenrollment_settings.revoke_after=3d
	est_start
	for n in 1 2; do
		est_csr dev-$n
		[ "$(est_post factory/simpleenroll dev-$n.b64 --cert boot-1.pem --key boot-1.key)" = 200 ]; est_pem >old-$n.pem; cp dev-$n.key old.key
		sleep 1; est_csr dev-$n
		[ "$(est_post factory/simplereenroll dev-$n.b64 --cert old-$n.pem --key old.key)" = 200 ]
	done
	est_stop
	later=$(date -u -d '+4 days' +%FT%TZ)
	[ "$(listed full.crl)" -eq 0 ]
	[ "$(listed delta.crl --delta --at "$later")" -eq 2 ]
	L --repo pki cert hold "$(serial_of old-1.pem)" --yes
	L --repo pki cert revoke "$(serial_of old-2.pem)" --reason key_compromise --yes
	for n in 1 2; do [ "$(lamassu --repo pki cert show "$(serial_of old-$n.pem)" -o json | jq -r .status)" = REVOKED ]; done
	[ "$(listed now.crl)" -eq 2 ]
	openssl crl -in now.crl -noout -text | grep -q 'Key Compromise'
	lamassu --repo pki repo reindex && lamassu --repo pki repo verify
}

@test "E10 E14 S13: two clones that did not sync accept one bootstrap certificate: sync revokes the later enrolment, once, and says so" {
	cd pki
	git init -q --bare -b main ../server.git && git remote add origin ../server.git
	L device bootstrap --dms factory --count 1 --out ../line
	L repo sync
	git clone -q ../server.git ../two && mkdir -p ../two/.git/lamassu && cp -a .git/lamassu/keys ../two/.git/lamassu/
	cd ..
	for clone in pki two; do # the clone "two" is the later one
		est_csr dev-$clone; rm -f ready
		mv pki one; ln -s "$([ $clone = pki ] && echo one || echo two)" pki
		est_start
		[ "$(est_post factory/simpleenroll dev-$clone.b64 --cert line/bootstrap-000001.pem --key line/bootstrap-000001.key)" = 200 ]
		est_pem >dev-$clone.pem
		est_stop; rm pki; mv one pki
		sleep 1
	done
	first=$(serial_of dev-pki.pem); second=$(serial_of dev-two.pem)
	cd two; ok lamassu repo sync; [[ $stderr != *'bootstrap certificate'* ]]
	cd ../pki; ok lamassu repo sync
	[[ $stderr == *'1 certificate was revoked: enrolled with a bootstrap certificate that had been used in another clone'* ]]
	for clone in ../pki ../two; do
		cd $clone; ok lamassu repo sync; [ -z "$stderr" ]
		[ "$(lamassu cert show "$first" -o json | jq -r .status)" = ACTIVE ]
		[ "$(lamassu cert show "$second" -o json | jq -r '.status + .revocation_reason')" = REVOKEDprivilege_withdrawn ]
		[ "$(lamassu device show dev-two -o json | jq -r .status) $(lamassu device show dev-pki -o json | jq -r .status)" = 'REVOKED ACTIVE' ]
		lamassu device events dev-two -o json | jq -e '.list[] | select(.type == "BOOTSTRAP-REUSED")'
		git ls-tree -r --name-only ledger events | grep -c 'events/.*certificate%2F' | grep -qx 1
		git show "ledger:$(git ls-tree -r --name-only ledger events)" | grep -qx 'reason: credential_reused'
		lamassu ca crl devices --out ../$$.crl >/dev/null && openssl crl -in ../$$.crl -noout -text | grep -i "$second"
		lamassu repo verify --full
	done
}

refused() { # refused N: that many requests without credential
	local i
	for ((i = 0; i < $1; i++)); do echo "url = \"$EST_URL/factory/simpleenroll\""; echo 'output = /dev/null'; done >urls
	est_get -k -K urls -H 'Content-Type: application/pkcs10' --data-binary @dev-1.b64 -w '%{http_code}\n' | grep -c '^401$' | grep -qx "$1"
}
events() { git -C pki ls-tree -r --name-only ledger events | wc -l; }
stat_of() { lamassu --repo pki device stats -o json | jq -r "$1"; }

@test "S5 E12 E14: refusals are lines of a local log in the shape of CloudEvents, and one entry of the ledger for manager, reason and hour" {
	local at; at=$(date -u -d '+1 hour' +%Y-%m-%dT%H:10:00Z)
	est_start --at "$at" --workers 2; est_csr dev-1; est_csr "$(printf 'x%.0s' {1..40})"
	L --repo pki repo status; before=$(git -C pki rev-parse ledger)
	refused 200
	[ "$(est_post factory/simplereenroll dev-1.b64 -k)" = 401 ]
	[ "$(est_post nobody/simpleenroll dev-1.b64 -k)" = 404 ]
	[ "$(git -C pki rev-parse ledger)" = "$before" ] # while they come the ledger does not grow
	[ "$(est_post factory/simpleenroll dev-1.b64 -k --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_csr dev-1
	[ "$(est_post factory/simpleenroll dev-1.b64 -k --cert boot-1.pem --key boot-1.key)" = 403 ]
	est_stop
	[ "$(events)" -eq 3 ]
	[ "$(stat_of '.refusals, (.refused_by | tojson)' | xargs)" = "$(echo '202 {device_exists:1,no_certificate:201}')" ]
	log=pki/.git/lamassu/security.log
	[ "$(wc -l <$log)" -eq 203 ]; [ "$(stat -c %a $log)" = 600 ]
	jq -es 'all(.specversion == "1.0" and (.id | length) == 32 and (.source | startswith("source://")) and (.time | fromdate) > 0 and .datacontenttype == "application/json")' $log
	jq -es '[.[].id] | unique | length == 203' $log
	[ "$(jq -s -c 'group_by(.type) | map([.[0].type, length])' $log)" = '[["authorization.denied",1],["enrollment.failed",201],["reenrollment.failed",1]]' ]
	jq -es '.[-1].data == {"dms": "factory", "device": "dev-1", "operation": "simpleenroll", "reason": "device_exists", "status": 403, "address": "127.0.0.1"} and .[-1].subject == "dms/factory"' $log
	no grep -q 'BEGIN\|MII' $log
	entry=$(git -C pki grep -l 'type: enrollment.failed' ledger -- events | head -n 1)
	git -C pki show "$entry" | grep -qx 'count: 200'
	git -C pki show "$entry" | grep -q "^time: .*${at%:10:00Z}:00:00Z"
	# a second listener within the hour adds nothing; what it counted is in the next hour's
	est_start --at "$at"; refused 5; est_stop
	[ "$(events)" -eq 3 ]; [ "$(stat_of .refusals)" -eq 202 ]
	est_start --at "$(date -u -d "$at + 1 hour" +%FT%TZ)"; est_stop
	[ "$(events)" -eq 4 ]; [ "$(stat_of .refusals)" -eq 207 ]
	[ "$(git -C pki log -1 --format=%s ledger)" = 'est: sum up refusals' ]
	lamassu --repo pki repo verify --full
}

@test "S5: the log of refusals rotates" {
	est_start; est_stop
	log=pki/.git/lamassu/security.log
	head -c 4194300 /dev/zero | tr '\0' '\n' >$log
	est_start; est_csr dev-1; refused 2; est_stop
	[ "$(wc -l <$log)" -eq 2 ]; [ "$(stat -c %s $log.1)" -eq 4194300 ]
}
