#!/usr/bin/env bats
# Devices. The ledger's entries are read with git, certificates with openssl, lists with python's csv and json.
load helpers

# Root, devices, a bootstrap authority, and the device manager factory.
fleet() {
	new_cas && ok lamassu ca create boot --subject 'CN=Boot,O=Acme' --key-type ecdsa:256 --validity 1y --issuance-profile bootstrap &&
		ok lamassu dms create factory --enrollment-ca devices --auth client_certificate --validation-ca boot "$@"
}

status_of() { lamassu device show "$1" -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["status"])'; }

# issue DEVICE [OPTION…]: a certificate of the authority devices, bound to the device.
issue() {
	[ -e "../$1.csr" ] || new_csr "../$1" "/CN=$1"
	ok lamassu ca sign devices --csr "../$1.csr" --device "$@" --out "../$1.pem"
}

entries() { git ls-tree -r --name-only ledger devices | sed 's|.*/||'; }

@test "E10 E13: a device is registered with its manager's defaults, once, under any printable name" {
	fleet
	ok lamassu dms set factory settings.enrollment_settings.device_provisioning_profile.icon=BiSolid \
		settings.enrollment_settings.device_provisioning_profile.tags='[iot]' \
		settings.enrollment_settings.device_provisioning_profile.metadata='{site: vienna, line: 1}'
	ok lamassu device register 'Gerät/7 a:b' --dms factory --metadata line=2 --alias Tor -o json
	python3 - "$output" <<-'P'
		import json, sys
		d = json.loads(sys.argv[1])
		assert d["id"] == "Gerät/7 a:b" and d["dms"] == "factory" and d["status"] == "NO_IDENTITY", d
		assert d["tags"] == ["iot"] and d["metadata"] == {"site": "vienna", "line": 2} and d["icon"] == "BiSolid" and "identity" not in d
	P
	[[ $(entries) == Ger%C3%A4t%2F7%20a%3Ab.*.yaml ]]
	git show "ledger:$(git ls-tree -r --name-only ledger devices)" | python3 -c '
import sys, yaml
d = yaml.safe_load(sys.stdin)
assert d["device"] == "Gerät/7 a:b" and d["action"] == "REGISTER" and d["actor"] == "Test Operator <test@example.org>", d'
	fails 4 'registered already, with factory' lamassu device register 'Gerät/7 a:b' --dms factory
	fails 3 'nowhere' lamassu device register x --dms nowhere
	fails 2 'printable UTF-8' lamassu device register $'a\nb' --dms factory
	fails 2 'printable UTF-8' lamassu device register $'\xff' --dms factory
	fails 2 'printable UTF-8' lamassu device register "$(printf 'x%.0s' {1..256})" --dms factory
	ok lamassu device register "$(printf 'ü%.0s' {1..127})" --dms factory
	fails 3 'is not registered' lamassu device show nobody
	sound
}

