#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
load helpers

@test "K5 K6 K7: a key of every type is made, and openssl finds the same id, type and size" {
	new_pki
	for t in rsa:2048 rsa:3072 rsa:4096 ecdsa:224 ecdsa:256 ecdsa:384 ecdsa:521 ed25519; do
		ok lamassu kms key create "key ${t/:/ }" --key-type "$t" -o id
		id=$output
		ok lamassu kms key export-public "$id" --out ../pub.pem
		[ "$(key_id ../pub.pem)" = "$id" ]
		text=$(openssl pkey -pubin -in ../pub.pem -noout -text)
		case $t in
		ed25519) [[ $text == *ED25519* ]] ;;
		*) [[ $text == *"(${t#*:} bit)"* ]] ;;
		esac
		openssl pkey -in ".git/lamassu/keys/$id.pem" -pubout | cmp - ../pub.pem
	done
	ok lamassu kms key list --all -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 8 ]
	[ "$(jq -r '[.list[].has_private_key] | all' <<<"$output")" = true ]
	no git grep -q 'PRIVATE KEY' HEAD
	[ -z "$(git status --porcelain)" ]
}

@test "K5: what a key record shows, in the git history and as JSON" {
	new_pki
	ok lamassu kms key create root --key-type ecdsa:384 --alias r1 --alias r2 --tag prod --metadata site=a --metadata n=3
	ok lamassu kms key show root -o json
	id=$(jq -r .id <<<"$output")
	[ "$(jq -c '[.name,.aliases,.engine_id,.algorithm,.size,.tags,.metadata,.security_level,.strength]' <<<"$output")" = \
		'["root",["r1","r2"],"software","ECDSA",384,["prod"],{"site":"a","n":3},"SL0","HIGH"]' ]
	[ "$(jq -r .pkcs11_uri <<<"$output" | tr -d % | tr A-F a-f)" = "pkcs11:token=software;id=$id;type=private" ]
	git show "HEAD:keys/$id.yaml" | grep -q '^name: root$'
	[ "$(git log -1 --format=%s)" = 'key: create root' ]
	ok lamassu kms key export-public r1 --format der --out pub.der
	[ "$(openssl dgst -sha256 -r pub.der | cut -d' ' -f1)" = "$id" ]
}

@test "K5: a key is found by id, prefix, alias, name, URI and file, and never by two at once" {
	new_pki
	ok lamassu kms key create a --key-type ed25519 --alias first -o id; a=$output
	ok lamassu kms key create b --key-type ed25519 -o id; b=$output
	ok lamassu kms key create twin --key-type ed25519
	ok lamassu kms key create twin --key-type ed25519
	pct=$(sed 's/../%&/g' <<<"$a")
	for ref in "$a" "${a:0:8}" "${a^^}" first a "pkcs11:id=$pct" "pkcs11:token=software;id=$pct;type=private" \
		"pkcs11:token-id=software;id=$a;type=private" "pkcs11:object=a" "file:.git/lamassu/keys/$a.pem"; do
		ok lamassu kms key show "$ref" -o id
		[ "$output" = "$a" ]
	done
	fails 2 'names 2 keys' lamassu kms key show twin
	fails 3 'not found' lamassu kms key show "${b:0:7}"
	fails 3 'did you mean "twin"' lamassu kms key show twim
	fails 3 'not found' lamassu kms key show "pkcs11:token=other;id=$pct"
	fails 2 'pin-value is not accepted' lamassu kms key show "pkcs11:id=$pct?pin-value=1234"
	[[ $stderr != *1234* ]]
	fails 2 'module-path' lamassu kms key show "pkcs11:id=$pct?module-path=/tmp/evil.so"
	fails 2 'twice' lamassu kms key show "pkcs11:id=$pct;id=$pct"
	fails 2 'neither id nor object' lamassu kms key show "pkcs11:token=software"
	fails 2 'hexadecimal' lamassu kms key show "pkcs11:id=%zz"
}

