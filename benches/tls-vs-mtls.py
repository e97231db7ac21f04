#!/usr/bin/env python3
"""Fresh connections inside TLS 1.3: nginx with mutual TLS and a CRL beside `muster gateway
--tls-cert` with presentations, on this machine, in one run, by the same client.

    cargo build --release && benches/tls-vs-mtls.py

What is compared is requests per second of the *server's* processor time (user and system, from
/proc/PID/stat): the client and the other processes of the machine do not count. Each request is
a connection of its own, a full handshake, no resumption. Both servers have the same ECDSA P-256
certificate. With nginx a device shows a P-256 client certificate; with ours it sends a
presentation that it made within the minute, by a P-256 key, and again by an Ed25519 key.

nginx runs twice: as it comes, and without session tickets, which spares it two encryptions of the
client's certificate for each connection. Ratios are to the better of the two. Ours gives one ticket.

"Revoked" is, with nginx, a CRL of so many entries with random 16-byte serials. With ours it is a
ledger on which one batch of so many devices was revoked by one operation, and --singles further
devices one by one.

Needs nginx, openssl and Python's standard library. Takes some five minutes with a million.
"""

import argparse, atexit, base64, datetime, json, os, shutil, signal, socket, ssl, statistics
import subprocess, sys, tempfile, time, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AUDIENCE = "bench.example"
TICK = os.sysconf("SC_CLK_TCK")
NGINX = {"nginx": "on", "nginx, no tickets": "off"}
running = []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--muster", default=ROOT / "target/release/muster", type=Path)
    parser.add_argument("--revoked", default=1_000_000, type=int)
    parser.add_argument("--singles", default=200, type=int, help="revoked one by one")
    parser.add_argument("--requests", default=1_000, type=int, help="of each measurement")
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--devices", default=100, type=int)
    parser.add_argument("--dir", type=Path, help="kept, and the ledger in it used again")
    arg = parser.parse_args()
    arg.muster = arg.muster.resolve()
    if not arg.muster.exists():
        sys.exit(f"{arg.muster} is not there: run cargo build --release, or name it with --muster")
    work = arg.dir or Path(tempfile.mkdtemp(prefix="muster-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    atexit.register(clean, work, keep=arg.dir is not None)
    work = work.resolve()

    certificates(work, arg.devices)
    servers = {
        "none": [*nginx(work, None), *ours(arg, fresh(arg, work), "none")],
        "revoked": [
            *nginx(work, crl(work, arg.revoked)),
            *ours(arg, with_revoked(arg, work), "revoked"),
        ],
    }
    figures = {}
    for state, list_of in servers.items():
        for server in list_of:
            # Each device once: a gateway asks its node about a device that it never saw.
            load(server, server.jobs(arg.devices))
        for _ in range(arg.rounds):
            for server in list_of:
                # A CRL of a million makes each handshake cost some 40 ms: fewer of them say as much.
                slow = isinstance(server, Nginx) and state == "revoked" and arg.revoked > 100_000
                rate = measure(server, arg.requests // 10 if slow else arg.requests)
                figures.setdefault((state, server.name), []).append(rate)
                print(f"  {state:8} {server.name:18} {rate:8.0f} /CPU s", file=sys.stderr)
    table(arg, figures)


def table(arg, figures):
    median = {key: statistics.median(rates) for key, rates in figures.items()}
    print(f"requests on fresh TLS 1.3 connections per CPU second of the server, median of {arg.rounds}")
    print(f"{'revoked':>10}  {'server':22}{'per CPU s':>10}{'ratio':>10}")
    for (state, name), rate in median.items():
        count = f"{arg.revoked:,}" if state == "revoked" else "none"
        best = max(median[state, name] for name in NGINX)
        print(f"{count:>10}  {name:22}{rate:10,.0f}{rate / best:9.1f}x")


# --- the client --------------------------------------------------------------------------------


def measure(server, requests):
    """Requests per second of the server's processor time."""
    jobs = server.jobs(requests)
    before = cpu(server.pids())
    load(server, jobs)
    # One tick at least: a measurement too short for the system's clock says nothing better.
    return len(jobs) / max(cpu(server.pids()) - before, 1 / TICK)


def load(server, jobs):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda job: visit(server.port, *job), jobs))


def visit(port, context, request):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as stream:
            assert stream.version() == "TLSv1.3" and not stream.session_reused
            stream.sendall(request)
            answer = b""
            while chunk := stream.recv(4096):
                answer += chunk
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"refused: {answer.decode(errors='replace')}")


