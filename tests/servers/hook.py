"""A service on this machine that EST listeners ask: webhook, identity provider, key set. What it answers is in the path.
Usage: hook.py DIR [CERT KEY [CLIENT-CA]]; DIR/port is written when it listens, DIR/asked gets each request as a line of JSON, and
DIR/keys is what /keys answers, DIR/said what /said does."""
import http.server, json, os, ssl, sys, threading, time
from urllib.parse import parse_qs

where = sys.argv[1]
lock = threading.Lock()
YES = {"authorized": True}
asked = {}


class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock, open(where + "/asked", "a") as f:
            f.write(json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.decode("latin-1")}) + "\n")
        getattr(self, "at_" + self.path.strip("/").replace(".well-known/openid-configuration", "discovery"), self.at_other)(body)

    do_GET = do_POST = do_PUT = handle_any

    def at_yes(self, _):
        self.answer(200, YES)

    def at_no(self, _):
        self.answer(200, {"authorized": False})

    def at_text(self, _):
        self.answer(200, {"authorized": "true"})

    def at_yaml(self, _):
        self.answer(200, b"authorized: true\n")

    def at_lie(self, _):
        self.answer(200, b'{"authorized": true')

    def at_empty(self, _):
        self.answer(200, b"")

    def at_denied(self, _):
        self.answer(403, YES)

    def at_broken(self, _):
        self.answer(500, YES)

    def at_redirect(self, _):
        self.answer(307, b"", Location="/yes")

    def at_huge(self, _):
        self.answer(200, b'{"authorized": true, "x": "' + b"x" * (1 << 20) + b'"}')

    def at_later(self, body):
        name = json.loads(body)["device_cn"]
        with lock:
            asked[name] = asked.get(name, 0) + 1
        self.answer(200, YES if asked[name] > 2 else {"authorized": False, "retry_after": 1})

    def at_said(self, _):
        with open(where + "/said", "rb") as f:
            self.answer(200, f.read())

    def at_slow(self, _):
        time.sleep(4)
        self.answer(200, YES)

    def at_gate(self, _):  # yes, once DIR/open is there
        for _ in range(600):
            if os.path.exists(where + "/open"):
                break
            time.sleep(0.05)
        self.answer(200, YES)

    def at_trickle(self, _):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(8):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.5)

    def at_key(self, _):
        self.answer(200, {"authorized": self.headers.get("X-Hook-Key") == "s3cret key"})

    def at_bearer(self, _):
        self.answer(200, {"authorized": self.headers.get("Authorization") == "Bearer tok.en"})

    def at_discovery(self, _):
        self.answer(200, {"issuer": "here", "token_endpoint": f"https://localhost:{self.server.server_port}/token", "other": [1]})

    def at_token(self, body):
        form = parse_qs(body.decode())
        good = form == {"grant_type": ["client_credentials"], "client_id": ["lamassu"], "client_secret": ["a&b=c"]}
        self.answer(200 if good else 401, {"access_token": "tok.en", "token_type": "Bearer"} if good else {"error": "invalid_client"})

    def at_mtls(self, _):
        cert = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        self.answer(200, {"authorized": bool(cert)})

    def at_keys(self, _):
        try:
            with open(where + "/keys", "rb") as f:
                self.answer(200, f.read())
        except FileNotFoundError:
            self.answer(503, b"")

    def at_other(self, _):
        self.answer(404, b"")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Hook)
if len(sys.argv) > 2:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[2], sys.argv[3])
    if len(sys.argv) > 4:
        tls.load_verify_locations(sys.argv[4])
        tls.verify_mode = ssl.CERT_OPTIONAL
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
with open(where + "/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(where + "/port.new", where + "/port")
server.serve_forever()