@test "E13: the identity has versions; its status follows the clock, the deltas and revocations" {
	fleet
	ok lamassu device register d --dms factory
	issue d
	[ "$(status_of d)" = ACTIVE ]
	first=$(serial_of ../d.pem)
	issue d --validity 60d
	second=$(serial_of ../d.pem)
	ok lamassu device show d -o json
	python3 - "$output" "$first" "$second" <<-'P'
		import json, sys
		i = json.loads(sys.argv[1])["identity"]
		assert sorted(i["versions"].values()) == sorted(sys.argv[2:]) and i["active_version"] == 1 and i["type"] == "x509", i
	P
	# notBefore may be the same second: then the serial number decides, as the ledger's rules say
	active=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["identity"]["serial_number"])' "$output")
	[ "$active" = "$(printf '%s\n%s\n' "$first" "$second" | sort | tail -1)" ] || [ "$active" = "$second" ]
	ok lamassu cert revoke "$first" --reason superseded --yes
	ok lamassu dms set factory settings.reenrollment_settings.preventive_delta=61d settings.reenrollment_settings.critical_delta=10d
	ok lamassu device register e --dms factory
	issue e --validity 60d
	[ "$(status_of e)" = RENEWAL_PENDING ]
	ok lamassu dms set factory settings.reenrollment_settings.critical_delta=61d
	[ "$(status_of e)" = EXPIRING_SOON ]
	[ "$(lamassu device list --filter status=EXPIRING_SOON --filter id=e -o id)" = e ]
	[ -z "$(lamassu device list --filter status=ACTIVE --filter id=e -o id)" ]
	[ "$(lamassu --at 2099-01-01 device list --filter status=EXPIRED --filter id=e -o id)" = e ]
	ok lamassu device renewals -o json
	python3 - "$output" <<-'P'
		import json, sys
		r = [x for x in json.loads(sys.argv[1])["list"] if x["id"] == "e"][0]
		assert r["renew_before"] < r["expiration_date"] and r["status"] == "EXPIRING_SOON"
	P
	ok lamassu cert hold "$(serial_of ../e.pem)" --yes
	[ "$(status_of e)" = REVOKED ]
	ok lamassu cert unhold "$(serial_of ../e.pem)"
	[ "$(status_of e)" = EXPIRING_SOON ]
	ok lamassu cert revoke "$(serial_of ../e.pem)" --reason key_compromise --yes
	[ "$(status_of e)" = REVOKED ]
	ok lamassu device stats -o json
	[ "$(python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(d["total"], d["status_distribution"]["REVOKED"])' "$output")" = '2 1' ] ||
		[ "$(python3 -c 'import json, sys; d = json.loads(sys.argv[1]); print(d["total"])' "$output")" = 2 ]
	ok lamassu repo reindex
	[ "$(status_of e)" = REVOKED ]
	sound
}

@test "E13: metadata, tags and the manager change; every change is in the history with who and why" {
	fleet
	ok lamassu device register d --dms factory --metadata a=1
	ok lamassu device metadata set d b=x c='{"k": [1]}'
	ok lamassu device metadata unset d a
	ok lamassu device set d alias='North gate' tags=lab,north metadata.rack=12 icon=gate
	ok lamassu device show d -o json
	python3 - "$output" <<-'P'
		import json, sys
		d = json.loads(sys.argv[1])
		assert d["metadata"] == {"b": "x", "c": {"k": [1]}, "rack": 12} and d["tags"] == ["lab", "north"] and d["alias"] == "North gate"
	P
	fails 3 'there is no "zz"' lamassu device metadata unset d zz
	fails 2 'cannot be set' lamassu device set d status=ACTIVE
	fails 2 'cannot be set' lamassu device set d dms=nowhere
	LAMASSU_OPERATOR='Bob <bob@example.org>' ok lamassu device decommission d --reason scrapped --yes
	ok lamassu device events d -o json
	python3 - "$output" <<-'P'
		import json, sys
		v = json.loads(sys.argv[1])["list"]
		assert [x["type"] for x in v] == ["CREATED"] + 3 * ["SHADOW-UPDATED"] + ["DECOMMISSIONED"], v
		assert v[-1]["actor"] == "Bob <bob@example.org>" and v[-1]["reason"] == "scrapped" and v[0]["actor"] == "Test Operator <test@example.org>"
	P
	[ "$(lamassu device list --filter 'tags[ct]=nor' --filter metadata.rack=12 -o id)" = d ]
	fails 2 'known are status, id' lamassu device list --filter colour=red
}

@test "E13: decommissioning revokes and is for good; only then can a device be deleted, and its id is free again" {
	fleet
	ok lamassu device register d --dms factory
	issue d
	issue d
	fails 4 'comes first' lamassu device delete d --yes
	fails 2 '--yes' lamassu device decommission d </dev/null
	[ "$(status_of d)" = ACTIVE ]
	ok lamassu device decommission d --yes
	[ "$(status_of d)" = DECOMMISSIONED ]
	[ "$(git ls-tree -r --name-only ledger revoked | wc -l)" -eq 2 ]
	git show "ledger:$(git ls-tree -r --name-only ledger revoked | head -1)" | grep -q 'reason: cessation_of_operation'
	fails 4 'decommissioned already' lamassu device decommission d --yes
	ok lamassu device delete d --yes
	fails 3 'is not registered' lamassu device show d
	ok lamassu device register d --dms factory
	[ "$(status_of d)" = NO_IDENTITY ]
	issue d
	[ "$(status_of d)" = ACTIVE ]
	ok lamassu device show d -o json
	[[ $output == *'"active_version": 0'* ]]
	sound
}

