#!/usr/bin/env python3
"""Writes requests that must be refused into a folder, one flaw each, signed correctly but where the signature is the flaw.
The DER is put together by hand, because libraries refuse to write most of this."""
import base64
import os
import subprocess
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519


def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    size = bytes([n]) if n < 128 else (lambda b: bytes([0x80 | len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body


def seq(*parts):
    return tlv(0x30, *parts)


def oid(text):
    arcs = [int(a) for a in text.split(".")]
    out = bytes([arcs[0] * 40 + arcs[1]])
    for arc in arcs[2:]:
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(0x80 | (arc & 0x7F))
        out += bytes(reversed(chunk))
    return tlv(6, out)


def name(value, tag=0x0C):
    return seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(tag, value))))


def extension(ext, value):
    return seq(oid(ext), tlv(4, value))


def attributes(*extensions):
    if not extensions:
        return tlv(0xA0)
    return tlv(0xA0, seq(oid("1.2.840.113549.1.9.14"), tlv(0x31, seq(*extensions))))


ECDSA_SHA256 = seq(oid("1.2.840.10045.4.3.2"))
RSA_SHA256 = seq(oid("1.2.840.113549.1.1.11"), b"\x05\x00")
DSA_SHA256 = seq(oid("2.16.840.1.101.3.4.3.2"))
KEY = ec.generate_private_key(ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def sign(key, info):
    if isinstance(key, rsa.RSAPrivateKey):
        from cryptography.hazmat.primitives.asymmetric import padding
        return RSA_SHA256, key.sign(info, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, dsa.DSAPrivateKey):
        return DSA_SHA256, key.sign(info, hashes.SHA256())
    if isinstance(key, x25519.X25519PrivateKey):
        return ECDSA_SHA256, bytes(64)
    return ECDSA_SHA256, key.sign(info, ec.ECDSA(hashes.SHA256()))


def request(subject=None, key=KEY, attrs=b"\xa0\x00", version=b"\x00", spoil=False):
    info = seq(tlv(2, version), subject or name(b"bad"), spki(key), attrs)
    alg, sig = sign(key, info)
    if spoil:
        sig = sig[:-1] + bytes([sig[-1] ^ 1])
    return seq(info, alg, tlv(3, b"\x00" + sig))


def san(value):
    return attributes(extension("2.5.29.17", seq(tlv(0x82, value))))


def explicit_curve():
    key = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit"],
                         check=True, capture_output=True).stdout
    return subprocess.run(["openssl", "req", "-new", "-key", "/dev/stdin", "-subj", "/CN=bad", "-outform", "DER"],
                          input=key, check=True, capture_output=True).stdout


def certificate():
    return subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null", "-subj",
                           "/CN=bad"], check=True, capture_output=True).stdout


def main(folder):
    good = request()
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n"
    requests = {
        "signature": request(spoil=True),
        "rsa-1024": request(key=rsa.generate_private_key(65537, 1024)),
        "secp192r1": request(key=ec.generate_private_key(ec.SECP192R1())),
        "explicit-curve": explicit_curve(),
        "trailing": good + b"junk",
        "trailing-pem": pem % base64.encodebytes(good + b"junk"),
        "extensions-1mb": request(attrs=attributes(extension("1.2.3.4", tlv(4, bytes(1 << 20))))),
        "extensions-many": request(attrs=attributes(*(extension("1.2.3.%d" % i, b"\x05\x00") for i in range(2000)))),
        "extension-twice": request(attrs=attributes(*[extension("1.2.3.4", b"\x05\x00")] * 2)),
        "nul": request(name(b"good.example\0.evil.example")),
        "nul-san": request(attrs=san(b"good.example\0.evil.example")),
        "newline-san": request(attrs=san(b"good.example\n")),
        "version": request(version=b"\x01"),
        "dsa": request(key=dsa.generate_private_key(2048)),
        "x25519": request(key=x25519.X25519PrivateKey.generate()),
        "secp256k1": request(key=ec.generate_private_key(ec.SECP256K1())),
        "not-utf8": request(name(b"caf\xe9 \xff\xfe")),
        "surrogate": request(name(b"\xed\xa0\x80")),
        "country-3": request(seq(tlv(0x31, seq(oid("2.5.4.6"), tlv(0x13, b"USA"))))),
        "truncated": good[:-7],
        "long-length": b"\x30\x84\x7f\xff\xff\xff" + good[4:],
        "indefinite": b"\x30\x80" + good[4:] + b"\0\0",
        "nested": (lambda n: b"".join(b"\x30\x84" + (6 * (n - i)).to_bytes(4, "big") for i in range(n)))(20000),
        "empty": b"",
        "text": b"<html>not found</html>\n",
        "certificate": certificate(),
        "damaged-pem": pem % b"!!!! not base64 !!!!\n",
    }
    for key, data in requests.items():
        with open(os.path.join(folder, key + ".csr"), "wb") as f:
            f.write(data)
    with open(os.path.join(folder, "..", "good.der"), "wb") as f:
        f.write(good)


main(sys.argv[1])
