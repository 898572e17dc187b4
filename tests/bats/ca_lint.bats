#!/usr/bin/env bats
# Best practices as warnings.
load helpers

@test "C16 S20: ca lint names a root in software that signs leaves, mixed types, missing deltas and long validity; --strict is exit 5" {
	new_pki
	ok lamassu ca create root --subject CN=Root --key-type ecdsa:256 --validity 25y -o id
	[[ $stderr == *'below P-384'* && $stderr == *'more than 20 years'* && $stderr == *'in software'* ]]
	ok lamassu ca create sub --parent root --subject CN=Sub -q
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../k -out ../a.csr -subj /CN=a \
		-addext subjectAltName=DNS:a.example 2>/dev/null
	ok lamassu ca sign root --csr ../a.csr --profile tls-client --out ../a.pem -o id
	[[ $stderr == *'is a root and signs an end-entity certificate'* ]]
	ok lamassu ca sign sub --csr ../a.csr --profile tls-client --out ../b.pem -q
	ok lamassu ca lint sub -o json
	[ "$(jq -r '.list[].rule' <<<"$output" | sort | paste -sd' ')" = no-deltas ]
	ok lamassu ca sign sub --csr ../a.csr --profile tls-server --out ../c.pem -q
	ok lamassu ca metadata set sub 'lamassu.io/ca/expiration-deltas=[{"delta":"30d","name":"Critical"}]' -q
	ok lamassu ca lint sub -o json
	[ "$(jq -r '.list[].rule' <<<"$output")" = several-types ]
	fails 5 departures lamassu ca lint --strict -o id
	for rule in root-key-size root-in-software long-validity no-deltas root-signs-leaves several-types; do grep -qx "$rule" <<<"$output"; done
}
