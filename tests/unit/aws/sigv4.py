#!/usr/bin/env python3
"""Writes sigv4.txt: random requests and what botocore signs them with. Its own signer judges ours, so run it only to
make new ones: tests/unit/aws/sigv4.py >tests/unit/aws/sigv4.txt"""
import random
import string
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

rnd = random.Random(20150830)
chars = string.ascii_letters + string.digits


def word(lo, hi, more=""):
    return "".join(rnd.choice(chars + more) for _ in range(rnd.randint(lo, hi)))


def path():
    parts = [rnd.choice([word(1, 8), quote(word(1, 8, " äß%+*:@"), safe=""), ".", "..", ""]) for _ in range(rnd.randint(0, 5))]
    return "/" + "/".join(parts)


def query():
    pairs = [quote(word(1, 6, " /é"), safe="-_.~") + "=" + quote(word(0, 9, " /+=&é"), safe="-_.~") for _ in range(rnd.randint(0, 5))]
    return "&".join(pairs)


def value():
    return rnd.choice(["", " ", "  "]) + word(1, 12, " ,;=/") + rnd.choice(["", " ", "  x   y "])


for _ in range(300):
    when = "20%02d%02d%02dT%02d%02d%02dZ" % (rnd.randint(0, 99), rnd.randint(1, 12), rnd.randint(1, 28), rnd.randint(0, 23),
                                             rnd.randint(0, 59), rnd.randint(0, 59))
    access, secret = "AKIA" + word(16, 16).upper(), word(40, 40, "+/")
    token = word(60, 200, "+/=") if rnd.random() < .5 else ""
    region, service = rnd.choice(["eu-west-1", "us-gov-east-1", "cn-north-1"]), rnd.choice(["kms", "sts", "secretsmanager"])
    method, p, q, body = rnd.choice(["GET", "POST", "PUT"]), path(), query(), word(0, 100, '{}":, ')
    headers = [("Host", rnd.choice(["kms.eu-west-1.amazonaws.com", "127.0.0.1:4566"])), ("X-Amz-Date", when)]
    headers += [("X-Amz-Target", "TrentService." + word(4, 12))] if rnd.random() < .7 else []
    headers += [(rnd.choice(["Content-Type", "My-Header", "a-b", "Z"]), value()) for _ in range(rnd.randint(0, 4))]
    headers += [("X-Amz-Security-Token", token)] if token else []
    request = AWSRequest(method=method, url="https://" + headers[0][1] + p + ("?" + q if q else ""), data=body.encode())
    request.headers = HTTPHeaders()
    for name, text in headers:
        request.headers.add_header(name, text)
    request.context["timestamp"] = when
    signer = SigV4Auth(Credentials(access, secret, token or None), service, region)
    sts = signer.string_to_sign(request, signer.canonical_request(request))
    print("\t".join([when, access, secret, region, service, method, p, q, body, signer.signature(sts, request),
                       *[n + ":" + v for n, v in headers]]))
