#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Authorities made here: by flags and by documents, their place in the hierarchy, their certificates and their status.
load helpers
load ca_helpers

@test "C1 S20: root and subordinate by flags: certificates, records, commits; openssl, certtool and cryptography accept them" {
	two_tier
	accepted ../ca.pem ../root.pem
	text=$(text_of ../root.pem)
	for want in 'Version: 3' 'CA:TRUE' 'Certificate Sign, CRL Sign' 'Subject: CN = Root, O = Acme, C = US' 'ecdsa-with-SHA384'; do
		[[ $text == *"$want"* ]] || { echo "missing: $want"; return 1; }
	done
	[ "$(openssl x509 -in ../root.pem -noout -ext basicConstraints | head -n 1)" = 'X509v3 Basic Constraints: critical' ]
	[ "$(openssl x509 -in ../root.pem -noout -ext keyUsage | head -n 1)" = 'X509v3 Key Usage: critical' ]
	# Key identifiers: SHA-256 of the key; the issuer's name is a byte copy of the subject.
	openssl x509 -in ../root.pem -noout -pubkey >../pub.pem
	ski=$(openssl x509 -in ../root.pem -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ' :' | tr A-F a-f)
	[ "$ski" = "$(key_id ../pub.pem)" ]
	[ "$(openssl x509 -in ../ca.pem -noout -ext authorityKeyIdentifier | tail -n 1 | tr -d ' :' | tr A-F a-f)" = "$ski" ]
	[ "$(openssl x509 -in ../ca.pem -noout -issuer_hash)" = "$(openssl x509 -in ../root.pem -noout -subject_hash)" ]
	# RFC 5280 4.1.2.2: positive, at most 20 octets
	[[ $(serial_of ../root.pem) =~ ^[4-7][0-9a-f]{31}$ ]]
	ok lamassu ca show ca -o json
	[ "$(jq -c '[.id,.status,.type,.level,.parent_id,.engine_id,.security_level,.key_type,.issuance_profile_id]' <<<"$output")" = \
		'["ca","ACTIVE","MANAGED",1,"root","software","SL0","ecdsa:256","tls-client"]' ]
	[ "$(jq -c .issuer_metadata <<<"$output")" = "{\"serial_number\":\"$(serial_of ../root.pem)\",\"id\":\"root\",\"level\":0}" ]
	jq -j .certificate <<<"$output" | cmp - ../ca.pem
	[ "$(git show HEAD:cas/ca/ca.pem)" = "$(cat ../ca.pem)" ]
	[ "$(git log --format=%s -2)" = $'ca: create ca\nca: create root' ]
	[ "$(git log --format=%s ledger -2)" = $'ca: create ca\nca: create root' ]
	[ -z "$(git status --porcelain)" ]
	no git grep -q 'PRIVATE KEY' HEAD ledger
	openssl x509 -in <(git show "ledger:$(git ls-tree -r --name-only ledger issued | head -n 1)") -noout
	ok lamassu repo verify
}

@test "C1: any depth: five levels, and every path is accepted" {
	new_pki
	ok lamassu ca create l0 --subject CN=L0 --validity 10y
	path=(../l0.pem)
	for n in 1 2 3 4; do
		ok lamassu ca create "l$n" --parent "l$((n - 1))" --subject "CN=L$n" --validity "$((10 - n))y"
		path=("../l$n.pem" "${path[@]}")
	done
	export_ca l0 l1 l2 l3 l4
	csr leaf
	sign l4 leaf --profile tls-client
	accepted ../leaf.pem "${path[@]}"
	[ "$(ca_field l4 .level)" = 4 ]
	ok lamassu ca sign l4 --csr ../leaf.csr --profile tls-client --chain
	[ "$(grep -c BEGIN <<<"$output")" -eq 6 ]
	ok lamassu ca export l4 --chain --format p7b --out ../chain.p7b
	[ "$(openssl pkcs7 -in ../chain.p7b -print_certs | grep -c BEGIN)" -eq 5 ]
	ok lamassu ca tree
	grep -qx ' *l4 .*' <<<"$output"
	ok lamassu ca tree -o json
	[ "$(jq -c '[.list[].level]' <<<"$output")" = '[0,1,2,3,4]' ]
}

