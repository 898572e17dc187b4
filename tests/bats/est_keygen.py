"""A client of serverkeygen that wants the key encrypted, made of python's cryptography and pyasn1.

request NAME OUT.b64 [ATTRIBUTE ...]: a request with these attributes: decrypt=HEX, symmetric=HEX, OID=DER in hex, caps=WORD,WORD…;
  the words are those of CAPS below, params=… may follow one after a colon.
keyid CERT.pem: the subject key identifier, or SHA-1 of the key where there is none.
parts HEAD ANSWER: writes the parts of a multipart to part-1, part-2 and prints their types.
wrap SIGNED OUT: a ContentInfo around what `openssl cms -decrypt` gave.
key PACKAGE OUT.der: the only key of an AsymmetricKeyPackage.
"""
import base64, email, sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyasn1.codec.der import decoder, encoder
from pyasn1.type import univ
from pyasn1_alt_modules import rfc2986, rfc5652, rfc5958

CAPS = {
    "aes256": "2.16.840.1.101.3.4.1.42", "aes192": "2.16.840.1.101.3.4.1.22", "aes128": "2.16.840.1.101.3.4.1.2", "3des": "1.2.840.113549.3.7",
    "rsa": "1.2.840.113549.1.1.1", "oaep": "1.2.840.113549.1.1.7", "kem": "1.2.840.113549.1.9.16.3.14",
    "ecdh256": "1.3.132.1.11.1", "ecdh384": "1.3.132.1.11.2", "ecdh1": "1.3.133.16.840.63.0.2", "ecdhc256": "1.3.132.1.14.1",
    "wrap256": "2.16.840.1.101.3.4.1.45", "wrap128": "2.16.840.1.101.3.4.1.5",
}
SHA256, MGF1 = "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.8"


def algorithm(oid, params=b""):
    return seq(encoder.encode(univ.ObjectIdentifier(oid)) + params)


def tlv(tag, body):
    n = len(body)
    return bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])) + body


def seq(body):
    return tlv(0x30, body)


def capability(word):
    name, _, params = word.partition(":")
    if params == "sha256":
        h = algorithm(SHA256, b"\x05\x00")
        return algorithm(CAPS[name], seq(tlv(0xA0, h) + tlv(0xA1, algorithm(MGF1, h))))
    if params == "md5":
        return algorithm(CAPS[name], seq(tlv(0xA0, algorithm("1.2.840.113549.2.5"))))
    return algorithm(CAPS[name], algorithm(CAPS[params]) if params else b"")


def attribute(text):
    name, _, value = text.partition("=")
    if name == "caps":
        return "1.2.840.113549.1.9.15", seq(b"".join(capability(w) for w in value.split(",") if w))
    if name in ("decrypt", "symmetric"):
        return "1.2.840.113549.1.9.16.2." + ("54" if name == "decrypt" else "37"), tlv(4, bytes.fromhex(value))
    return name, bytes.fromhex(value)


def request(name, attributes):
    key = ec.generate_private_key(ec.SECP256R1())
    b = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
    csr = b.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    csr, _ = decoder.decode(csr, rfc2986.CertificationRequest())
    info = csr["certificationRequestInfo"]
    head = b"".join(encoder.encode(info[f]) for f in ("version", "subject", "subjectPKInfo"))
    some = sorted(seq(encoder.encode(univ.ObjectIdentifier(oid)) + tlv(0x31, value)) for oid, value in map(attribute, attributes))
    info = seq(head + tlv(0xA0, b"".join(some)))
    return seq(info + encoder.encode(csr["signatureAlgorithm"]) + tlv(3, b"\0" + key.sign(info, ec.ECDSA(hashes.SHA256()))))


def key_id(cert):
    try:
        return cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(cert.public_key()).digest


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def parts(head, answer):
    line = [x for x in read(head).split(b"\r\n") if x.lower().startswith(b"content-type")][0]
    m = email.message_from_bytes(line + b"\r\n\r\n" + read(answer))
    for i, p in enumerate(m.get_payload()):
        assert p["Content-Transfer-Encoding"] == "base64"
        write(f"part-{i + 1}", p.get_payload(decode=True))
        print(p.get_content_type(), p.get_param("smime-type"))


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "request":
        write(args[1], base64.b64encode(request(args[0], args[2:])) + b"\n")
    elif what == "keyid":
        print(key_id(x509.load_pem_x509_certificate(read(args[0]))).hex())
    elif what == "parts":
        parts(*args)
    elif what == "wrap":
        write(args[1], seq(encoder.encode(rfc5652.id_signedData) + tlv(0xA0, read(args[0]))))
    elif what == "key":
        package, rest = decoder.decode(read(args[0]), rfc5958.AsymmetricKeyPackage())
        assert not rest and len(package) == 1
        write(args[1], encoder.encode(package[0]))


main()
