#!/usr/bin/env python3
"""Azure Key Vault, Entra's token endpoint and the identity services of a machine, as their documentation says they behave.

A test server: it keeps nothing, listens on 127.0.0.1 and is driven by Microsoft's own clients too, so that it is right by their
reading. Usage: azure_fixture.py STATE-FOLDER CERT KEY; prints the port of TLS and the port of plain HTTP once it is ready.

What it must be like is in STATE-FOLDER/rules.json, read for each request: {"sign": [{"status": 429, "retry_after": 1, "times": 3}], …}
with the names of operations below, "any" or "token". STATE-FOLDER/log has a line for each request, without secrets.
"""
import base64
import hashlib
import json
import os
import secrets
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from flask import Flask, Response, g, request
from werkzeug.serving import make_server

TENANT = '11111111-2222-3333-4444-555555555555'
CLIENT = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'
CERT_CLIENT = 'bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee'
WORKLOAD_CLIENT = 'cccccccc-bbbb-cccc-dddd-eeeeeeeeeeee'
MACHINE_CLIENT = 'dddddddd-bbbb-cccc-dddd-eeeeeeeeeeee'
SECRET = 's3cr3t~of+the/application=&%'
IDENTITY_HEADER = 'h3ader-0f-the-app-service'
RESOURCE = 'https://vault.azure.net'
RECOVERY_DAYS = 90

folder = sys.argv[1]
lock = threading.RLock()
signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
seen_assertions = set()
keys = {}     # name -> [version, …], oldest first
deleted = {}  # name -> (versions, deleted at)
used = {}     # rule -> how often it was applied
app = Flask(__name__)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def unb64(text):
    if not isinstance(text, str):
        raise Refused(400, 'BadParameter', 'a base64url value is missing')
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


def number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, 'big'))


def integer(text):
    return int.from_bytes(unb64(text), 'big')


class Refused(Exception):
    def __init__(self, status, code, message, inner=None, headers=None):
        super().__init__(code)
        self.status, self.code, self.message, self.inner, self.headers = status, code, message, inner, headers or {}


@app.errorhandler(Refused)
def refused(e):
    error = {'code': e.code, 'message': e.message}
    if e.inner:
        error['innererror'] = {'code': e.inner}
    return answer(e.status, {'error': error}, e.headers)


def answer(status, body, headers=None):
    text = '' if body is None else json.dumps(body)
    g.status = status
    return Response(text, status, {'x-ms-request-id': request_id(), **(headers or {})}, mimetype='application/json')


def request_id():
    return 'req-' + secrets.token_hex(4)


# --- what a test asks for

def rules():
    try:
        with open(os.path.join(folder, 'rules.json')) as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def setting(name, default=None):
    return rules().get(name, default)


def apply_rules(operation):
    """A failure that the test asked for; those with "after" are done when the work is."""
    for name in (operation, 'any'):
        for i, rule in enumerate(setting(name, [])):
            key = (name, i, rule.get('id', ''))
            with lock:
                n = used.get(key, 0)
                used[key] = n + 1
            if n < rule.get('skip', 0) or n >= rule.get('skip', 0) + rule.get('times', 1 << 30):
                continue
            if rule.get('sleep'):
                time.sleep(rule['sleep'])
            if rule.get('reset') == 'before':
                cut()
            if 'status' in rule:
                headers = {h: str(rule[r]) for r, h in (('retry_after', 'Retry-After'), ('retry_after_ms', 'x-ms-retry-after-ms')) if r in rule}
                raise Refused(rule['status'], rule.get('code', 'Asked'), rule.get('message', 'as the test wants it'), rule.get('inner'), headers)
            return rule
    return {}


def cut():
    """The connection breaks, and no answer is seen."""
    request.environ['werkzeug.socket'].shutdown(socket.SHUT_RDWR)
    raise Refused(500, 'Cut', 'nobody reads this')


@app.after_request
def log(response):
    with open(os.path.join(folder, 'log'), 'a') as f:
        f.write('%s %s %s %s %d\n' % (getattr(g, 'operation', '-'), request.method, request.path, request.headers.get('Host'), response.status_code))
    return response


# --- Entra

