# serverkeygen for clients that want the key encrypted to them (RFC 7030 4.4.1.1, 4.4.1.2, 4.4.2; RFC 5958). Judges: openssl cms, python's
# pyasn1 and cryptography. A client's certificate is of the authority "boot", for a key that may decrypt.
load helpers
load est_helpers

setup_file() {
	est_pki && est_dms keygen && L --repo pki dms set keygen settings.server_keygen_settings.enabled=true \
		settings.enrollment_settings.enable_replaceable_enrollment=true || return 1
	L --repo pki profile create --template iot-device strong && L --repo pki profile set strong 'crypto_enforcement.allowed_ecdsa_key_sizes=[384]' &&
		est_dms escrow && L --repo pki dms set escrow settings.server_keygen_settings.enabled=true settings.issuance_profile_id=strong \
		settings.server_keygen_settings.key.bits=384 &&
		L --repo pki kms engine add vaulted --type software --set dir=vaulted --set unencrypted=true || return 1
	L --repo pki profile create --template bootstrap decrypting &&
		L --repo pki profile set decrypting honor_key_usage=true crypto_enforcement.enabled=false || return 1
	client rsa rsa:2048 digitalSignature,keyEncipherment && client ec ec:P-256 digitalSignature,keyAgreement && client ec384 ec:P-384 keyAgreement,digitalSignature &&
		client signer rsa:2048 digitalSignature || return 1
	est_keep main --dms keygen --dms escrow
}
teardown_file() { est_end; }
setup() {
	est_share && est_use main && cp "$BATS_FILE_TMPDIR"/est/*.{pem,key} .
}

client() { # client NAME TYPE:SIZE USAGE: NAME.key, NAME.pem
	local pick=rsa_keygen_bits; [ "${2%:*}" = rsa ] || pick=ec_paramgen_curve
	openssl req -new -newkey "${2%:*}" -pkeyopt "$pick:${2#*:}" -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" \
		-addext "keyUsage=critical,$3" 2>/dev/null && L --repo pki ca sign boot --profile decrypting --csr "$1.csr" --out "$1.pem"
}
py() { python3 "$BATS_TEST_DIRNAME/est_keygen.py" "$@"; }

asks() { # asks CLIENT DEVICE ATTRIBUTE…: prints the status
	local who=$1 name=$2; shift 2
	py request "$name" body "$@" && est_post keygen/serverkeygen body --cert "$who.pem" --key "$who.key"
}
id_of() { py keyid "$1.pem"; }

# opened CLIENT: the answer's key, decrypted by openssl with the client's and its signature verified, is that of the certificate
opened() {
	[ "$(py parts head answer)" = $'application/pkcs7-mime server-generated-key\napplication/pkcs7-mime certs-only' ]
	no grep -q PRIVATE part-1
	openssl cms -cmsout -print -inform DER -in part-1 >tree
	openssl cms -decrypt -inform DER -in part-1 -recip "$1.pem" -inkey "$1.key" -out signed
	py wrap signed wrapped
	openssl cms -verify -inform DER -in wrapped -CAfile root.pem -out package -signer signer-of-key.pem 2>/dev/null
	openssl cms -cmsout -print -inform DER -in wrapped | grep -q 'eContentType: .*2.16.840.1.101.2.1.2.78.5'
	py key package key.der
	openssl pkcs7 -inform DER -in part-2 -print_certs | openssl x509 -out cert.pem
	cmp <(openssl pkey -inform DER -in key.der -pubout) <(openssl x509 -in cert.pem -noout -pubkey)
	openssl verify -CAfile root.pem -untrusted <("$LAMASSU" --repo pki ca export devices) cert.pem
}

@test "E5: a key encrypted to an RSA client, by RSAES-OAEP or PKCS #1 as it says; by name of its key" {
	[ "$(asks rsa r-1 "decrypt=$(id_of rsa)" caps=oaep:sha256,rsa,aes256)" = 200 ]
	grep -qi '^cache-control: no-store' head
	opened rsa
	grep -q 'algorithm: rsaesOaep' tree; grep -q ':mgf1' tree; [ "$(grep -c ':sha256' tree)" = 2 ]; grep -q 'algorithm: aes-256-cbc' tree
	grep -q 'd.subjectKeyIdentifier' tree; no grep -q 'd.issuerAndSerialNumber' tree
	[ "$(asks rsa r-2 "decrypt=$(id_of rsa)" caps=3des,aes128,aes256,rsa,oaep)" = 200 ]
	opened rsa
	grep -q 'algorithm: rsaEncryption' tree; grep -q 'algorithm: aes-128-cbc' tree
	[ "$(asks rsa r-3 "decrypt=$(id_of rsa)" caps=aes192)" = 200 ]
	opened rsa
	grep -q 'algorithm: aes-192-cbc' tree
}

@test "E5: a key encrypted to an EC client, by the agreement and the wrap that it says" {
	[ "$(asks ec e-1 "decrypt=$(id_of ec)" caps=ecdh256:wrap128,aes256)" = 200 ]
	opened ec
	grep -q 'dhSinglePass-stdDH-sha256kdf-scheme' tree; grep -q 'rKeyId' tree
	openssl asn1parse -inform DER -in part-1 | grep -q 'id-aes128-wrap'
	[ "$(asks ec e-2 "decrypt=$(id_of ec)" caps=ecdh384,wrap256,aes128)" = 200 ]
	opened ec
	grep -q 'dhSinglePass-stdDH-sha384kdf-scheme' tree
	openssl asn1parse -inform DER -in part-1 | grep -q 'id-aes256-wrap'
	[ "$(asks ec384 e-3 "decrypt=$(id_of ec384)" caps=aes256)" = 200 ]
	opened ec384
}

@test "E5: who signs is the worker that made the key, with a recorded certificate for that and nothing else" {
	[ "$(asks rsa s-1 "decrypt=$(id_of rsa)" caps=aes256)" = 200 ]
	opened rsa
	openssl x509 -in signer-of-key.pem -noout -subject -nameopt RFC2253 | grep -q '^subject=CN=devices key generation'
	openssl x509 -in signer-of-key.pem -noout -ext keyUsage | grep -qx ' *Digital Signature'
	openssl x509 -in signer-of-key.pem -noout -ext extendedKeyUsage | grep -qx ' *E-mail Protection'
	"$LAMASSU" --repo pki cert show "$(openssl x509 -in signer-of-key.pem -noout -serial | cut -d= -f2)" -o json | jq -e '.status == "ACTIVE"'
}

@test "E5: the key of a certificate that the device has, not the one it shows, will do; that of another device will not" {
	client own rsa:2048 keyEncipherment
	[ "$(est_post keygen/simpleenroll <(openssl req -in own.csr -outform DER | base64) --cert boot-1.pem --key boot-1.key)" = 200 ]
	est_pem >own-issued.pem
	py request own body "decrypt=$(id_of own-issued)" caps=aes256
	[ "$(est_post keygen/serverkeygen body --cert boot-1.pem --key boot-1.key)" = 200 ]
	cp own-issued.pem own.pem; opened own
	[ "$(asks rsa other "decrypt=$(id_of own-issued)" caps=aes256)" = 400 ]; est_line 400 'not known here'
	[ "$(est_post keygen/serverkeygen body --cert boot-1.pem --key boot-1.key)" = 400 ] # it was replaced, so it is revoked
}

@test "E5 est-60: encryption that cannot be done as it was asked for is refused, never left out, and nothing is issued" {
	id=$(id_of rsa)
	refused() { # refused WHY CLIENT ATTRIBUTE…
		local why=$1 who=$2; shift 2
		[ "$(asks "$who" n-1 "$@")" = 400 ] && est_line 400 "$why" && no grep -q PRIVATE answer
	}
	refused 'SMIMECapabilities must' rsa "decrypt=$id"
	refused 'not known here' rsa decrypt=00112233 caps=aes256
	refused 'not known here' ec "decrypt=$id" caps=aes256
	refused 'OCTET STRING' rsa 1.2.840.113549.1.9.16.2.54=0c0161 caps=aes256
	refused 'OCTET STRING' rsa decrypt= caps=aes256
	refused 'none of AES' rsa "decrypt=$id" caps=3des,rsa
	refused 'none of AES' rsa "decrypt=$id" caps=
	refused 'RFC 8551' rsa "decrypt=$id" 1.2.840.113549.1.9.15=0500
	refused 'RFC 8551' rsa "decrypt=$id" 1.2.840.113549.1.9.15=30023003
	refused 'no way to wrap' rsa "decrypt=$id" caps=aes256,oaep:md5
	refused 'no way to wrap' ec "decrypt=$(id_of ec)" caps=aes256,ecdhc256
	refused 'key usage' signer "decrypt=$(id_of signer)" caps=aes256
	refused 'no secret keys are shared' rsa symmetric=0011 caps=aes256
	refused 'no secret keys are shared' rsa symmetric=0011 "decrypt=$id" caps=aes256
	refused 'more than one value' rsa "decrypt=$id" "decrypt=$id" caps=aes256
	no "$LAMASSU" --repo pki device show n-1
}

@test "E5 E16: our own client asks for it, and takes nothing else" {
	here=https://localhost:$EST_PORT
	dev() { lamassu device enroll "$@" --est "$here" --label keygen --ca-file root.pem --server-key; }
	for who in rsa ec ec384; do
		ok dev "c-$who" --encrypted --cert "$who.pem" --key "$who.key" --out "c-$who.pem" --key-out "c-$who.key"
		cmp <(openssl x509 -in "c-$who.pem" -noout -pubkey) <(openssl pkey -in "c-$who.key" -pubout)
	done
	fails 5 'key usage' dev c-4 --encrypted --cert signer.pem --key signer.key --out x.pem
	fails 2 'goes with --server-key and --cert' lamassu device enroll c-5 --est "$here" --encrypted --out x.pem
	no ls x.pem
}

@test "E5: escrow keeps a copy in the engine that the manager names, and only then" {
	makes() { # makes DEVICE: prints the id of the key
		py request "$1" body && [ "$(est_post escrow/serverkeygen body --cert boot-1.pem --key boot-1.key)" = 200 ] || return 1
		py parts head answer >types && openssl pkey -inform DER -in part-1 -pubout -outform DER | sha256sum | cut -d' ' -f1
	}
	has() { "$LAMASSU" --repo pki kms key list --all -o json | jq -e --arg id "$1" '.list | any(.id == $id)'; }
	none=$(makes k-1)
	no has "$none"; [ "$(find pki/ -name "$none*" | wc -l)" = 0 ]
	L --repo pki dms set escrow settings.server_keygen_settings.escrow=vaulted
	kept=$(makes k-2)
	has "$kept"; no has "$none"
	cmp part-1 <(openssl pkey -in "pki/.git/lamassu/vaulted/$kept.pem" -outform DER | openssl pkcs8 -topk8 -nocrypt -inform DER -outform DER)
	"$LAMASSU" --repo pki cert list -o json --all | jq -e --arg id "$kept" '.list | any(.key_id == $id)'
	"$LAMASSU" --repo pki device show k-2 -o json | jq -e '.status == "ACTIVE"'
	ok "$LAMASSU" --repo pki kms key import "$kept" --engine vaulted --name of-k-2
	# Where no copy can be kept, no key is made.
	mv pki/.git/lamassu/vaulted kept; : >pki/.git/lamassu/vaulted
	py request k-3 body; [ "$(est_post escrow/serverkeygen body --cert boot-1.pem --key boot-1.key)" = 503 ]; est_line 503 'cannot be kept'
	rm pki/.git/lamassu/vaulted; mv kept pki/.git/lamassu/vaulted
	no "$LAMASSU" --repo pki device show k-3
	L --repo pki dms set escrow settings.server_keygen_settings.escrow=
	no has "$(makes k-4)"
}