@test "E10 E13: lists come from CSV and JSON; a bad line is named and the others are kept; what is exported comes back" {
	fleet
	printf '\xef\xbb\xbfid;dms;alias;tags;metadata.rack\r\nd1;factory;"x; ""y""";a|b;12\r\nd2;;;;\r\nd3;nope;;;\r\nd1;factory;;;\r\n\xff;factory;;;\r\nd4;factory\r\n\r\n"d5";factory;"two\nlines";;\r\n' >../l.csv
	fails 1 '4 of 7 devices failed' lamassu device import ../l.csv --dms factory
	for text in 'l.csv:4: dms "nope" not found' 'l.csv:5: device "d1" is on line 2 too' 'l.csv:6: ' 'l.csv:7: 2 cells'; do
		[[ $stderr == *"$text"* ]]
	done
	[ "$(lamassu device list -o id | sort | tr '\n' ' ')" = 'd1 d2 d5 ' ]
	[ "$(git log --format=%s ledger | grep -c import)" -eq 1 ]
	before=$(tips)
	fails 2 'nothing was imported' lamassu device import ../l.csv --dms factory --atomic
	fails 2 'unknown column "serial"' lamassu device import - <<<'id,serial'
	fails 2 'no column id' lamassu device import - <<<'dms,alias'
	[ "$before" = "$(tips)" ]
	ok lamassu device export --out ../e.csv
	python3 - ../e.csv <<-'P'
		import csv, json, sys
		rows = {r["id"]: r for r in csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8"))}
		assert rows["d1"]["alias"] == 'x; "y"' and rows["d1"]["tags"] == "a|b" and json.loads(rows["d1"]["metadata"]) == {"rack": 12}
		assert rows["d5"]["alias"] == "two\nlines"
	P
	ok lamassu device export --format json --out ../e.json
	ok lamassu device list --all -o json
	printf '%s' "$output" >../list.json
	ok lamassu init ../other --unencrypted-keys
	for file in e.csv e.json list.json; do
		rm -rf ../copy && cp -r ../other ../copy
		(
			cd ../copy
			ok lamassu ca create devices --subject CN=D --key-type ecdsa:256 --validity 5y --issuance-profile iot-device
			ok lamassu dms create factory --enrollment-ca devices --auth psk
			ok lamassu device import "../$file"
			ok lamassu device export --out ../again.csv
		)
		cmp ../e.csv ../again.csv
	done
	python3 -c 'import json; print(json.dumps([{"id": "d1", "alias": "new"}, {"id": "j1", "dms_owner": "factory", "status": "ACTIVE", "slots": {}},
		{"id": "j2", "dms": 5, "color": 1}]))' >../u.json
	fails 1 'unknown field' lamassu device import ../u.json --update
	ok lamassu device show d1 -o json
	[[ $output == *'"alias": "new"'* && $output == *'"rack": 12'* ]]
	[ "$(status_of j1)" = NO_IDENTITY ]
	sound
}

@test "E13: groups are filters, with those of the groups above; loops and unknown fields are refused" {
	fleet
	printf 'id,dms,tags,metadata.site\na,factory,lab,vienna\nb,factory,lab,graz\nc,factory,field,vienna\n' >../l.csv
	ok lamassu device import ../l.csv
	ok lamassu device group create lab --filter 'tags[ct]=lab'
	cat >../g.json <<-'J'
		{"id": "lab-vienna", "name": "Vienna", "parent_id": "lab", "criteria": [{"field": "metadata.site", "operand": "eq", "value": "vienna"}]}
	J
	ok lamassu device group create -f ../g.json
	[ "$(lamassu device group devices lab -o id | sort | tr '\n' ' ')" = 'a b ' ]
	[ "$(lamassu device group devices lab-vienna -o id)" = a ]
	[ -z "$(lamassu device group devices lab-vienna --filter status=ACTIVE -o id)" ]
	ok lamassu device group stats lab -o json
	[[ $output == *'"total": 2'* ]]
	fails 2 'unknown field "colour"' lamassu device group create x --filter colour=red
	fails 2 'no operator' lamassu device group create x --filter 'created_at[ct]=5'
	fails 2 'above itself' lamassu device group set lab parent_id=lab-vienna
	fails 2 'parent_id' lamassu device group create x --parent nowhere
	fails 4 'is above' lamassu device group delete lab --yes
	ok lamassu device group delete lab-vienna --yes
	ok lamassu device group delete lab --yes
}