def issue(audience, subject, lifetime=None, claims=None):
    now = int(time.time())
    lifetime = lifetime or setting('token_lifetime', 3600)
    token = jwt.encode({'aud': audience, 'iss': 'https://sts.windows.net/%s/' % TENANT, 'tid': TENANT, 'appid': subject, 'nbf': now - 60,
                        'exp': now + lifetime, 'jti': secrets.token_hex(8), 'xms_claims': claims},
                       signing_key, algorithm='RS256')
    return token, lifetime


def denied(error, code, text, status=401):
    g.status = status
    return Response(json.dumps({'error': error, 'error_description': 'AADSTS%d: %s\r\nTrace ID: 1\r\nTimestamp: now' % (code, text),
                                'error_codes': [code], 'correlation_id': request_id()}), status, mimetype='application/json')


def assertion_ok(text, endpoint):
    """A client assertion as the certificate's owner makes it: PS256 or RS256, for us, soon over, never seen before."""
    with open(os.path.join(folder, 'client.crt'), 'rb') as f:
        cert = x509.load_pem_x509_certificate(f.read())
    der = cert.public_bytes(serialization.Encoding.DER)
    if setting('clock_is_wrong'):
        raise jwt.ImmatureSignatureError
    head = jwt.get_unverified_header(text)
    if head['alg'] not in ('PS256', 'RS256') or head.get('typ') != 'JWT':
        return 'alg %s' % head['alg']
    if 'x5t#S256' in head:
        if head['x5t#S256'].rstrip('=') != b64(hashlib.sha256(der).digest()):
            return 'x5t#S256 is not of a registered certificate'
    elif head.get('x5t', '').rstrip('=') != b64(hashlib.sha1(der).digest()):
        return 'no registered certificate is named'
    if setting('need_x5c') and head.get('x5c', [None])[0] != base64.b64encode(der).decode():
        return 'x5c is missing'
    claims = jwt.decode(text, cert.public_key(), algorithms=[head['alg']], audience=endpoint, leeway=60,
                        options={'require': ['aud', 'iss', 'sub', 'jti', 'exp']})
    if claims['iss'] != CERT_CLIENT or claims['sub'] != CERT_CLIENT:
        return 'iss and sub'
    if claims['exp'] > time.time() + 660:
        return 'it lasts too long'
    with lock:
        if claims['jti'] in seen_assertions:
            return 'jti was seen before'
        seen_assertions.add(claims['jti'])
    return None


def federated_ok(text):
    with open(os.path.join(folder, 'federated')) as f:
        return text == f.read().strip()


@app.post('/<tenant>/oauth2/v2.0/token')
def token(tenant):
    g.operation = 'token'
    apply_rules('token')
    form = request.form
    if tenant not in (TENANT, 'contoso.onmicrosoft.com'):
        return denied('invalid_request', 90002, "Tenant '%s' not found." % tenant, 400)
    if form.get('grant_type') != 'client_credentials' or form.get('scope', '').split('/.default')[0] != RESOURCE:
        return denied('invalid_scope', 1002012, 'The provided value for scope is not valid.', 400)
    if form.get('client_secret') is not None:
        if form.get('client_id') != CLIENT:
            return denied('unauthorized_client', 700016, 'Application was not found in the directory.', 400)
        if form['client_secret'] != SECRET:
            said = ' It was ' + form['client_secret'] if setting('echo') else ''
            return denied('invalid_client', 7000215, 'Invalid client secret provided.' + said)
    elif form.get('client_assertion_type') == 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer':
        if form.get('client_id') == WORKLOAD_CLIENT:
            if not federated_ok(form['client_assertion']):
                return denied('invalid_client', 700213, 'No matching federated identity record found.')
        else:
            try:
                why = assertion_ok(form['client_assertion'], request.base_url)
            except jwt.ImmatureSignatureError:
                return denied('invalid_client', 700024, 'Client assertion is not within its valid time range.')
            except (jwt.PyJWTError, KeyError) as e:
                why = repr(e)
            if why:
                return denied('invalid_client', 700027, 'Client assertion is refused: ' + why)
    else:
        return denied('invalid_client', 7000218, 'There is neither a client_assertion nor a client_secret.')
    claims = json.loads(form['claims']) if 'claims' in form and form['claims'] else None
    if claims and 'xms_cc' in json.dumps(claims):  # what a client says that it can do, not what the vault asked for
        claims = {k: {n: v for n, v in part.items() if n != 'xms_cc'} for k, part in claims.items()}
    text, lifetime = issue(RESOURCE, form['client_id'], claims=claims)
    return answer(200, {'token_type': 'Bearer', 'expires_in': lifetime, 'ext_expires_in': lifetime, 'access_token': text})


