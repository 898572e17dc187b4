"""Clients that mean no good, and one that only wants much. The certificate is boot-1, the folder the one of the test.

idle PORT N: N silent connections and N half handshakes; others are served meanwhile; all of them are closed in time.
few PORT N: N silent connections, more than there may be; others are served soon, and the silent ones are closed for newer ones.
trickle PORT: a request that comes a byte at a time; prints after how many seconds it is over.
many PORT N: N connections with TLS stay open; others are served meanwhile.
greedy PORT N RATE: one address opens more than N connections, then makes more than RATE handshakes a second; 0: any number is right.
crowd PORT N PARENT: N connections with TLS from many addresses stay open; others are served meanwhile; prints what each costs.
storm PORT N: N clients begin at once, each with a handshake and a request; every one of them gets an answer or is closed.
flood PORT N LOG: N requests on one connection, a hundred at once and the others once LOG has these; prints how many answers came.
deaf PORT tls|plain: requests that are the last ones of their connections, each with megabytes behind it before anything is read; statuses.
unread PORT: without TLS, a client that asks and asks and reads no answer; then one that reads the answers to as much as it likes at once.
late PORT PARENT N: without TLS, N clients are sent away for N others while they speak; the worker lives on.
pump PORT NAME PARENT: an enrolment with NAME.b64, and 100 MB behind it; statuses, and by how many MiB the workers have grown at most.
load PORT FIRST N THREADS: enrols N devices; again after a lost connection; prints statuses; each certificate goes to got/NAME.
foreign: an authority that is not ours, trusted.pem, and certificates of it.
"""
import base64, datetime, http.client, os, re, resource, select, signal, socket, ssl, subprocess, sys, threading, time
from collections import Counter

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SLOW = float(os.environ.get("LAMASSU_SLOW", "1"))
PATH = "/.well-known/est/factory/"
GET = f"GET {PATH}cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def tls(cert=None):
    c = ssl.create_default_context(cafile="root.pem")
    if cert:
        c.load_cert_chain(cert + ".pem", cert + ".key")
    return c


def served(port, times=5):
    """The longest time that somebody else waits."""
    longest = 0
    for _ in range(times):
        t = time.monotonic()
        h = http.client.HTTPSConnection("localhost", port, timeout=20, context=tls())
        h.request("GET", PATH + "cacerts")
        assert h.getresponse().status == 200
        h.close()
        longest = max(longest, time.monotonic() - t)
    return longest


def closed(s, until):
    s.settimeout(max(0.01, until - time.monotonic()))
    try:
        while s.recv(4096):
            pass
        return True
    except (TimeoutError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def idle(port, n):
    hello, _ = ssl.MemoryBIO(), None
    inside = tls().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    try:
        inside.do_handshake()
    except ssl.SSLWantReadError:
        pass
    part = hello.read()[:40]
    all_ = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * n)]
    for s in all_[n:]:
        s.sendall(part)
    worst = served(port)
    assert worst < 2 * SLOW, worst
    until = time.monotonic() + 6 + 2 * SLOW
    assert all(closed(s, until) for s in all_)
    print(f"waited {worst:.2f} s")


def few(port, n):
    all_ = [socket.create_connection(("127.0.0.1", port)) for _ in range(n)]
    until = time.monotonic() + 30 * SLOW
    while True:
        try:
            served(port, 1)
            break
        except (AssertionError, OSError):
            assert time.monotonic() < until
            time.sleep(0.1)
    assert closed(all_[0], until)


def trickle(port):
    s = tls().wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    t = time.monotonic()
    try:
        for c in GET[:-2] * 9:
            s.sendall(bytes([c]))
            s.settimeout(0.25)
            try:
                if not s.recv(100):
                    break
            except TimeoutError:
                pass
            assert time.monotonic() - t < 60
    except OSError:
        pass
    print(int(time.monotonic() - t))


def many(port, n):
    c, all_ = tls(), []
    for _ in range(n):
        s = c.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        s.sendall(GET)
        all_.append(s)
    assert all(s.recv(12) == b"HTTP/1.1 200" for s in all_)
    raw = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * n)]
    worst = served(port)
    assert worst < 2 * SLOW, worst
    assert not any(closed(s, time.monotonic()) for s in all_[-10:])
    print(f"{n} open, {len(raw)} silent, waited {worst:.2f} s")


