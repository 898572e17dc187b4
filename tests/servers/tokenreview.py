#!/usr/bin/env python3
# The one call of Kubernetes' API that a login with a service account needs: TokenReview. Usage: tokenreview.py PORT TOKEN
# TOKEN is the one that is genuine, of the service account "lamassu" in the namespace "pki".
import http.server
import json
import sys

PORT, TOKEN = int(sys.argv[1]), sys.argv[2]


class Review(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"authenticated": False, "error": "not known"}
        if self.path.endswith("/tokenreviews") and asked["spec"]["token"] == TOKEN:
            status = {"authenticated": True, "user": {"username": "system:serviceaccount:pki:lamassu", "uid": "4711", "groups": []}}
        body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Review).serve_forever()
