"""ocsp_client.py URL ISSUER GOOD REVOKED: asks a responder in every way that RFC 6960 and RFC 9654 have, with python's cryptography."""
import base64
import sys
import urllib.error
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

url = sys.argv[1]
issuer, good, revoked = (x509.load_pem_x509_certificate(open(p, 'rb').read()) for p in sys.argv[2:5])


def post(der):
    request = urllib.request.Request(url + '/ocsp', der, {'Content-Type': 'application/ocsp-request'})
    return ocsp.load_der_ocsp_response(urllib.request.urlopen(request).read())


def tlv(tag, *parts):
    body = b''.join(parts)
    n = len(body)
    length = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + length + body


def content(der):
    skip = 2 if der[1] < 128 else 2 + (der[1] & 127)
    return der[skip:]


def request(*certificates, algorithm=hashes.SHA1(), nonce=None):
    """Builds one request of several: the builder of cryptography knows single ones only."""
    ids = b''
    for c in certificates:
        one = ocsp.OCSPRequestBuilder().add_certificate(c, issuer, algorithm).build()
        ids += content(content(content(one.public_bytes(Encoding.DER))))
    extensions = b''
    if nonce is not None:
        oid = bytes.fromhex('06092b0601050507300102')
        extensions = tlv(0xa2, tlv(0x30, tlv(0x30, oid, tlv(4, tlv(4, nonce)))))
    return ids, extensions


def whole(ids, extensions=b'', requestor=b'', signature=b''):
    return tlv(0x30, tlv(0x30, requestor, tlv(0x30, ids), extensions), signature)


def successful(answer):
    assert answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL, answer.response_status
    responder = answer.certificates[0]
    responder.verify_directly_issued_by(issuer)
    responder.public_key().verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm))
    assert answer.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest
    return list(answer.responses)


GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
for algorithm in hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512():
    for c, status in (good, GOOD), (revoked, REVOKED):
        [one] = successful(post(whole(*request(c, algorithm=algorithm))))
        assert one.certificate_status == status and one.serial_number == c.serial_number
        assert isinstance(one.hash_algorithm, type(algorithm))

several = successful(post(whole(*request(good, revoked, good, algorithm=hashes.SHA256()))))
assert [one.certificate_status for one in several] == [GOOD, REVOKED, GOOD]
assert len(successful(post(whole(request(*[good] * 32)[0])))) == 32
assert post(whole(request(*[good] * 33)[0])).response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST

for n in 1, 16, 32, 128:
    answer = post(whole(*request(good, nonce=bytes(range(n)))))
    successful(answer)
    # content of the extension is an OCTET STRING of its own, which cryptography unwraps or not by its version
    assert bytes(range(n)) in answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
for n in 0, 129, 300:
    assert post(whole(*request(good, nonce=bytes(n)))).response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST

ids, _ = request(good)
name = tlv(0xa1, tlv(0xa4, tlv(0x30)))
successful(post(whole(ids, requestor=name)))
successful(post(whole(ids, requestor=tlv(0xa0, tlv(2, b'\0')) + name)))
ecdsa = tlv(0x30, bytes.fromhex('06082a8648ce3d040302'))
successful(post(whole(ids, requestor=name, signature=tlv(0xa0, tlv(0x30, ecdsa, tlv(3, b'\0' * 9))))))
for damaged in whole(ids)[:-1], whole(ids) + b'\0', b'', b'0\0', whole(b''), b'0' * 70000:
    try:
        assert post(damaged).response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    except urllib.error.HTTPError as e:
        assert e.code == 413 and len(damaged) > 65536

der = whole(ids)
plain = base64.b64encode(der).decode()
for path in plain, urllib.parse.quote(plain, safe=''), base64.urlsafe_b64encode(der).decode().rstrip('='), \
        base64.urlsafe_b64encode(der).decode():
    answer = urllib.request.urlopen(url + '/ocsp/' + path)
    assert answer.headers['Cache-Control'].startswith('max-age=') and answer.headers['ETag']
    assert successful(ocsp.load_der_ocsp_response(answer.read()))[0].certificate_status == GOOD