def connect(port, source, context=None):
    s = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
    return context.wrap_socket(s, server_hostname="localhost") if context else s


def greedy(port, n, rate):
    c, most = tls(), n or 30
    for source in ("127.0.0.2", "127.0.0.3", "127.0.3.9", "127.0.0.1"):
        mine = []
        limited = n and source == "127.0.0.2"
        while len(mine) < most:  # over its rate it waits: so many at once are twice the rate
            try:
                mine.append(connect(port, source, c))
            except OSError:
                assert limited
                time.sleep(0.3)
        mine.append(connect(port, source))
        gone = [closed(s, time.monotonic() + (10 * SLOW if limited else 0.2)) for s in mine[:1]]
        assert gone == [bool(limited)], (source, gone)
        assert not any(closed(s, time.monotonic()) for s in mine[2:most])
        fine = 0
        until = time.monotonic() + 1.5
        while time.monotonic() < until and fine < 5 * (rate or 10):
            try:
                connect(port, source, c).close()
                fine += 1
            except OSError:
                assert limited
        assert (fine < 5 * rate) if limited else fine > 0, (source, fine)
        h = connect(port, "127.0.0.1", c)
        h.sendall(GET)
        assert h.recv(12) == b"HTTP/1.1 200"
        with open("served", "a") as f:
            f.write(source + "\n")
        for s in mine:
            s.close()


def resident(parent):
    """KiB of all workers."""
    pids = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=True).stdout.split()
    return sum(int(line.split()[1]) for p in pids for line in open(f"/proc/{p}/status") if line.startswith("VmRSS"))


