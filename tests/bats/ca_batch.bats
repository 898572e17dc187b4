#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# `ca sign` of many requests: where they come from, results in order, bad ones among good ones, all or none, and runs cut off.
load helpers
load ca_helpers

# requests N [FOLDER]: N requests for one key in ../FOLDER, r001.csr …; the subject's common name is the file's
requests() {
	local dir=../${2:-req} i
	mkdir -p "$dir"
	[ -e ../batch.key ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ../batch.key
	python3 - "$1" "$dir" <<-'P'
		import sys
		from cryptography import x509
		from cryptography.hazmat.primitives import hashes, serialization as s
		key = s.load_pem_private_key(open('../batch.key', 'rb').read(), None)
		for i in range(1, int(sys.argv[1]) + 1):
		    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'r%04d' % i)])
		    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
		    open('%s/r%04d.csr' % (sys.argv[2], i), 'wb').write(csr.public_bytes(s.Encoding.PEM))
	P
}
issued() { git ls-tree -r --name-only ledger issued | wc -l; }
# each request answered by how many certificates: only the numbers that occur
per_request() { lamassu cert list --all --filter ca=ca -o json | jq -r '.list[].request_sha256' | sort | uniq -c | awk '{print $1}' | sort -u | tr '\n' ' '; }

@test "C7: pipes, sockets, devices and folders among requests are named, and the rest is issued; a pipe that is named is read" {
	two_tier
	requests 3
	mkfifo ../req/pipe.csr ../req/pipe.pem
	mkdir ../req/folder.csr
	ln -s /dev/zero ../req/zero.csr
	ln -s nowhere ../req/dangling.csr
	mv ../req/r0003.csr ../linked && ln -s ../linked ../req/r0003.csr
	python3 -c 'import os, socket; os.chdir("../req"); socket.socket(socket.AF_UNIX).bind("socket.csr")'
	fails 1 '5 of 8 requests failed' timeout 60 "$LAMASSU" ca sign ca --csr ../req --out ../out
	for f in pipe socket zero; do grep -q "$f.csr: .*not a regular file" <<<"$stderr"; done
	grep -q 'folder.csr: .*is a directory' <<<"$stderr"
	grep -q 'dangling.csr: .*no such file' <<<"$stderr"
	[ "$(ls ../out)" = "$(printf 'r%04d.pem\n' 1 2 3)" ]
	ok timeout 60 "$LAMASSU" ca sign ca --csr <(cat ../req/r0001.csr) --out ../one.pem
	[ "$(openssl x509 -in ../one.pem -noout -subject)" = 'subject=CN = r0001' ]
	cat ../req/r0001.csr ../req/r0002.csr >../req/pipe.csr &
	ok timeout 60 "$LAMASSU" ca sign ca --csr ../req/pipe.csr --csr <(openssl req -in ../linked -outform DER) -o json
	[ "$(jq -r '[.list[].subject] | join(" ")' <<<"$output")" = 'CN=r0001 CN=r0002 CN=r0003' ]
}

@test "C7: files, a folder, a tar, concatenated PEM and DER on standard input; one commit; a file for each" {
	two_tier
	requests 6
	echo 'not a request' >../req/README
	cp ../batch.key ../req/key.pem
	openssl req -in ../req/r0006.csr -outform DER -out ../req/r0006.der && rm ../req/r0006.csr
	before=$(git rev-list --count ledger)
	ok lamassu ca sign ca --csr ../req --out ../out
	[ "$(($(git rev-list --count ledger) - before))" -eq 1 ]
	[ "$(git log -1 --format=%s ledger)" = 'ca: sign 6 certificates with ca' ]
	[ "$(ls ../out)" = "$(printf 'r%04d.pem\n' 1 2 3 4 5 6)" ]
	for i in 1 2 3 4 5 6; do openssl verify -trusted ../root.pem -untrusted ../ca.pem ../out/r000$i.pem; [ "$(openssl x509 -in ../out/r000$i.pem -noout -subject)" = "subject=CN = r000$i" ]; done >/dev/null
	tar -C .. -cf ../req.tar req/r0001.csr req/r0002.csr req/r0006.der
	ok lamassu ca sign ca --csr - -o json <../req.tar
	[ "$(jq -r '[.list[].subject] | join(" ")' <<<"$output")" = 'CN=r0001 CN=r0002 CN=r0006' ]
	[ "$(jq -r '[.list[].request] | join(" ")' <<<"$output")" = 'req/r0001.csr req/r0002.csr req/r0006.der' ]
	cat ../req/r0003.csr ../req/r0004.csr | ok lamassu ca sign ca --csr - --out ../both
	[ "$(find ../both -type f | wc -l)" -eq 2 ]
	ok lamassu ca sign ca --csr ../req/r0005.csr --csr ../req/r0001.csr
	[ "$(openssl storeutl -noout -certs /dev/stdin <<<"$output" | tail -n 1)" = 'Total found: 2' ]
	ok lamassu ca sign ca --csr ../req/r0001.csr --csr ../req/r0002.csr --chain --format p7b --out ../p7
	[ "$(openssl pkcs7 -in ../p7/r0002.p7b -print_certs | grep -c BEGIN)" -eq 3 ]
	ok lamassu ca sign ca --csr ../req --format der --out ../der
	openssl x509 -inform DER -in ../der/r0004.der -noout
	fails 2 'a folder' lamassu ca sign ca --csr ../req --format der
	# what is to be said of all of them is said once
	ok lamassu ca sign root --csr ../req --profile tls-client --out ../root.out
	[ "$(grep -c 'signs an end-entity' <<<"$stderr")" -eq 2 ]
	[[ $stderr == *'5 more: '* ]]
	fails 2 'one device' lamassu ca sign ca --csr ../req --device d
	mkdir ../empty
	fails 3 'no requests' lamassu ca sign ca --csr ../empty
	ok lamassu repo verify
}