@app.get('/<tenant>/v2.0/.well-known/openid-configuration')
def discovery(tenant):
    g.operation = 'discovery'
    base = request.host_url + tenant
    return answer(200, {'token_endpoint': base + '/oauth2/v2.0/token', 'authorization_endpoint': base + '/oauth2/v2.0/authorize',
                        'issuer': base + '/v2.0', 'jwks_uri': base + '/keys'})


# --- the machine's identity

def machine_token():
    if request.args.get('resource') != RESOURCE:
        return denied('invalid_resource', 500011, 'The resource principal was not found.', 400)
    if request.args.get('client_id', MACHINE_CLIENT) != MACHINE_CLIENT:
        return answer(400, {'error': 'invalid_request', 'error_description': 'Identity not found'})
    text, lifetime = issue(RESOURCE, MACHINE_CLIENT)
    return answer(200, {'access_token': text, 'resource': RESOURCE, 'token_type': 'Bearer', 'client_id': MACHINE_CLIENT,
                        'expires_in': str(lifetime), 'expires_on': str(int(time.time()) + lifetime)})


@app.get('/metadata/identity/oauth2/token')
def imds():
    g.operation = 'imds'
    apply_rules('imds')
    if request.headers.get('Metadata') != 'true' or 'X-Forwarded-For' in request.headers:
        return answer(400, {'error': 'bad_request', 'error_description': 'Required metadata header not specified'})
    if request.args.get('api-version') != '2018-02-01':
        return answer(400, {'error': 'bad_request', 'error_description': 'api-version'})
    return machine_token()


@app.get('/msi/token')
def app_service():
    g.operation = 'msi'
    apply_rules('msi')
    if request.headers.get('X-IDENTITY-HEADER') != IDENTITY_HEADER:
        return answer(401, {'statusCode': 401, 'message': 'X-IDENTITY-HEADER'})
    if request.args.get('api-version') != '2019-08-01':
        return answer(400, {'statusCode': 400, 'message': 'api-version'})
    return machine_token()


# --- the vault

def challenge(extra=''):
    form = setting('challenge', 'Bearer authorization="https://login.microsoftonline.com/{tenant}", resource="{resource}"')
    return {'WWW-Authenticate': form.format(tenant=setting('challenge_tenant', TENANT), resource=setting('challenge_resource', RESOURCE)) + extra}


