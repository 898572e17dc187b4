"""Keys and tokens by PyJWT. est_token.py keys FILE KID=TYPE…: private keys in KID.jwk.pem, the set in FILE. est_token.py sign KID ALG CLAIMS [HEADER]:
a token; times in CLAIMS are relative to now; KID is that of the header unless HEADER says otherwise. est_token.py raw HEADER CLAIMS: unsigned."""
import base64, json, sys, time
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

KINDS = {"P-256": lambda: ec.generate_private_key(ec.SECP256R1()), "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
         "P-521": lambda: ec.generate_private_key(ec.SECP521R1()), "RSA": lambda: rsa.generate_private_key(65537, 2048),
         "RSA1024": lambda: rsa.generate_private_key(65537, 1024), "Ed25519": ed25519.Ed25519PrivateKey.generate}
ALG = {"EC": jwt.algorithms.ECAlgorithm, "RS": jwt.algorithms.RSAAlgorithm, "Ed": jwt.algorithms.OKPAlgorithm}


def alg_of(key):
    return ALG["RS" if isinstance(key, rsa.RSAPrivateKey) else "Ed" if isinstance(key, ed25519.Ed25519PrivateKey) else "EC"]


def claims_of(text):
    claims = json.loads(text)
    for name in ("exp", "nbf", "iat"):
        if isinstance(claims.get(name), (int, float)):
            claims[name] += int(time.time())
    return claims


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if sys.argv[1] == "keys":
    keys = []
    for spec in sys.argv[3:]:
        kid, kind = spec.split("=")
        key = KINDS[kind]()
        with open(kid + ".jwk.pem", "wb") as f:
            f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        jwk = json.loads(alg_of(key).to_jwk(key.public_key()))
        keys.append({**jwk, "kid": kid, "use": "sig"})
    with open(sys.argv[2], "w") as f:
        json.dump({"keys": keys}, f)
elif sys.argv[1] == "sign":
    kid, alg, claims = sys.argv[2:5]
    with open(kid + ".jwk.pem", "rb") as f:
        pem = f.read()
    header = {"kid": kid, **(json.loads(sys.argv[5]) if len(sys.argv) > 5 else {})}
    key = serialization.load_pem_private_key(pem, None)
    signer = jwt.get_algorithm_by_name(alg)
    first = b64(json.dumps({"alg": alg, "typ": "JWT", **{k: v for k, v in header.items() if v is not None}}).encode()) + "." + b64(json.dumps(claims_of(claims)).encode())
    print(first + "." + b64(signer.sign(first.encode(), key)))
elif sys.argv[1] == "hmac":  # the public key taken for a secret
    import hashlib, hmac
    with open(sys.argv[2] + ".jwk.pem", "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None).public_key()
    secret = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    first = b64(json.dumps({"alg": "HS256", "kid": sys.argv[2]}).encode()) + "." + b64(json.dumps(claims_of(sys.argv[3])).encode())
    print(first + "." + b64(hmac.new(secret, first.encode(), hashlib.sha256).digest()))
else:
    print(b64(sys.argv[2].encode()) + "." + b64(json.dumps(claims_of(sys.argv[3])).encode()) + ".")