@test "C1 K6: every type of key for an authority signs and is accepted" {
	new_pki
	csr leaf
	for t in rsa:2048 rsa:3072 ecdsa:256 ecdsa:384 ecdsa:521 ed25519; do
		id=${t/:/-}
		ok lamassu ca create "$id" --subject "CN=$t" --key-type "$t"
		export_ca "$id"
		[ "$(ca_field "$id" .key_type)" = "$t" ]
		sign "$id" leaf --profile tls-client
		accepted ../leaf.pem "../$id.pem"
		ok lamassu ca crl "$id" --out ../crl.pem
		openssl crl -in ../crl.pem -CAfile "../$id.pem" -noout 2>&1 | grep -q 'verify OK'
	done
	fails 2 'rsa:1024' lamassu ca create weak --subject CN=x --key-type rsa:1024
}

@test "C1: the documents of the guides, with all three forms of profile id; flags win" {
	new_pki
	printf '%s\n' 'id: intermediate-ca-profile' 'sign_as_ca: true' 'key_usage: {cert_sign: true, crl_sign: true}' 'honor_subject: true' \
		'validity: {type: Duration, duration: 5y}' 'path_length: 1' >../p.yaml
	ok lamassu profile create -f ../p.yaml
	cat >../root.json <<-'J'
		{ "type": "MANAGED", "issuance_profile_id": "intermediate-ca-profile", "engine_id": "software",
		  "subject": { "common_name": "Lamassu Intermediate CA", "organization": "YourOrg", "country": "US" },
		  "key_metadata": { "type": "RSA", "bits": 2048 },
		  "ca_expiration": { "type": "duration", "duration": "43800h" },
		  "parent_id": "", "metadata": { "site": "a", "n": 3 } }
	J
	ok lamassu ca create inter -f ../root.json -o json
	[ "$(jq -c '[.profile_id,.issuance_profile_id,.key_type,.level]' <<<"$output")" = '["intermediate-ca-profile",null,"rsa:2048",0]' ]
	[ "$(jq -c .metadata <<<"$output")" = '{"site":"a","n":3}' ]
	export_ca inter
	[ "$(openssl x509 -in ../inter.pem -noout -subject)" = 'subject=C = US, O = YourOrg, CN = Lamassu Intermediate CA' ]
	text_of ../inter.pem | grep -q 'CA:TRUE, pathlen:1'
	[ "$(( $(date -d "$(openssl x509 -in ../inter.pem -noout -enddate | cut -d= -f2)" +%s) - $(date +%s) ))" -gt $((43800 * 3600 - 60)) ]
	cat >../sub.json <<-'J'
		{ "id": "issuing-ca-01", "parent_id": "inter", "subject": {"common_name": "Issuing CA 01"},
		  "profile_id": "intermediate-ca-profile", "ca_issuance_profile_id": "iot-device" }
	J
	ok lamassu ca create -f ../sub.json -o json
	[ "$(jq -c '[.id,.profile_id,.issuance_profile_id,.parent_id]' <<<"$output")" = '["issuing-ca-01","intermediate-ca-profile","iot-device","inter"]' ]
	# issuance_profile_id is the second of the two where the profile does not sign as CA
	printf 'subject: {common_name: [A, B]}\nissuance_profile_id: tls-client\nca_expiration: {type: Time, time: "2030-01-01T00:00:00Z"}\nmetadata: {a: x, b: y}\n' >../x.yaml
	ok lamassu ca create x -f ../x.yaml --metadata b=z --key-type ed25519 -o json
	[ "$(jq -c '[.profile_id,.issuance_profile_id,.key_type,.subject,.valid_to,.metadata]' <<<"$output")" = \
		'[null,"tls-client","ed25519","CN=A,CN=B","2030-01-01T00:00:00Z",{"a":"x","b":"z"}]' ]
	ok lamassu ca create y -f - --subject CN=Y --validity 1y -o json <<<'{"subject": {"common_name": "no"}, "ca_expiration": {"type": "Indefinite"}}'
	[ "$(jq -r .subject <<<"$output")" = CN=Y ]
	ok lamassu ca create z -f - -o json <<<'{"subject": {"common_name": "Z"}, "ca_expiration": {"type": "Indefinite"}}'
	[ "$(jq -r .valid_to <<<"$output")" = 9999-12-31T23:59:59Z ]
	export_ca z
	openssl x509 -in ../z.pem -noout -enddate | grep -q 'Dec 31 23:59:59 9999'
}

