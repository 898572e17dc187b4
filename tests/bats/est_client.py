"""A client for what curl cannot send: bytes as they are, and requests that are bound to their TLS connection.

raw PORT: sends standard input on one connection and prints what comes back until the other side closes or is silent.
request NAME OUT.b64 [ATTRIBUTE=TEXT ...]: a request for a certificate with further attributes (OID=text), key in NAME.key.
bound PORT NAME unique|exporter|wrong ATTRIBUTE: enrols with a request that repeats the connection's binding there; prints the status.
through FILE COMMAND ...: gives the file to a program that speaks TLS, and prints what it prints until the other side has closed.
body FILE: the body of the answer in what `through` printed.
The client's certificate is CERT (default boot-1): CERT.pem, CERT.key; "none" is none.
"""
import base64, os, re, socket, ssl, subprocess, sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CERT = os.environ.get("CERT", "boot-1")
DMS = os.environ.get("DMS", "factory")
CHALLENGE = "1.2.840.113549.1.9.7"


def connect(port, version=None):
    c = ssl.create_default_context(cafile="root.pem")
    if CERT != "none":
        c.load_cert_chain(CERT + ".pem", CERT + ".key")
    if version:
        c.maximum_version = version
    return c.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost")


def receive(s, silence=2.0):
    s.settimeout(silence)
    got = b""
    try:
        while True:
            part = s.recv(65536)
            if not part:
                break
            got += part
    except (TimeoutError, ssl.SSLError, ConnectionResetError):
        pass
    return got


def make_request(name, attributes):
    key = ec.generate_private_key(ec.SECP256R1())
    with open(name + ".key", "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    b = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
    for oid, text in attributes:
        b = b.add_attribute(x509.ObjectIdentifier(oid), text.encode())
    return base64.b64encode(b.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)) + b"\n"


def post(body):
    return (f"POST /.well-known/est/{DMS}/simpleenroll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def bound_by_exporter(port, name, attribute):
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-CAfile", "root.pem",
                          "-cert", CERT + ".pem", "-key", CERT + ".key", "-tls1_3", "-ign_eof", "-keymatexport",
                          "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in p.stdout:
        m = re.search(rb"Keying material: ([0-9A-F]+)", line)
        if m:
            break
    value = base64.b64encode(bytes.fromhex(m[1].decode())).decode()
    out, _ = p.communicate(post(make_request(name, [(attribute, value)])), 20)
    return out[out.index(b"HTTP/1.1"):]


def bound(port, name, how, attribute):
    if how == "exporter":
        return bound_by_exporter(port, name, attribute)
    s = connect(port, ssl.TLSVersion.TLSv1_2)
    value = base64.b64encode(s.get_channel_binding("tls-unique") if how == "unique" else os.urandom(12)).decode()
    s.sendall(post(make_request(name, [(attribute, value)])))
    return receive(s)


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "raw":
        s = connect(int(args[0]))
        s.sendall(sys.stdin.buffer.read())
        sys.stdout.buffer.write(receive(s))
    elif what == "through":
        p = subprocess.Popen(args[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            with open(args[0], "rb") as f:
                p.stdin.write(f.read())
            p.stdin.flush()  # and stays open: some end with it
        except BrokenPipeError:  # no handshake: it says why
            pass
        sys.stdout.buffer.write(p.stdout.read())
        p.kill()
        p.wait()
    elif what == "body":
        with open(args[0], "rb") as f:
            head, _, rest = f.read().partition(b"HTTP/1.1 200 ")[2].partition(b"\r\n\r\n")
        sys.stdout.buffer.write(rest[:int(re.search(rb"(?i)content-length: (\d+)", head)[1])])
    elif what == "request":
        with open(args[1], "wb") as f:
            f.write(make_request(args[0], [a.split("=", 1) for a in args[2:]]))
    elif what == "bound":
        answer = bound(int(args[0]), args[1], args[2], args[3])
        sys.stdout.write(answer.split(b" ", 2)[1].decode() + "\n" + answer.split(b"\r\n\r\n", 1)[1].decode())


main()
