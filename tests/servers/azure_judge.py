#!/usr/bin/env python3
"""Microsoft's own clients (azure-identity, azure-keyvault-keys) use the fixture as they use Azure: it is right in their eyes too.

Usage: azure_judge.py FOLDER PORT secret|pem|p12|machine [KID]. Prints "ok" and what was proven, one thing a line; with a KID, signs with
that key and has ours verified.
"""
import hashlib
import os
import socket
import sys

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import CertificateCredential, ClientSecretCredential, ManagedIdentityCredential
from azure.keyvault.keys import JsonWebKey, KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

folder, port, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
TENANT, APP, CERT_APP = os.environ['AZURE_TENANT'], os.environ['AZURE_APP'], os.environ['AZURE_CERT_APP']
ca = os.path.join(folder, 'ca.crt')
os.environ['REQUESTS_CA_BUNDLE'] = ca

# The name of the vault is real and so is the check of the challenge; only its address is this machine's.
resolve = socket.getaddrinfo


def here(host, to, *args, **kwargs):
    return resolve('127.0.0.1', port, *args, **kwargs) if host == 'v1.vault.azure.net' else resolve(host, to, *args, **kwargs)


socket.getaddrinfo = here

options = {'authority': 'https://localhost:%d' % port, 'disable_instance_discovery': True, 'connection_verify': ca}
credential = {
    'secret': lambda: ClientSecretCredential(TENANT, APP, os.environ['AZURE_SECRET'], **options),
    'pem': lambda: CertificateCredential(TENANT, CERT_APP, os.path.join(folder, 'client.pem'), **options),
    'p12': lambda: CertificateCredential(TENANT, CERT_APP, os.path.join(folder, 'client.p12'), password='bag-pass', **options),
    'machine': ManagedIdentityCredential,
}[how]()
vault = 'https://v1.vault.azure.net'
api = {'api_version': '7.4'}
client = KeyClient(vault, credential, connection_verify=ca, **api)


def crypto(key):
    return CryptographyClient(key, credential, connection_verify=ca, **api)


def say(what):
    print('ok', what)


def refused(kind, call, *args):
    try:
        call(*args)
    except kind:
        return
    raise SystemExit('%r was not refused' % (call,))


def verified_elsewhere(key, alg, digest, sig):
    """By python's cryptography, with the public key as the vault gives it."""
    jwk = key.key
    md = {'256': hashes.SHA256(), '384': hashes.SHA384(), '512': hashes.SHA512()}[alg.value[2:]]
    if alg.value.startswith('ES'):
        curve = {'ES256': ec.SECP256R1(), 'ES384': ec.SECP384R1(), 'ES512': ec.SECP521R1()}[alg.value]
        pub = ec.EllipticCurvePublicNumbers(int.from_bytes(jwk.x, 'big'), int.from_bytes(jwk.y, 'big'), curve).public_key()
        half = len(sig) // 2
        der = utils.encode_dss_signature(int.from_bytes(sig[:half], 'big'), int.from_bytes(sig[half:], 'big'))
        pub.verify(der, digest, ec.ECDSA(utils.Prehashed(md)))
    else:
        pub = rsa.RSAPublicNumbers(int.from_bytes(jwk.e, 'big'), int.from_bytes(jwk.n, 'big')).public_key()
        how = padding.PKCS1v15() if alg.value.startswith('RS') else padding.PSS(padding.MGF1(md), md.digest_size)
        pub.verify(sig, digest, how, utils.Prehashed(md))


def sign_and_verify(key, algs):
    c = crypto(key)
    for alg in algs:
        digest = hashlib.new('sha' + alg.value[2:], b'message').digest()
        result = c.sign(alg, digest)
        assert result.key_id == key.id
        verified_elsewhere(key, alg, digest, result.signature)
        # the client verifies by itself when it can: ask the vault
        remote = CryptographyClient(key.id, credential, connection_verify=ca, **api)
        remote._keys_get_forbidden = True
        assert remote.verify(alg, digest, result.signature).is_valid
        assert not remote.verify(alg, digest, result.signature[:-1] + bytes([result.signature[-1] ^ 1])).is_valid
        say('%s signs with %s' % (key.key_type, alg.value))


def lifecycle():
    A = SignatureAlgorithm
    rsa_key = client.create_rsa_key('ms-rsa', size=2048, tags={'a': 'b'})
    sign_and_verify(rsa_key, [A.rs256, A.rs384, A.rs512, A.ps256, A.ps384, A.ps512])
    for crv, alg in (('P-256', A.es256), ('P-384', A.es384), ('P-521', A.es512)):
        sign_and_verify(client.create_ec_key('ms-' + crv, curve=crv), [alg])
    assert client.create_ec_key('ms-hsm', curve='P-256', hardware_protected=True).key_type == 'EC-HSM'
    refused(HttpResponseError, crypto(rsa_key).sign, A.es256, bytes(32))

    own = ec.generate_private_key(ec.SECP384R1())
    n = own.private_numbers()
    jwk = JsonWebKey(kty='EC', crv='P-384', key_ops=['sign', 'verify'], x=n.public_numbers.x.to_bytes(48, 'big'),
                     y=n.public_numbers.y.to_bytes(48, 'big'), d=n.private_value.to_bytes(48, 'big'))
    imported = client.import_key('ms-imported', jwk)
    sign_and_verify(imported, [A.es384])
    say('import')

    newer = client.create_ec_key('ms-P-256', curve='P-256')
    assert len(list(client.list_properties_of_key_versions('ms-P-256'))) == 2
    assert client.get_key('ms-P-256').id == newer.id
    for i in range(30):
        client.create_ec_key('ms-page-%d' % i, curve='P-256')
    names = [p.name for p in client.list_properties_of_keys()]
    assert len(names) == len(set(names)) and sum(x.startswith('ms-page-') for x in names) == 30
    say('versions and pages')

    updated = client.update_key_properties('ms-rsa', enabled=False, tags={'c': 'd'})
    assert not updated.properties.enabled and updated.properties.tags == {'c': 'd'}
    refused(HttpResponseError, CryptographyClient(rsa_key.id, credential, connection_verify=ca, **api).sign, A.rs256, bytes(32))
    say('update')

    client.begin_delete_key('ms-rsa').wait()
    refused(ResourceNotFoundError, client.get_key, 'ms-rsa')
    refused(ResourceExistsError, client.create_rsa_key, 'ms-rsa')
    assert client.get_deleted_key('ms-rsa').scheduled_purge_date
    client.begin_recover_deleted_key('ms-rsa').wait()
    assert client.get_key('ms-rsa').id == rsa_key.id
    for name in names:
        client.begin_delete_key(name).wait()
        client.purge_deleted_key(name)
    refused(ResourceNotFoundError, client.get_deleted_key, 'ms-rsa')
    say('delete, recover, purge')


def kid():
    """A key that lamassu has made: another program signs with it."""
    name, version = sys.argv[4].split('/')[-2:]
    key = client.get_key(name, version)
    alg = {'P-256': SignatureAlgorithm.es256, 'P-384': SignatureAlgorithm.es384}.get(key.key.crv, SignatureAlgorithm.ps256)
    sign_and_verify(key, [alg])
    print(key.properties.tags)


if len(sys.argv) > 4:
    kid()
elif how == 'secret':
    lifecycle()
else:
    list(client.list_properties_of_keys())
    say('credential ' + how)
