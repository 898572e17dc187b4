#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# Keys that others made, keys in two engines, and keys that move from one to another.
load helpers
load ca_helpers

two_engines() {
	new_pki
	ok lamassu kms engine add second --type software --set dir=second --set unencrypted=true
}
key_field() { lamassu kms key show "$1" -o json | jq -r "$2"; }

# A key file that somebody puts into the engine's folder: its name there is $1.
foreign_key() {
	mkdir -p .git/lamassu/second
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ".git/lamassu/second/$1.pem"
	chmod 700 .git/lamassu/second
	chmod 600 ".git/lamassu/second/$1.pem"
	openssl pkey -in ".git/lamassu/second/$1.pem" -pubout -out "../$1.pub"
}

@test "K7 K5: a key that is in an engine already gets a record by its name there, and an authority by its key" {
	two_engines
	foreign_key theirs
	id=$(key_id ../theirs.pub)
	ok lamassu kms key list -o id
	[ -z "$output" ]
	ok lamassu kms key list --all -o json
	[ "$(jq -c '[.list[] | [.id, .engine_id, .handle, .recorded]]' <<<"$output")" = "[[\"$id\",\"second\",\"theirs\",false]]" ]
	ok lamassu kms key list --all
	[[ $output == *RECORDED* && $output == *theirs* ]]
	head=$(git rev-parse HEAD)
	fails 3 'not found' lamassu kms key show theirs
	fails 3 'not found' lamassu kms key import nothing --engine second
	[ "$(git rev-parse HEAD)" = "$head" ]
	ok lamassu kms key import theirs --engine second --name ours --alias a -o id
	[ "$output" = "$id" ]
	[ "$(key_field ours '[.engine_id, .handle, .recorded, .aliases[0]] | join(" ")')" = 'second theirs true a' ]
	[ "$(git log -1 --format=%s)" = 'key: import ours' ]
	fails 4 'here already' lamassu kms key import theirs --engine second
	[ -z "$(lamassu kms key list --all --filter recorded=false -o id)" ]
	# In one step where an authority is made; what is refused leaves no record and the key where it was.
	foreign_key root-key
	fails 2 'subject' lamassu ca create root --engine second --key root-key
	fails 3 'not found' lamassu kms key show "$(key_id ../root-key.pub)"
	[ -f .git/lamassu/second/root-key.pem ]
	ok lamassu ca create root --engine second --key root-key --subject CN=Root --validity 10y
	export_ca root
	cmp <(openssl x509 -in ../root.pem -noout -pubkey) ../root-key.pub
	[ "$(key_field root-key '.bound[0].resource_id')" = root ]
	# The record can go without the key.
	ok lamassu kms key delete ours --keep --yes
	[ -f .git/lamassu/second/theirs.pem ]
	sound
}

@test "K13: a key moves to another engine: verified, rebound in one commit, removed from the old one" {
	two_engines
	two=$(git rev-list --count HEAD)
	ok lamassu ca create root --subject CN=Root --validity 10y --issuance-profile tls-client
	id=$(ca_field root .key_id)
	csr a
	ok lamassu --dry-run kms key move "$id" --to second
	[ -f ".git/lamassu/keys/$id.pem" ]
	[ ! -e ".git/lamassu/second/$id.pem" ]
	ok lamassu kms key move "$id" --to second
	[ "$(git rev-list --count HEAD)" -eq $((two + 2)) ]
	[ "$(git log -1 --format=%s)" = 'key: move root' ]
	[ "$(key_field root .engine_id) $(ca_field root .engine_id)" = 'second second' ]
	[ ! -e ".git/lamassu/keys/$id.pem" ]
	export_ca root
	sign root a
	accepted ../a.pem ../root.pem
	fails 4 'already' lamassu kms key move root --to second
	fails 3 'not found' lamassu kms key move root --to third
	fails 4 'holds 1 key' lamassu kms engine remove second
	# Back with a copy kept: the copy is a replica, and moving there again needs no import.
	ok lamassu kms key move root --to software --keep
	[ "$(key_field root '[.engine_id, .replicas[0]] | join(" ")')" = "software second:$id" ]
	fails 4 'holds 1 key' lamassu kms engine remove second
	rm ".git/lamassu/keys/$id.pem"
	ok lamassu kms key move root --to second --keep
	[ "$(key_field root '[.engine_id, .replicas[0]] | join(" ")')" = "second software:$id" ]
	sign root a
	accepted ../a.pem ../root.pem
	sound
}

@test "K13: a second engine gets a copy of a key, which goes with the key when it is deleted" {
	two_engines
	openssl genpkey -algorithm ed25519 -out ../k.pem
	fails 2 'needs --engine' lamassu kms key import ../k.pem --replica
	fails 3 'not here yet' lamassu kms key import ../k.pem --replica --engine second
	[ -z "$(find .git/lamassu -name '*.pem')" ]
	ok lamassu kms key import ../k.pem --name k -o id
	id=$output
	ok lamassu kms key import ../k.pem --replica --engine second
	[ "$(key_field k '[.engine_id, .replicas[0]] | join(" ")')" = "software second:$id" ]
	fails 4 'in engine second already' lamassu kms key import ../k.pem --replica --engine second
	cmp <(openssl pkey -in ".git/lamassu/keys/$id.pem") <(openssl pkey -in ".git/lamassu/second/$id.pem")
	ok lamassu kms key delete k --yes
	[ -z "$(find .git/lamassu -name '*.pem')" ]
	sound
}