def cpu(pids):
    """User and system seconds of processes. The name in the second field may hold anything."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def context(work, certificate=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(work / "ca.pem")
    if certificate:
        made.load_cert_chain(work / f"{certificate}.pem", work / f"{certificate}.key")
    return made


# --- nginx with mutual TLS ---------------------------------------------------------------------


def nginx(work, crl):
    return [Nginx(work, crl, name, tickets) for name, tickets in NGINX.items()]


class Nginx:
    def __init__(self, work, crl, name, tickets):
        self.name, self.port = name, free_port()
        home = Path(tempfile.mkdtemp(prefix="nginx-", dir=work))
        line = f"ssl_crl {crl};" if crl else ""
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = " ".join(
            f"{kind}_temp_path {home}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (home / "nginx.conf").write_text(
            f"""{user} worker_processes 1; daemon off; pid {home}/pid; error_log {home}/error.log;
            events {{ worker_connections 256; }}
            http {{
                access_log off; {temporary}
                server {{
                    listen 127.0.0.1:{self.port} ssl;
                    ssl_certificate {work}/server.pem; ssl_certificate_key {work}/server.key;
                    ssl_protocols TLSv1.3; ssl_session_tickets {tickets};
                    ssl_client_certificate {work}/ca.pem; ssl_verify_client on; {line}
                    return 200 "$ssl_client_serial\\n";
                }}
            }}"""
        )
        command = ["nginx", "-p", home, "-c", home / "nginx.conf", "-e", home / "start.log"]
        self.master = start(command, stderr=subprocess.DEVNULL)
        wait_for(self.port, self.master)
        self.contexts = [context(work, f"client-{n}") for n in range(len(list(work.glob("client-*.key"))))]

    def pids(self):
        children = Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text()
        return [self.master.pid, *children.split()]

    def jobs(self, requests):
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        return [(self.contexts[n % len(self.contexts)], request) for n in range(requests)]


def certificates(work, devices):
    """An authority, a server and clients, all P-256."""
    if (work / f"client-{devices - 1}.pem").exists():
        return
    ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    (work / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl(work, f"req -x509 {ec} -keyout ca.key -out ca.pem -subj /CN=ca -days 30")
    for name in ["server", *(f"client-{n}" for n in range(devices))]:
        openssl(work, f"req {ec} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        extensions = "-extfile names" if name == "server" else ""
        openssl(work, f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -days 30 -out {name}.pem {extensions}")


def openssl(work, arguments):
    subprocess.run(["openssl", *arguments.split()], cwd=work, check=True, capture_output=True)


def crl(work, revoked):
    """A CRL (RFC 5280 section 5) in DER by hand: openssl ca takes hours for a million entries."""
    file = work / f"crl-{revoked}.pem"
    if file.exists():
        return file

    def der(tag, *parts):
        body = b"".join(parts)
        size = len(body)
        if size < 128:
            return bytes([tag, size]) + body
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return bytes([tag, 0x80 | len(length)]) + length + body

    def moment(days):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        return der(0x17, at.strftime("%y%m%d%H%M%SZ").encode())

    ecdsa_with_sha256 = der(0x30, bytes.fromhex("06082a8648ce3d040302"))
    issuer = der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403"), der(0x0C, b"ca"))))
    since = moment(-1)
    # Positive, and never of the clients, whose serials have 20 bytes.
    serials = (b"\x01" + os.urandom(15) for _ in range(revoked))
    entries = b"".join(der(0x30, der(0x02, serial), since) for serial in serials)
    number = der(0x30, bytes.fromhex("0603551d14"), der(0x04, der(0x02, b"\x01")))
    body = der(
        0x30, der(0x02, b"\x01"), ecdsa_with_sha256, issuer, since, moment(30),
        der(0x30, entries), der(0xA0, der(0x30, number)),
    )
    (work / "tbs").write_bytes(body)
    openssl(work, "dgst -sha256 -sign ca.key -out tbs.sig tbs")
    signature = der(0x03, b"\x00" + (work / "tbs.sig").read_bytes())
    text = base64.encodebytes(der(0x30, body, ecdsa_with_sha256, signature)).decode()
    # encodebytes makes lines of 76 characters; PEM has 64 (RFC 7468), and openssl insists.
    text = text.replace("\n", "")
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    file.write_text(f"-----BEGIN X509 CRL-----\n{lines}\n-----END X509 CRL-----\n")
    openssl(work, f"verify -CAfile ca.pem -crl_check -CRLfile {file.name} client-0.pem")
    return file


# --- ours --------------------------------------------------------------------------------------


class Gateway:
    def __init__(self, muster, work, home, node, algorithm, devices):
        self.muster, self.home, self.port = muster, home, free_port()
        self.name = f"muster, {'P-256' if algorithm == 'p256' else 'Ed25519'}"
        self.devices = [home / f"{algorithm}-{n}.pem" for n in range(devices)]
        self.context = context(work)
        command = [
            muster, "--home", home, "gateway", "--audience", AUDIENCE, "--node", node,
            "--dir", home / f"gateway-{algorithm}", "--listen", f"127.0.0.1:{self.port}",
            "--tls-cert", work / "server.pem", "--tls-key", work / "server.key",
        ]
        self.process = start(command, env={**os.environ, "MUSTER_LOG": "error"})
        wait_for(self.port, self.process)
        self.ready()

    def ready(self):
        until = time.time() + 120
        while time.time() < until:
            try:
                visit(self.port, *self.jobs(1)[0])
                return
            except SystemExit:
                time.sleep(0.2)
        raise SystemExit("the gateway never lets a device through")

    def pids(self):
        return [self.process.pid]

    def present(self, number):
        key = self.devices[number % len(self.devices)]
        token = run(self.muster, "device", "present", key, "--audience", AUDIENCE).strip()
        head = f"GET /v1/authenticate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        return self.context, f"{head}Authorization: Muster {token}\r\n\r\n".encode()

    def jobs(self, requests):
        """Presentations last a minute: they are made right before they are used."""
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(self.present, range(requests)))


def ours(arg, home, state):
    listen = f"127.0.0.1:{free_port()}"
    node_process = start([arg.muster, "--home", home, "serve", "--listen", listen],
                         env={**os.environ, "MUSTER_LOG": "error"})
    wait_for(int(listen.split(":")[1]), node_process)
    node = f"http://{listen}"
    genesis = home / "genesis.cbor"

    def new(name):
        return run(arg.muster, "--home", home, "device", "new", home / f"{name[0]}.pem", "--model",
                   "bench", "--algorithm", name[1], "--genesis", genesis)

    names = [(f"{kind}-{n}", kind) for kind in ("p256", "ed25519") for n in range(arg.devices)]
    singles = [(f"single-{n}", "ed25519") for n in range(arg.singles if state == "revoked" else 0)]
    wanted = [name for name in names + singles if not (home / f"{name[0]}.pem").exists()]
    if wanted:
        with ThreadPoolExecutor(4) as threads:
            rows = list(threads.map(new, wanted))
        (home / "rows.jsonl").write_text("".join(rows))
        granted = json.loads(run(arg.muster, "--home", home, "org", "grant", "--node", node,
                                 "--devices", str(len(wanted)), "--json"))
        run(arg.muster, "--home", home, "enrol", home / "rows.jsonl", "--node", node, "--json",
            "--grant", granted["grant"])
    fresh_singles = [name for name in singles if name in wanted]
    if fresh_singles:
        def revoke(name):
            did = run(arg.muster, "device", "did", home / f"{name[0]}.pem").strip()
            run(arg.muster, "--home", home, "revoke", did, "--node", node)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(revoke, fresh_singles))
    if state == "revoked":
        revoke_batches(arg, home, node)
    return [
        Gateway(arg.muster, work_of(home), home, node, algorithm, arg.devices)
        for algorithm in ("p256", "ed25519")
    ]


def work_of(home):
    return next(parent for parent in home.parents if (parent / "server.pem").exists())


def fresh(arg, work):
    home = work / "home-none"
    if not home.exists():
        run(arg.muster, "--home", home, "init")
    return home


def with_revoked(arg, work):
    """A ledger with a batch of so many devices: `muster bench resolve` makes and keeps one."""
    roll = work / "roll"
    home = roll / f"devices-{arg.revoked}"
    if not (home / "enrolled.key").exists():
        print(f"enrolling {arg.revoked:,} devices", file=sys.stderr)
        run(arg.muster, "bench", "resolve", "--devices", str(arg.revoked), "--questions", "100",
            "--dir", roll)
    return home


def revoke_batches(arg, home, node):
    """Revokes every batch that `muster bench` enrolled, by one operation each."""
    with urllib.request.urlopen(f"{node}/v1/batches") as answer:
        batches = json.load(answer)
    revoked = 0
    for batch in batches:
        if batch["model"] == "bench-9":
            revoked += batch["count"]
            if batch["standing"] != "revoked":
                run(arg.muster, "--home", home, "revoke", batch["batch"], "--node", node)
    assert revoked == arg.revoked, f"{revoked} devices in the batches of the ledger"


# --- processes ---------------------------------------------------------------------------------


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def start(command, **options):
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, **options)
    running.append(process)
    return process


def wait_for(port, process):
    until = time.time() + 120
    while time.time() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended by itself")
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{process.args[0]} does not listen")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean(work, keep):
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        process.wait()
    if not keep:
        shutil.rmtree(work, ignore_errors=True)


main()
