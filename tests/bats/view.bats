#!/usr/bin/env bats
# `view: N`: the newest certificates as files in the work tree, for people.
load helpers

@test "repository: view shows the newest N certificates under certs/, ignored by git, and drops older ones" {
	new_pki
	printf 'view: 3\n' >>lamassu.yaml
	git -c user.name=t -c user.email=t@example.org commit -qam 'Show three'
	ok lamassu ca create root --subject CN=Root -q
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../k -out ../a.csr -subj /CN=a 2>/dev/null
	for _ in 1 2 3 4 5; do ok lamassu ca sign root --csr ../a.csr --profile iot-device --out ../a.pem -q; done
	[ "$(find certs -name '*.pem' | wc -l)" -eq 3 ]
	for f in certs/root/*.pem; do
		[ "$(openssl x509 -in "$f" -noout -serial | cut -d= -f2 | tr A-F a-f)" = "$(basename "$f" .pem)" ]
	done
	[ -z "$(git status --porcelain)" ]
	rm -r certs
	ok lamassu repo reindex
	[ "$(find certs -name '*.pem' | wc -l)" -eq 3 ]
}