@test "K5: aliases are unique and can be moved; tags come and go" {
	new_pki
	ok lamassu kms key create old --key-type ed25519 --alias current
	fails 4 'belongs to key old' lamassu kms key create new --key-type ed25519 --alias current
	ok lamassu kms key list --all -o json
	[ "$(jq '.list | length' <<<"$output")" -eq 1 ]
	[ "$(find .git/lamassu/keys -name '*.pem' | wc -l)" -eq 1 ]
	ok lamassu kms key create new --key-type ed25519
	fails 4 '--move' lamassu kms key alias new current
	ok lamassu kms key alias new current --move
	ok lamassu kms key show current -o json
	[ "$(jq -r .name <<<"$output")" = new ]
	ok lamassu kms key show old -o json
	[ "$(jq -c '.aliases // []' <<<"$output")" = '[]' ]
	ok lamassu kms key alias new current --remove
	fails 3 'not found' lamassu kms key show current
	fails 2 'must not be' lamassu kms key alias new 'a:b'
	ok lamassu kms key tag new x y
	ok lamassu kms key list --filter 'tags[ct]=y' -o id
	[ "$(wc -l <<<"$output")" -eq 1 ]
	ok lamassu kms key tag new x --remove
	ok lamassu kms key show new -o json
	[ "$(jq -c .tags <<<"$output")" = '["y"]' ]
	fails 3 'no tag' lamassu kms key tag new x --remove
}

@test "K7: imports PKCS#1, PKCS#8, encrypted PKCS#8, SEC1, DER and PKCS#12 made by openssl" {
	new_pki
	openssl genrsa -traditional -out p1.pem 2048 2>/dev/null
	openssl genpkey -algorithm ed25519 -out p8.pem
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -aes256 -pass pass:import-me -out p8enc.pem
	openssl ecparam -name secp384r1 -genkey -noout -out sec1.pem
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out der8.der
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-224 -nodes -keyout p12.key -out p12.crt -subj /CN=x -days 9 2>/dev/null
	openssl pkcs12 -export -inkey p12.key -in p12.crt -passout pass:import-me -out bag.p12
	openssl genrsa -traditional -aes128 -passout pass:import-me -out p1enc.pem 3072 2>/dev/null
	export LAMASSU_IMPORT_PASSPHRASE=import-me
	for f in p1.pem p8.pem p8enc.pem sec1.pem der8.der bag.p12 p1enc.pem; do
		ok lamassu kms key import "$f" -o id
		openssl pkey -in "$f" -passin pass:import-me -pubout -out want.pem 2>/dev/null ||
			openssl pkcs12 -in "$f" -passin pass:import-me -nodes -nocerts 2>/dev/null | openssl pkey -pubout -out want.pem
		[ "$(key_id want.pem)" = "$output" ]
		ok lamassu kms key show "${f%.*}" -o id
		openssl pkey -in ".git/lamassu/keys/$output.pem" -pubout | cmp - want.pem
	done
	fails 4 'here already' lamassu kms key import p8.pem
	LAMASSU_IMPORT_PASSPHRASE=wrong fails 5 'passphrase' lamassu kms key import p8enc.pem
	LAMASSU_IMPORT_PASSPHRASE=wrong fails 5 'passphrase' lamassu kms key import bag.p12
	openssl genrsa -out weak.pem 1024 2>/dev/null
	fails 5 'not safe' lamassu kms key import weak.pem
	openssl dsaparam -genkey -noout 2048 2>/dev/null | openssl pkey -out dsa.pem
	fails 1 'DSA cannot sign' lamassu kms key import dsa.pem
	head -c 90 p8.pem >cut.pem
	fails 2 'cut.pem' lamassu kms key import cut.pem
	head -c 3000 /dev/urandom >noise.der
	fails 2 'noise.der' lamassu kms key import noise.der
	ok lamassu kms key import - --name piped <<<"$(openssl genpkey -algorithm ed25519)"
}

@test "K6 K7: a public key, DSA too, is kept to verify with and cannot sign" {
	new_pki
	openssl genpkey -algorithm ed25519 -out k.pem
	openssl pkey -in k.pem -pubout -out pub.pem
	ok lamassu kms key import pub.pem --name them -o json
	[ "$(jq -c '[.has_private_key,.algorithm,.engine_id]' <<<"$output")" = '[false,"Ed25519",null]' ]
	printf hello >msg
	fails 5 'public part' lamassu kms key sign them --in msg
	openssl pkeyutl -sign -inkey k.pem -rawin -in msg -out sig
	ok lamassu kms key verify them --in msg --signature sig
	ok lamassu kms key import k.pem
	ok lamassu kms key sign them --in msg --out sig2
	cmp sig sig2
	openssl dsaparam -genkey -noout 2048 2>/dev/null | openssl pkey -pubout -out dsa.pem
	ok lamassu kms key import dsa.pem -o json
	[ "$(jq -c '[.algorithm,.size,.strength]' <<<"$output")" = '["DSA",2048,"LOW"]' ]
}