@test "C1: what is wrong with an order is said before a key is made" {
	new_pki
	ok lamassu ca create root --subject CN=Root
	head=$(git rev-parse HEAD) keys=$(ls .git/lamassu/keys)
	fails 4 'exists already' lamassu ca create root --subject CN=Again
	fails 2 'not an id' lamassu ca create 'No/Way' --subject CN=x
	fails 2 'never empty' lamassu ca create x
	fails 2 'sign_as_ca' lamassu ca create x --subject CN=x --profile tls-client
	fails 3 'no-profile' lamassu ca create x --subject CN=x --profile no-profile
	fails 3 'no-profile' lamassu ca create x --subject CN=x --issuance-profile no-profile
	fails 3 'no-ca' lamassu ca create x --subject CN=x --parent no-ca
	fails 3 'no-engine' lamassu ca create x --subject CN=x --engine no-engine
	fails 5 'does not allow' lamassu ca create x --subject CN=x --profile subordinate-ca --parent root --key-type ecdsa:256
	fails 2 'key_metadata' lamassu ca create x -f - <<<'{subject: {common_name: x}, key_metadata: {type: RSA, bits: 1024}}'
	fails 2 'standard input:1:' lamassu ca create x -f - <<<'{subject: {common_name: x}, nonsense: 1}'
	fails 2 'ca import' lamassu ca create x -f - <<<'{subject: {common_name: x}, type: IMPORTED_WITH_KEY}'
	fails 2 'two letters' lamassu ca create x -f - <<<'{subject: {common_name: x, country: Spain}}'
	fails 2 'one of them' lamassu ca create x --subject CN=x --key a --key-type ed25519
	[ "$(git rev-parse HEAD)" = "$head" ]
	[ "$(ls .git/lamassu/keys)" = "$keys" ]
}

@test "C1 K5: an existing key by id, alias and URI; it belongs to one authority and must be whole" {
	new_pki
	ok lamassu kms key create one --key-type ecdsa:384 --alias first -o id; id=$output
	ok lamassu ca create a --subject CN=A --key first -o json
	[ "$(jq -r .key_id <<<"$output")" = "$id" ]
	fails 4 'the key is that of ca a' lamassu ca create b --subject CN=B --key "$id"
	ok lamassu kms key create two --key-type rsa:2048 -o id; id=$output
	ok lamassu ca create b --parent a --subject CN=B --key "pkcs11:id=$(sed 's/../%&/g' <<<"$id")"
	[ "$(ca_field b .key_id)" = "$id" ]
	openssl genpkey -algorithm ed25519 -out ../k.pem
	openssl pkey -in ../k.pem -pubout -out ../pub.pem
	ok lamassu kms key import ../pub.pem --name half
	fails 5 'only its public part' lamassu ca create c --parent a --subject CN=C --key half
	fails 3 'not found' lamassu ca create c --subject CN=C --key nothing
	# a key that was there before the command stays when the command fails
	ok lamassu kms key create three --key-type ed25519 -o id; id=$output
	fails 5 'after its authority' lamassu ca create c --parent a --subject CN=C --key three --validity 90y
	ok lamassu --dry-run ca create c --parent a --subject CN=C --key three
	[ -f ".git/lamassu/keys/$id.pem" ]
}

@test "C1: a dry run shows the change and leaves nothing behind, keys neither" {
	two_tier
	head=$(git rev-parse HEAD ledger) keys=$(ls .git/lamassu/keys)
	ok lamassu --dry-run ca create x --parent ca --subject CN=X
	[[ $output == *'+id: x'* && $output == *'BEGIN CERTIFICATE'* ]]
	ok lamassu -n ca create yy --subject CN=Y -o json
	[[ $(jq -r .diff <<<"$output") == *'+id: yy'* ]]
	ok lamassu -n ca reissue root
	ok lamassu -n ca reissue root --new-key
	ok lamassu -n ca crl ca --out ../no.crl
	ok lamassu -n ca request z --subject CN=Z --out ../no.csr
	csr leaf
	ok lamassu -n ca sign ca --csr ../leaf.csr --out ../no.pem
	ok lamassu -n ca revoke ca --reason superseded --cascade
	ok lamassu -n ca compromise ca --out ../no
	ok lamassu -n ca delete ca
	[ "$(git rev-parse HEAD ledger)" = "$head" ]
	[ "$(ls .git/lamassu/keys)" = "$keys" ]
	[ -z "$(ls -d ../no* 2>/dev/null)" ]
	[ "$(ca_field ca .status)" = ACTIVE ]
}