@test "C7: certificates of requests with one name do not overwrite each other" {
	two_tier
	requests 2 one
	requests 2 two
	ok lamassu ca sign ca --csr ../one --csr ../two --out ../out -o json
	[ "$(find ../out -type f | wc -l)" -eq 4 ]
	jq -r '.list[] | .file + " " + .serial_number' <<<"$output" | while read -r f s; do [ "$(serial_of "$f")" = "$s" ]; done
}

@test "C7: results in order, a bad request is named and the others are issued: exit 1" {
	two_tier
	requests 5
	echo rubbish >../req/r0002.csr
	sed 's/^M/N/' ../req/r0004.csr >../x && mv ../x ../req/r0004.csr
	fails 1 '2 of 5 requests failed' lamassu ca sign ca --csr ../req --out ../out -o json
	[[ $stderr == *'r0002.csr: '* && $stderr == *'r0004.csr: '* ]]
	[ "$(jq -r '[.list[].request] | join(" ")' <<<"$output")" = 'r0001.csr r0002.csr r0003.csr r0004.csr r0005.csr' ]
	[ "$(jq -c '[.list[] | has("error")]' <<<"$output")" = '[false,true,false,true,false]' ]
	[ "$(jq -c '[.list[] | has("serial_number")]' <<<"$output")" = '[true,false,true,false,true]' ]
	[ "$(ls ../out)" = $'r0001.pem\nr0003.pem\nr0005.pem' ]
	[ "$(issued)" -eq 5 ]
	# --quiet names them too; -o id has a line for each certificate
	fails 1 '2 of 5 requests failed' lamassu -q ca sign ca --csr ../req --out ../quiet
	[[ -z $output && $stderr == 'lamassu: r0002.csr: '*$'\nlamassu: r0004.csr: '* ]]
	fails 1 '2 of 5 requests failed' lamassu -q ca sign ca --csr ../req --out ../quiet -o json
	[ "$(jq -r .error.code <<<"$stderr")" = partial ]
	[ "$(jq -c '[.list[] | has("error")]' <<<"$output")" = '[false,true,false,true,false]' ]
	fails 1 '2 of 5 requests failed' lamassu ca sign ca --csr ../req --out ../ids -o id
	[ "$output" = "$(for f in ../ids/*.pem; do serial_of "$f"; done)" ]
	# one bad block in a stream of PEM
	before=$(issued)
	{ cat ../req/r0001.csr; printf -- '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n'; cat ../req/r0003.csr; } >../stream
	fails 1 '1 of 3 requests failed' lamassu ca sign ca --csr ../stream --out ../stream.out
	[ "$(($(issued) - before))" -eq 2 ]
	# a dry run names them too, and does nothing
	before=$(git rev-parse ledger)
	fails 1 '2 of 5 requests failed' lamassu --dry-run ca sign ca --csr ../req --out ../no
	[[ $stderr == *'r0002.csr: '* ]]
	[ ! -e ../no ]
	[ "$(git rev-parse ledger)" = "$before" ]
	rm ../req/r0001.csr ../req/r0003.csr ../req/r0005.csr
	fails 1 '2 of 2 requests failed' lamassu ca sign ca --csr ../req --out ../out2
	fails 5 'r0004.csr: ' lamassu ca sign ca --csr ../req/r0004.csr || fails 2 'r0004.csr: ' lamassu ca sign ca --csr ../req/r0004.csr
	fails 2 'standard input: no certificate request found' lamassu ca sign ca --csr - </dev/null
}

