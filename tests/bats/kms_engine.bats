#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
load helpers

@test "K1 K4: engines are added, listed, shown, chosen and removed" {
	new_pki
	ok lamassu kms engine add second --type filesystem --set storage_directory=second
	ok lamassu kms engine list -o json
	[ "$(jq -c '[.list[] | [.id,.type,.default]]' <<<"$output")" = '[["second","SOFTWARE",false],["software","SOFTWARE",true]]' ]
	ok lamassu kms engine default second
	ok lamassu kms key create k --key-type ed25519 -o json
	[ "$(jq -r .engine_id <<<"$output")" = second ]
	[ "$(git show HEAD~1:lamassu.yaml | grep default_engine)" = 'default_engine: second' ]
	fails 4 'holds 1 key' lamassu kms engine remove second
	ok lamassu kms key delete k --yes
	fails 4 'is the default' lamassu kms engine remove second
	ok lamassu kms engine default software
	ok lamassu kms engine remove second
	fails 3 'not found' lamassu kms engine show second
	fails 3 'not found' lamassu kms engine default second
	fails 4 'exists already' lamassu kms engine add software --type software
	[ -z "$(git status --porcelain)" ]
}

@test "K1 K3: documents in every form; what a kind does not know is refused with its place" {
	new_pki
	printf 'id: bare\ntype: GOLANG\ndir: bare\n' >bare.yaml
	printf '{"default_id": "l1", "engines": [{"id": "l1", "type": "software", "config": {"dir": "l1"}}, {"id": "l2", "type": "SOFTWARE"}]}' >list.json
	printf 'crypto_engines:\n  filesystem:\n    - id: g1\n      storage_directory: g1\n    - id: g2\n' >group.yaml
	ok lamassu kms engine add -f bare.yaml
	ok lamassu kms engine add -f list.json
	ok lamassu kms engine add -f group.yaml
	ok lamassu kms engine list -o id
	[ "$(tr '\n' ' ' <<<"$output")" = 'bare g1 g2 l1 l2 software ' ]
	ok lamassu kms engine show g1 -o json
	[ "$(jq -c '[.config.dir,.security_level]' <<<"$output")" = '["g1","SL0"]' ]
	ok lamassu kms engine show l1 -o json
	[ "$(jq .default <<<"$output")" = true ]
	head=$(git rev-parse HEAD)
	fails 2 'there are: SOFTWARE' lamassu kms engine add x --type WONDER
	fails 2 'did you mean "dir"' lamassu kms engine add x --type software --set dirr=/x
	fails 2 'security_level' lamassu kms engine add x --type software --set security_level=2
	fails 2 'give the engine' lamassu kms engine add
	fails 2 'not a valid id' lamassu kms engine add ../x --type software
	printf 'id: a\nid: b\n' >twice.yaml
	fails 2 'twice.yaml:2:1' lamassu kms engine add -f twice.yaml
	[ "$(git rev-parse HEAD)" = "$head" ]
}

@test "K4: engine set checks the document; the type of an engine with keys stays" {
	new_pki
	ok lamassu kms engine set software retention=7d metadata.site=north
	ok lamassu kms engine show software -o json
	[ "$(jq -c '[.retention,.metadata.site]' <<<"$output")" = '["7d","north"]' ]
	ok lamassu kms engine set software unencrypted=false
	git show HEAD:engines/software.yaml | grep -q 'unencrypted: false'
	fails 2 'nonsense' lamassu kms engine set software nonsense=1
	fails 2 'security_level' lamassu kms engine set software security_level=9
	fails 2 'path=value' lamassu kms engine set software nonsense
	fails 3 'not found' lamassu kms engine set nobody retention=1d
}

@test "K4 K6: engine test proves every type with a signature and leaves nothing" {
	new_pki
	ok lamassu kms engine test -o json
	[ "$(jq -c '[.list[] | select(.result == "ok")] | length' <<<"$output")" -ge 8 ]
	[ "$(jq -c '[.list[] | select(.result != "ok")]' <<<"$output")" = '[]' ]
	[ -z "$(find .git/lamassu/keys -name '*.pem')" ]
	ok lamassu kms engine show software -o json
	[ "$(jq '.supported_key_types | length' <<<"$output")" -ge 8 ]
	ok lamassu kms engine test software --read-only
	fails 3 'there are: software' lamassu kms engine test nobody
	rm -rf .git/lamassu/keys && : >.git/lamassu/keys
	fails 6 'failed' lamassu kms engine test
}

@test "K2: the security level is shown with every key and engine" {
	new_pki
	ok lamassu kms key create k --key-type ed25519
	ok lamassu kms key list
	[[ $output == *SL0* ]]
	ok lamassu kms engine list
	[[ $output == *SL0* ]]
}