def authorize(operation):
    g.operation = operation
    given = request.headers.get('Authorization', '')
    if not given:
        raise Refused(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.', headers=challenge())
    try:
        claims = jwt.decode(given.removeprefix('Bearer '), signing_key.public_key(), algorithms=['RS256'], audience=RESOURCE,
                            issuer='https://sts.windows.net/%s/' % TENANT)
    except jwt.PyJWTError as e:
        raise Refused(401, 'Unauthorized', 'AKV10032: %s' % e, headers=challenge())
    wanted = setting('claims')
    if wanted and claims.get('xms_claims') != wanted:
        extra = ', error="insufficient_claims", claims="%s"' % base64.b64encode(json.dumps(wanted).encode()).decode()
        raise Refused(401, 'Unauthorized', 'Continuous access evaluation.', headers=challenge(extra))
    if not request.args.get('api-version'):
        raise Refused(400, 'BadParameter', 'api-version must be specified')
    if claims['appid'] in setting('forbidden', []) or operation in setting('forbidden_operations', []):
        raise Refused(403, 'Forbidden', 'Caller is not authorized to perform action on resource.', 'ForbiddenByRbac')
    return apply_rules(operation)


def body():
    if request.content_type != 'application/json':
        raise Refused(415, 'BadParameter', 'Content-Type')
    data = request.get_json(silent=True)
    if not isinstance(data, dict):
        raise Refused(400, 'BadParameter', 'the body is not JSON')
    return data


def base():
    return request.host_url.rstrip('/')


CURVES = {'P-256': ec.SECP256R1(), 'P-384': ec.SECP384R1(), 'P-521': ec.SECP521R1()}
ALGORITHMS = {'ES256': ('P-256', hashes.SHA256()), 'ES384': ('P-384', hashes.SHA384()), 'ES512': ('P-521', hashes.SHA512()),
              'RS256': ('RS', hashes.SHA256()), 'RS384': ('RS', hashes.SHA384()), 'RS512': ('RS', hashes.SHA512()),
              'PS256': ('PS', hashes.SHA256()), 'PS384': ('PS', hashes.SHA384()), 'PS512': ('PS', hashes.SHA512())}


def curve_of(key):
    return {32: 'P-256', 48: 'P-384', 66: 'P-521'}[(key.curve.key_size + 7) // 8]


def jwk(name, v):
    key = v['key'].public_key()
    out = {'kid': '%s/keys/%s/%s' % (base(), name, v['version']), 'kty': v['kty'], 'key_ops': v['ops']}
    if isinstance(key, rsa.RSAPublicKey):
        n = key.public_numbers()
        return {**out, 'n': number(n.n), 'e': number(n.e)}
    n, size = key.public_numbers(), (key.curve.key_size + 7) // 8
    return {**out, 'crv': curve_of(key), 'x': number(n.x, size), 'y': number(n.y, size)}


def attributes(v):
    return {'enabled': v['enabled'], 'created': v['created'], 'updated': v['updated'], 'recoveryLevel': 'Recoverable+Purgeable',
            'recoverableDays': RECOVERY_DAYS, 'exportable': False, **{k: v[k] for k in ('nbf', 'exp') if v.get(k)}}


def bundle(name, v):
    return {'key': jwk(name, v), 'attributes': attributes(v), 'tags': v['tags']}


def version(name, wanted=None):
    for v in reversed(keys.get(name, [])):
        if wanted in (None, '', v['version']):
            return v
    raise Refused(404, 'KeyNotFound', 'A key with (name/id) %s was not found in this key vault.' % '/'.join(filter(None, (name, wanted))))


def add(name, key, kty, data):
    if name in deleted:
        raise Refused(409, 'Conflict', 'Key %s is currently in a deleted but recoverable state.' % name, 'ObjectIsDeletedButRecoverable')
    if not name.replace('-', '').isalnum() or len(name) > 127:
        raise Refused(400, 'BadParameter', 'The request URI contains an invalid name: ' + name)
    tags = data.get('tags') or {}
    if len(tags) > 15 or any(not isinstance(t, str) or len(t) > 256 for t in list(tags) + list(tags.values())):
        raise Refused(400, 'BadParameter', 'tags')
    now = int(time.time())
    v = {'version': secrets.token_hex(16), 'key': key, 'kty': kty, 'ops': data.get('key_ops') or ['sign', 'verify'], 'created': now,
         'updated': now, 'tags': tags, 'enabled': True}
    update(v, data.get('attributes') or {})
    keys.setdefault(name, []).append(v)
    return v


def update(v, attrs):
    for name in ('enabled', 'nbf', 'exp'):
        if attrs.get(name) is not None:
            v[name] = attrs[name]


@app.post('/keys/<name>/create')
def create(name):
    with lock:
        rule = authorize('create')
        data = body()
        kty = data.get('kty')
        if kty in ('RSA', 'RSA-HSM'):
            if data.get('key_size', 2048) not in (2048, 3072, 4096):
                raise Refused(400, 'BadParameter', 'key_size')
            key = rsa.generate_private_key(public_exponent=65537, key_size=data.get('key_size', 2048))
        elif kty in ('EC', 'EC-HSM'):
            if data.get('crv', 'P-256') not in CURVES:
                raise Refused(400, 'BadParameter', 'crv')
            key = ec.generate_private_key(CURVES[data.get('crv', 'P-256')])
        else:
            raise Refused(400, 'BadParameter', 'kty')
        if kty.endswith('HSM') and setting('standard'):
            raise Refused(400, 'BadParameter', 'The key type is not supported by a Standard vault.', 'KeyTypeNotSupported')
        v = add(name, key, kty, data)
        if rule.get('reset') == 'after':
            cut()
        if rule.get('after'):  # it is made, and the answer is lost
            raise Refused(rule['after'], 'Asked', 'as the test wants it')
        return answer(200, bundle(name, v))


@app.put('/keys/<name>')
def import_key(name):
    with lock:
        authorize('import')
        data = body()
        k = data.get('key') or {}
        try:
            if k['kty'] in ('RSA', 'RSA-HSM'):
                key = rsa.RSAPrivateNumbers(*(integer(k[p]) for p in ('p', 'q', 'd', 'dp', 'dq', 'qi')),
                                            rsa.RSAPublicNumbers(integer(k['e']), integer(k['n']))).private_key()
            else:
                size = (CURVES[k['crv']].key_size + 7) // 8
                if any(len(unb64(k[p])) != size for p in 'xyd'):
                    raise Refused(400, 'BadParameter', 'x, y and d must have %d octets' % size)
                key = ec.EllipticCurvePrivateNumbers(integer(k['d']), ec.EllipticCurvePublicNumbers(integer(k['x']), integer(k['y']),
                                                                                                    CURVES[k['crv']])).private_key()
        except (KeyError, ValueError) as e:
            raise Refused(400, 'BadParameter', 'key: %s' % type(e).__name__)
        if k['kty'].endswith('HSM') != bool(data.get('Hsm', k['kty'].endswith('HSM'))):
            raise Refused(400, 'BadParameter', 'Hsm does not go with kty')
        return answer(200, bundle(name, add(name, key, k['kty'], {**data, 'key_ops': k.get('key_ops')})))


def page(items):
    size, start = int(request.args.get('maxresults', 25)), int(request.args.get('$skiptoken', 0))
    if not 1 <= size <= 25:
        raise Refused(400, 'BadParameter', 'maxresults')
    size = min(size, setting('page', 25))
    more = start + size < len(items)
    link = '%s%s?api-version=%s&$skiptoken=%d&maxresults=%d' % (setting('next_origin') or base(), request.path, request.args['api-version'],
                                                                start + size, size)
    return answer(200, {'value': items[start:start + size], 'nextLink': link if more else None})


@app.get('/keys')
def list_keys():
    with lock:
        authorize('list')
        return page([{'kid': '%s/keys/%s' % (base(), n), 'attributes': attributes(v[-1]), 'tags': v[-1]['tags']}
                     for n, v in sorted(keys.items())])


@app.get('/keys/<name>/versions')
def list_versions(name):
    with lock:
        authorize('versions')
        return page([{'kid': '%s/keys/%s/%s' % (base(), name, v['version']), 'attributes': attributes(v), 'tags': v['tags']}
                     for v in keys.get(name, [])])


@app.get('/keys/<name>')
@app.get('/keys/<name>/')
@app.get('/keys/<name>/<wanted>')
def get_key(name, wanted=None):
    with lock:
        authorize('get')
        return answer(200, bundle(name, version(name, wanted)))


@app.patch('/keys/<name>')
@app.patch('/keys/<name>/')
@app.patch('/keys/<name>/<wanted>')
def update_key(name, wanted=None):
    with lock:
        authorize('update')
        data, v = body(), version(name, wanted)
        update(v, data.get('attributes') or {})
        v['tags'] = data['tags'] if 'tags' in data else v['tags']
        v['updated'] = int(time.time())
        return answer(200, bundle(name, v))


def usable(v):
    now = time.time()
    if not v['enabled']:
        raise Refused(403, 'Forbidden', 'Operation is not allowed on a disabled key.', 'KeyDisabled')
    if v.get('nbf', 0) > now or v.get('exp', now + 1) <= now:
        raise Refused(403, 'Forbidden', 'Operation is not allowed outside of the key\'s validity.', 'KeyOperationForbidden')


def algorithm(v, data, field):
    kind, md = ALGORITHMS.get(data.get('alg'), (None, None))
    digest = unb64(data.get(field))
    if not kind or (isinstance(v['key'], rsa.RSAPrivateKey) != (kind in ('RS', 'PS'))) or (kind[1] == '-' and kind != curve_of(v['key'])):
        raise Refused(400, 'BadParameter', 'Key and signing algorithm are incompatible.')
    if len(digest) != md.digest_size:
        raise Refused(400, 'BadParameter', 'Invalid length of value: %d bytes. The algorithm requires %d.' % (len(digest), md.digest_size))
    return kind, md, digest


def paddings(kind, md):
    return padding.PKCS1v15() if kind == 'RS' else padding.PSS(padding.MGF1(md), md.digest_size)


@app.post('/keys/<name>/<wanted>/sign')
def sign(name, wanted):
    rule = authorize('sign')
    with lock:
        v = version(name, wanted)
        usable(v)
    data = body()
    kind, md, digest = algorithm(v, data, 'value')
    if kind in ('RS', 'PS'):
        sig = v['key'].sign(digest, paddings(kind, md), utils.Prehashed(md))
    else:
        size = (v['key'].curve.key_size + 7) // 8
        r, s = utils.decode_dss_signature(v['key'].sign(digest, ec.ECDSA(utils.Prehashed(md))))
        sig = r.to_bytes(size, 'big') + s.to_bytes(size, 'big')
    if rule.get('garbage') == 'flip':
        sig = sig[:-1] + bytes([sig[-1] ^ 1])
    elif rule.get('garbage') == 'short':
        sig = sig[:-1]
    elif rule.get('garbage') == 'text':
        g.status = 200
        return Response('<html>proxy</html>', 200)
    return answer(200, {'kid': '%s/keys/%s/%s' % (base(), name, v['version']), 'value': b64(sig)})


@app.post('/keys/<name>/<wanted>/verify')
def verify(name, wanted):
    with lock:
        authorize('verify')
        v = version(name, wanted)
        usable(v)
        data = body()
        kind, md, digest = algorithm(v, data, 'digest')
        sig, key = unb64(data.get('value')), v['key'].public_key()
        try:
            if kind in ('RS', 'PS'):
                key.verify(sig, digest, paddings(kind, md), utils.Prehashed(md))
            else:
                half = len(sig) // 2
                key.verify(utils.encode_dss_signature(int.from_bytes(sig[:half], 'big'), int.from_bytes(sig[half:], 'big')), digest,
                           ec.ECDSA(utils.Prehashed(md)))
            good = len(sig) == (key.key_size + 7) // 8 * (1 if kind in ('RS', 'PS') else 2)
        except Exception:
            good = False
        return answer(200, {'value': good})


# --- the end of keys

def deleted_bundle(name):
    versions, at = deleted[name]
    return {'recoveryId': '%s/deletedkeys/%s' % (base(), name), 'deletedDate': int(at), 'scheduledPurgeDate': int(at) + RECOVERY_DAYS * 86400,
            **bundle(name, versions[-1])}


def settled(name):
    """Deleting takes a moment; until then the deleted key is not found."""
    if name not in deleted or time.time() < deleted[name][1] + setting('delay', 0):
        raise Refused(404, 'KeyNotFound', 'Deleted key not found: ' + name)


@app.delete('/keys/<name>')
def delete(name):
    with lock:
        authorize('delete')
        version(name)
        deleted[name] = (keys.pop(name), time.time())
        return answer(200, deleted_bundle(name))


@app.get('/deletedkeys')
def list_deleted():
    with lock:
        authorize('list_deleted')
        return page([deleted_bundle(n) for n in sorted(deleted)])


@app.get('/deletedkeys/<name>')
def get_deleted(name):
    with lock:
        authorize('get_deleted')
        settled(name)
        return answer(200, deleted_bundle(name))


@app.post('/deletedkeys/<name>/recover')
def recover(name):
    with lock:
        authorize('recover')
        settled(name)
        keys[name] = deleted.pop(name)[0]
        return answer(200, bundle(name, keys[name][-1]))


@app.delete('/deletedkeys/<name>')
def purge(name):
    with lock:
        authorize('purge')
        settled(name)
        del deleted[name]
        return answer(204, None)


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    import logging
    logging.getLogger('werkzeug').setLevel(logging.ERROR)
    from werkzeug.serving import WSGIRequestHandler
    WSGIRequestHandler.protocol_version = 'HTTP/1.1'
    tls = make_server('127.0.0.1', 0, app, threaded=True, ssl_context=context)
    plain = make_server('127.0.0.1', 0, app, threaded=True)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    with open(os.path.join(folder, 'ports.new'), 'w') as f:
        f.write('%d %d\n' % (tls.server_port, plain.server_port))
    os.rename(os.path.join(folder, 'ports.new'), os.path.join(folder, 'ports'))
    tls.serve_forever()


if __name__ == '__main__':
    main()