@test "K9: a key is deleted with its file, its reason stays in the ledger" {
	new_pki
	ok lamassu kms key create gone --key-type ecdsa:256 -o id; id=$output
	fails 2 '--yes' lamassu --no-input kms key delete gone </dev/null
	[ -f ".git/lamassu/keys/$id.pem" ]
	ok lamassu --dry-run kms key delete gone --reason 'was a test'
	[ -f ".git/lamassu/keys/$id.pem" ]
	ok lamassu kms key delete gone --reason 'was a test' --yes
	[ ! -e ".git/lamassu/keys/$id.pem" ]
	fails 3 'not found' lamassu kms key show "$id"
	git grep -q 'was a test' ledger
	[ "$(git log -1 --format=%s)" = 'key: delete gone' ]
}

@test "K9: the key of an authority is bound to it and cannot be deleted before it" {
	new_pki
	ok lamassu kms key create spare --key-type ecdsa:256
	ok lamassu ca create root --subject "CN=Root" --key spare --validity 10y
	ok lamassu kms key show spare -o json
	[ "$(jq -c '.metadata["lamassu.io/kms/binded-resources"]' <<<"$output")" = '[{"resource_type":"ca","resource_id":"root"}]' ]
	fails 4 'in use by ca root' lamassu kms key delete spare --yes
	ok lamassu ca export root --out root.pem
	openssl x509 -in root.pem -noout -pubkey >pub.pem
	ok lamassu kms key show "$(key_id pub.pem)"
	ok lamassu ca delete root --yes
	ok lamassu kms key delete spare --yes
}

@test "K9: the retention of an engine delays the deletion" {
	new_pki
	ok lamassu kms engine set software retention=30d
	ok lamassu kms key create k --key-type ed25519 -o id; id=$output
	ok lamassu kms key delete k --reason 'rotated' --yes
	[ -f ".git/lamassu/keys/$id.pem" ]
	fails 4 'retention' lamassu kms key delete k --yes
	printf x >msg
	fails 5 'deletion' lamassu kms key sign k --in msg
	ok lamassu kms key delete k --cancel
	ok lamassu kms key sign k --in msg --out sig
	ok lamassu kms key delete k --reason 'rotated' --yes
	ok lamassu --at "$(date -u -d '+31 days' +%Y-%m-%dT%H:%M:%SZ)" kms key delete k --yes
	[ ! -e ".git/lamassu/keys/$id.pem" ]
	git grep -q 'rotated' ledger
}

@test "K10: strengths as the documents define them, and numbers by engine, algorithm and strength" {
	new_pki
	ok lamassu kms engine add other --type GOLANG --set dir=other --set unencrypted=true
	for t in rsa:2048=MEDIUM rsa:3072=HIGH ecdsa:224=LOW ecdsa:256=MEDIUM ecdsa:384=HIGH ed25519=HIGH; do
		ok lamassu kms key create "$t" --key-type "${t%=*}" --engine other -o json
		[ "$(jq -r .strength <<<"$output")" = "${t#*=}" ]
	done
	ok lamassu kms key create s --key-type ed25519
	ok lamassu kms stats -o json
	[ "$(jq -c '[.total_keys,.per_engine.other,.per_engine.software]' <<<"$output")" = '[7,6,1]' ]
	[ "$(jq -c '[.per_algorithm.RSA,.per_algorithm.ECDSA,.per_algorithm.Ed25519]' <<<"$output")" = '[2,3,2]' ]
	[ "$(jq -c '.per_strength' <<<"$output")" = '{"HIGH":4,"MEDIUM":2,"LOW":1}' ]
	ok lamassu kms key list --filter strength=LOW -o json
	[ "$(jq -r '.list[0].name' <<<"$output")" = 'ecdsa:224=LOW' ]
}

@test "K5 K11: a dry run makes no key and no commit" {
	new_pki --encrypted
	head=$(git rev-parse HEAD)
	unset LAMASSU_PASSPHRASE
	ok lamassu --dry-run kms key create k --key-type ecdsa:256
	[[ $output == *'+name: k'* ]]
	[ ! -e .git/lamassu/keys ]
	[ "$(git rev-parse HEAD)" = "$head" ]
}