@test "C7: --atomic keeps all or none" {
	two_tier
	requests 4
	head=$(git rev-parse ledger)
	echo rubbish >../req/r0003.csr
	fails 1 '1 of 4 requests failed, so none was signed' lamassu ca sign ca --csr ../req --out ../out --atomic -o json
	[[ $stderr == *'r0003.csr: '* && $stderr != *'r0001.csr'* ]]
	[ "$(jq -c '[.list[] | has("error")]' <<<"$output")" = '[true,true,true,true]' ]
	[ "$(git rev-parse ledger)" = "$head" ]
	[ -z "$(ls ../out 2>/dev/null)" ]
	rm ../req/r0003.csr
	ok lamassu ca sign ca --csr ../req --out ../out --atomic
	[ "$(find ../out -type f | wc -l)" -eq 3 ]
	[ "$(git rev-list --count "$head..ledger")" -eq 1 ]
}

@test "C7: chunks, threads, and what is durable: --jobs changes nothing but the time" {
	two_tier
	requests 1200
	for jobs in 1 3; do
		ok lamassu ca sign ca --csr ../req --out "../out$jobs" --jobs "$jobs" -o json
		[ "$(jq '.list | length' <<<"$output")" -eq 1200 ]
		[ "$(jq -r '[.list[].subject] == ([.list[].subject] | sort)' <<<"$output")" = true ]
		[ "$(jq -r '[.list[].serial_number] | unique | length' <<<"$output")" -eq 1200 ]
	done
	[ "$(git log --format=%s ledger -4)" = "$(printf 'ca: sign %s certificates with ca\n' 200 1000 200 1000)" ]
	[ "$(issued)" -eq 2402 ]
	[ "$(per_request)" = '2 ' ]
	[ -z "$(ls .git/lamassu/batches 2>/dev/null)" ]
	fails 2 '--jobs' lamassu ca sign ca --csr ../req --jobs -1
	git fsck --strict --no-dangling
}

@test "C7: a run that is killed goes on where it was, without issuing twice" {
	two_tier
	requests 3000
	# killed when the first chunk is durable: the ledger has moved
	read -r head <.git/refs/heads/ledger
	"$LAMASSU" ca sign ca --csr ../req --out ../out --jobs 1 >../killed.out 2>&1 & # the program itself, no subshell
	pid=$! now=$head
	until [ "$now" != "$head" ]; do read -r now <.git/refs/heads/ledger || now=$head; done
	kill -9 $pid
	wait $pid || true
	done_before=$(($(issued) - 2))
	[ "$done_before" -ge 1000 ]
	[ "$done_before" -lt 3000 ] # else the test is too slow to say anything
	ok lamassu ca sign ca --csr ../req --out ../out -o json
	[[ $stderr == *"going on with an interrupted batch: $done_before certificates"* ]]
	[ "$(jq '.list | length' <<<"$output")" -eq 3000 ]
	[ "$(issued)" -eq 3002 ]
	[ "$(per_request)" = '1 ' ]
	[ "$(find ../out -type f -name '*.pem' | wc -l)" -eq 3000 ]
	[ "$(jq -r '.list[].serial_number' <<<"$output" | sort)" = "$(lamassu cert list --all --filter ca=ca -o id | sort)" ]
	f=r0001.pem
	openssl verify -trusted ../root.pem -untrusted ../ca.pem "../out/$f"
	ok lamassu repo verify
	# finished is finished: the same batch once more is a new one
	ok lamassu ca sign ca --csr ../req/r0001.csr --csr ../req/r0002.csr --out ../again
	ok lamassu ca sign ca --csr ../req/r0001.csr --csr ../req/r0002.csr --out ../again
	[ "$(issued)" -eq 3006 ]
}

@test "C7: what the profile changes while a batch waits holds for what is signed after" {
	two_tier
	requests 3
	ok lamassu ca sign ca --csr ../req --out ../out --profile tls-client
	ok lamassu profile set tls-client validity.duration=30d
	ok lamassu ca sign ca --csr ../req --out ../out --profile tls-client
	[ "$(( ($(date -d "$(openssl x509 -in ../out/r0001.pem -noout -enddate | cut -d= -f2)" +%s) - $(date +%s)) / 86400 ))" -le 30 ]
	ok lamassu ca disable ca
	fails 5 'INACTIVE' lamassu ca sign ca --csr ../req --out ../out
}