@test "E14: bootstrap certificates are made in bulk, for 90 days at most, marked for single use, keys in private files" {
	fleet
	ok lamassu device bootstrap --dms factory --count 20 'd,1' --validity 45d --out ../line
	[ "$(ls ../line/*.pem | wc -l)" -eq 21 ]
	[ "$(stat -c %a ../line/bootstrap-000007.key)" = 600 ]
	ok lamassu ca export boot --out ../boot.pem
	openssl verify -CAfile ../boot.pem -purpose sslclient ../line/*.pem
	[ "$(openssl x509 -in ../line/d%2C1.pem -noout -subject -nameopt RFC2253)" = 'subject=CN=d\,1' ]
	diff <(openssl x509 -in ../line/bootstrap-000003.pem -noout -pubkey) <(openssl pkey -in ../line/bootstrap-000003.key -pubout)
	no openssl x509 -in ../line/bootstrap-000003.pem -noout -checkend $((46 * 86400))
	openssl x509 -in ../line/bootstrap-000003.pem -noout -checkend $((44 * 86400))
	[ "$(git log --format=%s ledger | grep -c 'bootstrap certificates')" -eq 1 ]
	[ "$(lamassu cert list --filter bind=BOOTSTRAP --filter dms=factory --all -o id | wc -l)" -eq 21 ]
	ok lamassu device stats -o json
	[[ $output == *'"bootstrap_issued": 21'* ]]
	no lamassu device show 'd,1'
	fails 4 'exists already' lamassu device bootstrap --dms factory 'd,1' --out ../line
	fails 5 '90 days at most' lamassu device bootstrap --dms factory --count 1 --validity 91d --out ../line2
	fails 2 '--count' lamassu device bootstrap --dms factory --out ../line2
	sound
}

@test "C15 E13: a compromised device is revoked and blocked, and what shares its key is named" {
	fleet
	ok lamassu device register d --dms factory
	ok lamassu device register e --dms factory
	issue d
	cp ../d.csr ../e.csr
	issue e
	shared=$(serial_of ../e.pem)
	ok lamassu device compromise d --reason 'found open' --ticket ../ticket --yes -o json
	python3 - "$output" "$shared" <<-'P'
		import json, sys
		v = json.loads(sys.argv[1])["list"]
		assert [x["device"] for x in v] == ["d", "e"] and v[1]["serial_number"] == sys.argv[2] and "same key" in v[1]["why"], v
	P
	grep -q "$shared" ../ticket
	[ "$(status_of d)" = REVOKED ] && [ "$(status_of e)" = ACTIVE ]
	ok lamassu device show d -o json
	[[ $output == *'"blocked": true'* ]]
	ok lamassu device events d
	[[ $output == *BLOCKED*'found open'* ]]
	ok lamassu device unblock d
	fails 4 'is not blocked' lamassu device unblock d
	sound
}

@test "E13: two clones register and change devices at once, and come to the same result" {
	fleet
	git init -q --bare -b "$(git branch --show-current)" ../hub.git
	git remote add origin ../hub.git
	ok lamassu repo sync
	git clone -q ../hub.git ../two
	(
		cd ../two
		git config user.name Two && git config user.email two@example.org
		ok lamassu device register both --dms factory --alias two
		ok lamassu device register b --dms factory
	)
	ok lamassu device register both --dms factory --alias one
	ok lamassu device set both tags=x
	(cd ../two && ok lamassu repo sync)
	ok lamassu repo sync
	(cd ../two && ok lamassu repo sync)
	[ "$(lamassu device list -o id | sort | tr '\n' ' ')" = 'b both ' ]
	diff <(lamassu device show both -o json) <(cd ../two && lamassu device show both -o json)
	ok lamassu repo verify
	(cd ../two && ok lamassu repo verify)
}