def crowd(port, n, parent):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == resource.RLIM_INFINITY or hard > n + 100, f"no more than {hard} files"
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 100 if hard == resource.RLIM_INFINITY else hard, hard))
    c = tls()
    before, t = resident(parent), time.monotonic()
    all_ = []
    for i in range(n):
        s = connect(port, f"127.0.1.{1 + i % 40}", c)
        s.sendall(GET)
        assert s.recv(12) == b"HTTP/1.1 200"
        all_.append(s)
        if time.monotonic() - t > 40:  # idle ones are closed after 60 seconds, and that is right
            break
    took, worst = time.monotonic() - t, served(port)
    cost = (resident(parent) - before) / len(all_)
    assert worst < 2 * SLOW, worst
    assert len(all_) == n or SLOW > 1 or n > 2000, len(all_)
    assert not any(closed(s, time.monotonic()) for s in all_[:: max(1, len(all_) // 50)])
    print(f"{len(all_)} open in {took:.1f} s, {cost:.0f} KiB each, others wait {worst:.2f} s")


def storm(port, n):
    c, seen, lock = tls(), Counter(), threading.Lock()

    def one(i):
        try:
            s = connect(port, f"127.0.2.{1 + i % 200}", c)
            s.settimeout(30)
            s.sendall(GET)
            what = s.recv(12).decode() or "closed"
            s.close()
        except TimeoutError:
            what = "waits for ever"
        except OSError:
            what = "closed"
        with lock:
            seen[what] += 1

    all_ = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in all_:
        t.start()
    for t in all_:
        t.join()
    print(dict(seen))
    assert set(seen) <= {"HTTP/1.1 200", "HTTP/1.1 503", "closed"} and seen["HTTP/1.1 200"] > 0, seen


def send_some(s, data):
    try:
        return data[s.send(data[:16384]) :]
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
        return data


def receive_some(s):
    """None: nothing yet."""
    try:
        return s.recv(1000)
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
        return None


def talk(s, first, answered, more):
    """Sends what is first, reads nothing until that is answered, then reads slowly and sends more meanwhile, until the other side ends the
    connection."""
    first, more, got = memoryview(first), memoryview(more), b""
    until = time.monotonic() + 30 * SLOW
    s.setblocking(False)
    while first or not answered():
        assert time.monotonic() < until, f"{len(first)} bytes are not sent"
        select.select([], [s], [], 0.01)
        first = send_some(s, first)
    while (part := receive_some(s)) != b"":
        got += part or b""
        readable, _, _ = select.select([s], [s] if more else [], [], 30 * SLOW)
        assert readable or more, f"silence after {len(got)} bytes"
        part = more[:1000]
        more = more[len(part) - len(send_some(s, part)) :]
    return statuses_of(got)


def statuses_of(got):
    """Of answers that are whole, and the last one of which says "close"."""
    statuses, closes = [], []
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])
        assert len(rest) >= length, "an answer is cut"
        statuses.append(int(head.split()[1]))
        closes.append(b"\r\nconnection: close" in head.lower())
        got = rest[length:]
    assert closes == [False] * (len(closes) - 1) + [True], closes
    return statuses


def narrow(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # most of what comes is still on its way when the other side has enough
    s.connect(("127.0.0.1", port))
    return tls().wrap_socket(s, server_hostname="localhost", suppress_ragged_eofs=False)


def lines(log):
    with open(log) as f:
        return f.read().count("\n")


def flood(port, n, log):
    before = lines(log)
    statuses = talk(narrow(port), GET * 100, lambda: lines(log) >= before + 100, GET * (n - 100))
    assert set(statuses) == {200}, Counter(statuses)
    print(len(statuses))


def deaf(port, how):
    close, post = GET[:-2] + b"Connection: close\r\n\r\n", GET[:-2].replace(b"GET", b"POST")
    for first in (close, close + b"nonsense\r\n\r\n", GET.replace(b"/1.1", b"/1.0"), b"nonsense\r\n\r\n", GET + b"nonsense\r\n\r\n",
                  post + b"Content-Length: 99999999\r\n\r\n", post + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"):
        s = socket.create_connection(("127.0.0.1", port), 30 * SLOW)
        if how == "tls":
            s = tls().wrap_socket(s, server_hostname="localhost", suppress_ragged_eofs=False)
        s.sendall(first)
        for _ in range(256):
            s.sendall(b"x" * 16384)
        got = b""
        while part := s.recv(65536):
            got += part
        print(*statuses_of(got))


def send_quietly(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass


def unread(port):
    get, sent = b"GET /ca/none.cer HTTP/1.1\r\nHost: x\r\n\r\n", 0
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    s.settimeout(3 * SLOW)
    try:
        while sent < 64 << 20:
            sent += s.send(get * 1000)
    except OSError:
        pass
    assert sent < 64 << 20, sent
    s.close()
    s = socket.create_connection(("127.0.0.1", port), 30 * SLOW)
    threading.Thread(target=send_quietly, args=(s, get * 5000), daemon=True).start()
    got = b""
    while got.count(b"HTTP/1.1 404") < 5000:
        part = s.recv(1 << 20)
        assert part, got.count(b"HTTP/1.1 404")
        got += part


def late(port, parent, n):
    worker, = workers = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=True).stdout.split()
    fds, until = f"/proc/{worker}/fd", time.monotonic() + 30 * SLOW
    before = len(os.listdir(fds))
    first = [connect(port, "127.0.0.2") for _ in range(n)]
    while len(os.listdir(fds)) < before + n and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(int(worker), signal.SIGSTOP)
    others = [connect(port, "127.0.0.2") for _ in range(n)]
    os.kill(int(worker), signal.SIGCONT)
    for _ in range(3):
        for s in first:
            send_quietly(s, b"G")
    assert all(closed(s, until) for s in first)
    for s in others:
        s.close()
    h = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * SLOW)
    h.request("GET", "/")
    assert h.getresponse().status == 404
    assert subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=True).stdout.split() == workers


def most(parent):
    """MiB of all workers, when they were largest."""
    pids = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=True).stdout.split()
    return sum(int(line.split()[1]) for p in pids for line in open(f"/proc/{p}/status") if line.startswith("VmHWM")) // 1024


