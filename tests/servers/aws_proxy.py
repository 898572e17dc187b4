#!/usr/bin/env python3
"""A proxy before a server of AWS's protocol, for what such servers and microburst do not do: counts how many requests are under
way at once, keeps a clock of its own, loses answers after the server has acted, hangs, answers with another key's signature, plays
AWS's SSO portal, and hands out a container's credentials: /creds, the second time others than the first. See aws_proxy.bash.

Modes: ok; expired (no credentials are good), new (the first ones of /creds are not); lose (the request goes on, the connection is reset instead of an answer); hang; garbage (200 with HTML); other
(Sign answers with another key's signature); cut (half of an answer); deaf (as lose, and nothing is listed). Of what makes or signs something the first `after` requests
are spared, and the mode ends after `count`.
"""
import argparse
import asyncio
import base64
import collections
import datetime
import email.utils
import json
import time

from aiohttp import ClientSession, TCPConnector, web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--upstream", required=True)
parser.add_argument("--latency", type=float, default=0, help="seconds")
parser.add_argument("--clock", type=int, default=0, help="how far the service's clock is ahead, in seconds")
args = parser.parse_args()

MUTATING = {"CreateKey", "Sign", "CreateSecret", "PutSecretValue", "ScheduleKeyDeletion"}
seen = collections.Counter()
state = {"now": 0, "most": 0, "mode": "ok", "count": 0, "after": 0, "creds": 0, "access": set()}
stranger = ec.generate_private_key(ec.SECP256R1())


def operation(request):
    return request.headers.get("X-Amz-Target", "").split(".")[-1]


async def stats(_):
    return web.json_response({"requests": seen, "most": state["most"], "creds": state["creds"], "access": sorted(state["access"])})


async def mode(request):
    state.update(mode=request.query["mode"], count=int(request.query["count"]), after=int(request.query["after"]), most=0, creds=0,
                 access=set())
    seen.clear()
    return web.json_response({})


async def sso(request):
    """GetRoleCredentials: the token must be the one of the test."""
    if request.headers.get("x-amz-sso_bearer_token") != "the-sso-token":
        return web.json_response({"message": "Session token not found or invalid"}, status=401)
    if (request.query.get("account_id"), request.query.get("role_name")) != ("123456789012", "Role/With+Signs"):
        return web.json_response({"message": "No access"}, status=403)
    expires = (time.time() + 3600) * 1000
    return web.json_response({"roleCredentials": {"accessKeyId": "ASIASSOSSOSSO", "secretAccessKey": "sso-secret",
                                                  "sessionToken": "sso-session", "expiration": int(expires)}})


async def creds(request):
    if request.headers.get("Authorization") != "the-container-token":
        return web.json_response({}, status=401)
    state["creds"] += 1
    expires = datetime.datetime.fromtimestamp(time.time() + 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return web.json_response({"AccessKeyId": "ASIAFIRST" if state["creds"] == 1 else "ASIALATER", "SecretAccessKey": "container-secret",
                              "Token": "container-session", "Expiration": expires})


def dated(response):
    now = time.time() + args.clock
    response.headers["Date"] = email.utils.formatdate(now, usegmt=True)
    return response


def clock_is_off(request):
    sent = datetime.datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    return abs(sent.timestamp() - time.time() - args.clock) > 300


async def forward(request, body):
    headers = {k: v for k, v in request.headers.items() if k.lower() not in ("content-length", "accept-encoding")}
    async with request.app["client"].request(request.method, args.upstream + request.path_qs, headers=headers, data=body) as answer:
        content = await answer.read()
        keep = {k: v for k, v in answer.headers.items() if k.lower() in ("content-type", "x-amzn-requestid", "x-amzn-errortype")}
        return answer.status, keep, content


async def handle(request):
    body, what = await request.read(), operation(request)
    seen[what] += 1
    state["now"] += 1
    state["most"] = max(state["most"], state["now"])
    try:
        if args.latency:
            await asyncio.sleep(args.latency)
        if "X-Amz-Date" in request.headers and clock_is_off(request):
            return dated(web.json_response({"__type": "InvalidSignatureException",
                                            "message": "Signature expired: it is now earlier than the request's time"}, status=400))
        access = request.headers.get("Authorization", "/").split("Credential=")[-1].split("/")[0]
        state["access"].add(access)
        now = "ok"
        if what in MUTATING and state["after"] > 0:
            state["after"] -= 1
        elif what in MUTATING and state["count"] > 0:
            state["count"] -= 1
            now = state["mode"]
        if now == "expired" or now == "new" and access == "ASIAFIRST":
            return dated(web.json_response({"__type": "ExpiredTokenException",
                                            "message": "The security token included in the request is expired"}, status=400))
        if now == "hang":
            await asyncio.sleep(600)
        if now == "garbage":
            return dated(web.Response(text="<html>It works!</html>", content_type="text/html"))
        status, headers, content = await forward(request, body)
        if state["mode"] == "deaf" and what == "ListKeys" and seen["CreateKey"]:
            return dated(web.json_response({"__type": "AccessDeniedException", "message": "not you"}, status=400))
        if now in ("lose", "deaf"):
            request.transport.abort()
            return web.Response()
        if now == "cut":
            content = content[:len(content) // 2]
        if now == "other":
            digest = base64.b64decode(json.loads(body)["Message"])
            signature = stranger.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
            content = json.dumps({**json.loads(content), "Signature": base64.b64encode(signature).decode()}).encode()
        return dated(web.Response(status=status, headers=headers, body=content))
    finally:
        state["now"] -= 1


async def make():
    app = web.Application(client_max_size=1 << 20)
    app["client"] = ClientSession(connector=TCPConnector(limit=0))
    app.router.add_get("/_stats", stats)
    app.router.add_post("/_mode", mode)
    app.router.add_get("/creds", creds)
    app.router.add_get("/federation/credentials", sso)
    app.router.add_route("*", "/{tail:.*}", handle)
    return app


web.run_app(make(), host="127.0.0.1", port=args.port, print=None)
