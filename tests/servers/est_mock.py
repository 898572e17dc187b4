#!/usr/bin/env python3
"""An EST server of openssl commands, in the working folder: est_mock.py. TLS by mock.pem and mock.key; mock.pem is the authority too.
Each POST takes the first line of the file "plan": "sign", "foreign" (an authority that nobody knows, other.pem), "stranger" (the
certificate of another key, stranger.pem), "plain" (serverkeygen, never encrypted), "STATUS SECONDS" (Retry-After), "cut" (no answer, but signed), or "junk". The port is in the file "port"."""
import base64
import http.server
import os
import ssl
import subprocess


def p7(*files):
    args = [x for f in files for x in ("-certfile", f)]
    der = subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-outform", "DER", *args], capture_output=True, check=True).stdout
    return base64.encodebytes(der)


def made_here():
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "made.key"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", "made.key", "-pubout", "-out", "made.pub"], check=True)
    subprocess.run(["openssl", "x509", "-req", "-inform", "DER", "-in", "last.der", "-CA", "mock.pem", "-CAkey", "mock.key", "-days", "1",
                    "-force_pubkey", "made.pub", "-out", "last.pem"], check=True, capture_output=True)
    key = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "made.key", "-outform", "DER"], capture_output=True, check=True).stdout
    parts = [("pkcs8", base64.encodebytes(key)), ("pkcs7-mime; smime-type=certs-only", p7("last.pem"))]
    return b"".join(f"--b\r\nContent-Type: application/{kind}\r\n\r\n".encode() + text for kind, text in parts) + b"--b--\r\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        with open("log", "a") as f:
            print(self.command, self.path, self.headers.get("Authorization", "-"), file=f)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, p7("mock.pem"), Content_Type="application/pkcs7-mime")

    def do_POST(self):
        body = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
        with open("plan") as f:
            plan = f.read().splitlines() or ["500 0"]
        with open("plan", "w") as f:
            f.write("".join(line + "\n" for line in plan[1:]))
        step = plan[0].split()
        if step[0].isdigit():
            return self.answer(int(step[0]), b"later\n", Content_Type="text/plain", Retry_After=step[1])
        if step[0] == "junk":
            return self.answer(200, b"@@@", Content_Type="application/pkcs7-mime")
        ca = "other" if step[0] == "foreign" else "mock"
        with open("last.der", "wb") as f:
            f.write(body)
        subprocess.run(["openssl", "x509", "-req", "-inform", "DER", "-in", "last.der", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-days", "1",
                        "-copy_extensions", "copy", "-out", "last.pem"], check=True, capture_output=True)
        if step[0] == "plain":
            return self.answer(200, made_here(), Content_Type="multipart/mixed; boundary=b")
        if step[0] == "cut":
            self.close_connection = True
            return None
        return self.answer(200, p7("stranger.pem" if step[0] == "stranger" else "last.pem"), Content_Type="application/pkcs7-mime; smime-type=certs-only")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("mock.pem", "mock.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
with open("port.new", "w") as f:
    print(server.server_address[1], file=f)

os.rename("port.new", "port")
server.serve_forever()