def pump(port, name, parent):
    served(port)
    before = most(parent)
    with open(name + ".b64", "rb") as f:
        body = f.read()
    head = f"POST {PATH}simpleenroll HTTP/1.1\r\nHost: l\r\nContent-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n\r\n"
    s = tls().wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost", suppress_ragged_eofs=False)
    s.sendall(head.encode() + body)
    s.setblocking(False)
    left, more, got = 100 << 20, b"x" * 16384, b""
    while (part := receive_some(s)) != b"":
        got += part or b""
        readable, _, _ = select.select([s], [s] if left > 0 else [], [], 30 * SLOW)
        assert readable or left > 0, "silence"
        left -= len(more) - len(send_some(s, more))
    print(*statuses_of(got), most(parent) - before)


def csr(name, key):
    b = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    return base64.b64encode(b.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def enrol(port, body):
    h = http.client.HTTPSConnection("localhost", port, timeout=30, context=tls("boot-1"))
    h.request("POST", PATH + "simpleenroll", body, {"Content-Type": "application/pkcs10"})
    a = h.getresponse()
    text = a.read()
    h.close()
    return a.status, text


def load(port, first, n, threads):
    key = ec.generate_private_key(ec.SECP256R1())
    names = [f"load-{i}" for i in range(first, first + n)]
    seen, lock = Counter(), threading.Lock()
    os.makedirs("got", exist_ok=True)

    def run():
        while True:
            with lock:
                if not names:
                    return
                name = names.pop()
            body, until = csr(name, key), time.monotonic() + 20
            while time.monotonic() < until:
                try:
                    status, text = enrol(port, body)
                except ConnectionRefusedError:
                    seen["refused"] += 1
                    break
                except (OSError, http.client.HTTPException):
                    seen["again"] += 1
                    continue
                seen[status] += 1
                if status == 200:
                    c, = pkcs7.load_der_pkcs7_certificates(base64.b64decode(text))
                    with open("got/" + name, "w") as f:
                        f.write("%032x\n" % c.serial_number)
                break

    all_ = [threading.Thread(target=run) for _ in range(threads)]
    for t in all_:
        t.start()
    for t in all_:
        t.join()
    print(" ".join(f"{k}={v}" for k, v in sorted(seen.items(), key=str)))


def foreign():
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def make(name, issuer, begin=-day, end=20 * day, ca=False, usage=ExtendedKeyUsageOID.CLIENT_AUTH, key=None):
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        b = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0].subject if issuer else subject)
        b = b.public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now + begin)
        b = b.not_valid_after(now + end).add_extension(x509.BasicConstraints(ca, None), True)
        b = b.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        if issuer:
            b = b.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key()), False)
        if ca:
            b = b.add_extension(x509.KeyUsage(*[x in (5, 6) for x in range(9)]), True)
        else:
            b = b.add_extension(x509.ExtendedKeyUsage([usage]), False)
        return b.sign(issuer[1] if issuer else key, hashes.SHA256()), key

    def put(name, pair, *more):
        with open(name + ".pem", "wb") as f:
            for c in (pair[0], *more):
                f.write(c.public_bytes(serialization.Encoding.PEM))
        with open(name + ".key", "wb") as f:
            f.write(pair[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    root, other = make("Trusted", None, ca=True), make("Other", None, ca=True)
    sub = make("Sub", root, ca=True)
    cross = make("Sub", other, ca=True, key=sub[1])
    put("trusted", root)
    put("good", make("good", root))
    put("future", make("future", root, begin=day))
    put("expired", make("expired", root, begin=-3 * day, end=-day))
    put("server", make("server", root, usage=ExtendedKeyUsageOID.SERVER_AUTH))
    put("unknown", make("unknown", other))
    put("by-leaf", make("by-leaf", make("good", root)))
    leaf = make("leaf", sub)
    put("chain", leaf, sub[0])
    put("both", leaf, cross[0], sub[0])
    put("crossed", leaf, cross[0])


what, args = sys.argv[1], [int(a) if a.isdigit() else a for a in sys.argv[2:]]
{"idle": idle, "few": few, "trickle": trickle, "many": many, "greedy": greedy, "crowd": crowd, "storm": storm, "flood": flood, "deaf": deaf,
 "pump": pump, "unread": unread, "late": late, "load": load, "foreign": foreign}[what](*args)