@test "P4 C1: path lengths of all ancestors hold, and openssl agrees" {
	new_pki
	ok lamassu ca create r1 --subject CN=R1 --path-length 1 --validity 20y
	ok lamassu ca create i0 --parent r1 --subject CN=I0 --validity 10y
	export_ca r1 i0
	text_of ../i0.pem | grep -q 'CA:TRUE, pathlen:0'
	fails 5 'no authority below i0' lamassu ca create x --parent i0 --subject CN=X --validity 5y
	fails 5 'at most 0' lamassu ca create x --parent r1 --subject CN=X --path-length 1 --validity 5y
	csr leaf
	sign i0 leaf --profile tls-client
	accepted ../leaf.pem ../i0.pem ../r1.pem
	# An authority without a path length below one that has it: the ancestor's still holds.
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../o.key -out ../o.pem -subj /CN=Other -days 900 \
		-addext basicConstraints=critical,CA:TRUE,pathlen:1 -addext keyUsage=critical,keyCertSign 2>/dev/null
	csr mid
	openssl x509 -req -in ../mid.csr -CA ../o.pem -CAkey ../o.key -days 800 -out ../mid.pem -copy_extensions none \
		-extfile <(printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n') 2>/dev/null
	ok lamassu ca import other --cert ../o.pem
	ok lamassu ca import mid --cert ../mid.pem --key ../mid.key
	fails 5 'no authority below mid' lamassu ca create x --parent mid --subject CN=X --validity 1y
	fails 2 'path length' lamassu ca sign mid --csr ../leaf.csr --profile tls-client --path-length 0
	csr sub
	ok lamassu ca create r --subject CN=R --validity 20y
	fails 5 'does not allow' lamassu ca sign r --csr ../sub.csr --profile subordinate-ca
}

@test "C3: status from dates, revocation, the operator's switch and a certificate that is missing" {
	two_tier
	csr leaf
	[ "$(ca_field ca .status)" = ACTIVE ]
	ok lamassu ca disable ca -o json
	[ "$(jq -r .status <<<"$output")" = INACTIVE ]
	fails 5 'INACTIVE' lamassu ca sign ca --csr ../leaf.csr
	fails 4 'disabled already' lamassu ca disable ca
	ok lamassu ca enable ca
	ok lamassu ca sign ca --csr ../leaf.csr
	later=$(now_plus '+11 years')
	ok lamassu --at "$later" ca show ca -o json
	[ "$(jq -r .status <<<"$output")" = EXPIRED ]
	fails 5 'EXPIRED' lamassu --at "$later" ca sign ca --csr ../leaf.csr
	fails 5 'EXPIRED' lamassu --at "$later" ca create x --parent ca --subject CN=X
	ok lamassu ca request sub --subject CN=Sub --out ../sub.csr
	[ "$(ca_field sub .status)" = PENDING ]
	fails 5 'PENDING' lamassu ca sign sub --csr ../leaf.csr --profile tls-client
	fails 4 'PENDING' lamassu ca crl sub
	fails 3 'PENDING' lamassu ca export sub
	ok lamassu ca revoke ca --reason superseded --yes
	[ "$(ca_field ca .status)" = REVOKED ]
	fails 5 'REVOKED' lamassu ca sign ca --csr ../leaf.csr
	# a revoked ancestor stops all below it
	ok lamassu ca create ca2 --parent root --subject CN=Two --validity 9y
	ok lamassu ca create ca3 --parent ca2 --subject CN=Three --validity 8y
	ok lamassu ca revoke ca2 --reason superseded --yes
	fails 5 'ancestor ca2 is REVOKED' lamassu ca sign ca3 --csr ../leaf.csr --profile tls-client
	ok lamassu ca list --filter status=REVOKED -o id
	[ "$output" = $'ca\nca2' ]
	[ "$(lamassu ca stats -o json | jq -c .cas.status_distribution)" = '{"REVOKED":2,"ACTIVE":2,"PENDING":1}' ]
}

@test "C5 C6: metadata, settings, list, certs and statistics" {
	two_tier
	ok lamassu ca metadata set ca site=a 'n={"x":[1,2]}' lamassu.io/ca/expiration-deltas='[{"delta":"90d","name":"soon"}]'
	[ "$(ca_field ca '.metadata.n.x[1]')" = 2 ]
	ok lamassu ca metadata unset ca site
	[ "$(ca_field ca '.metadata | keys | join(" ")')" = 'lamassu.io/ca/expiration-deltas n' ]
	fails 2 'key=value' lamassu ca metadata set ca nothing
	ok lamassu ca set ca issuance_profile_id=tls-server crl.crl_update_interval_hours=24
	[ "$(ca_field ca .issuance_profile_id)" = tls-server ]
	fails 2 'no-such' lamassu ca set ca issuance_profile_id=no-such
	fails 5 'not by hand' lamassu ca set ca serial_number=00
	for path in Compromised=true compromised= created-at=2020-01-01T00:00:00Z PreviousSerials.0=00 Engine_Id=x; do
		fails 5 'not by hand' lamassu ca set ca "$path"
	done
	ok lamassu ca set ca -f - <<<'{crl_distribution_points: ["http://x/ca.crl"], crl_update_interval_hours: 6}'
	git show HEAD:cas/ca/ca.yaml | grep -q 'crl_update_interval_hours: 6'
	for n in a b c; do csr $n; sign ca $n --profile tls-client --validity 90d; done
	ok lamassu cert revoke "$serial" --reason superseded --yes
	ok lamassu ca certs ca -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 3 ]
	ok lamassu ca certs ca --filter status=REVOKED -o id
	[ "$output" = "$serial" ]
	ok lamassu ca stats ca # for people: only periods in which something ends
	no grep -q "expiry" <<<"$output"
	[ "$(grep -cE "^[0-9]{4}-.*  0$" <<<"$output")" -eq 0 ]
	ok lamassu ca stats ca -o json
	[ "$(jq -c '[.cas.total,.certificates.total,.certificates.status_distribution]' <<<"$output")" = '[1,3,{"ACTIVE":2,"REVOKED":1}]' ]
	[ "$(jq '[.expiry[].n] | add' <<<"$output")" -eq 2 ]
	ok lamassu ca stats -o json
	[ "$(jq -c '[.cas.total,.cas.engine_distribution,.certificates.ca_distribution]' <<<"$output")" = '[2,{"software":2},{"ca":3,"root":2}]' ]
	ok lamassu ca list --sort-by valid_to --sort-mode desc -o id
	[ "$output" = $'root\nca' ]
	fails 2 'unknown' lamassu ca list --filter nofield=1
	fails 3 'did you mean' lamassu ca show roto
	ok lamassu ca show root -o yaml
	[[ $output == *$'status: ACTIVE'* ]]
	ok lamassu ca show root -o id
	[ "$output" = root ]
}

@test "C7 C1: an authority does not outlive its parent unless that is permitted" {
	new_pki
	ok lamassu ca create root --subject CN=Root --validity 3y
	end=$(ca_field root .valid_to)
	fails 5 '--allow-outlive permits it' lamassu ca create x --parent root --subject CN=X --validity 5y
	fails 5 'after its authority root' lamassu ca create x --parent root --subject CN=X --validity indefinite
	ok lamassu ca create x --parent root --subject CN=X
	[[ $stderr == *"shortened to $end"* ]]
	[ "$(ca_field x .valid_to)" = "$end" ]
	[[ $(cert_field "$(ca_field x .serial_number)" '.metadata["lamassu.io/certificate/shortened"]') == *"$end"* ]]
	ok lamassu ca create y --parent root --subject CN=Y --validity 5y --allow-outlive
	[[ $(ca_field y .valid_to) > $end ]]
}
