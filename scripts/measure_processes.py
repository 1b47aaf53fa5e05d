"""What scripts/measure starts and ends: the server, the loopback server, the swarm, a private MariaDB; each on its core, on loopback, in a folder
that is given. Nothing is measured here but the time until the server is ready and the processor time of a process."""

import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERTZ = os.sysconf("SC_CLK_TCK")
SERVER_CORE, SWARM_CORE = "0", "1"
# Twice what the swarm has at once. Of few files the server would by its default keep a ninth for plain HTTP, which nobody needs here: 20,000 are to do for 19,300 sockets.
HTTP_CONNECTIONS = 200
RATES = ("login_per_address", "register_per_address", "connections_per_address", "requests_per_address", "requests_per_account", "commands_per_account",
         "posts_per_account", "rooms_made_per_account", "refresh_per_account", "login_per_account")


class Failed(Exception):
    """A run that gave no figures."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def cpu_seconds(pid):
    """Processor time of a process, all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def resident_kib(pid):
    """Memory of a process that is not shared away or swapped out."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Ports above the system's range for outgoing connections would collide with thousands of clients.
    return port if port < 32768 else random.randint(20000, 32000)


def pinned(core, *command):
    return ["taskset", "-c", core, *map(str, command)]


class Stolen:
    """The share of processor time, in percent, that the host of a virtual machine gave to others since this was made: "steal" of proc(5)."""

    def __init__(self):
        self.before = self.ticks()

    @staticmethod
    def ticks():
        return [int(ticks) for ticks in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]

    def percent(self):
        passed = [now - then for now, then in zip(self.ticks(), self.before)]
        return 100 * passed[7] / max(1, sum(passed))


class Child:
    """A process that is ended with its block."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Server(Child):
    """`hubbub serve`, ready."""

    def __init__(self, place, bcrypt_cost=4):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {"accounts.bcrypt_cost": bcrypt_cost, "accounts.registration": "open", "server.drain_delay": "0s", "server.drain_spread": "0s",
                    "server.max_http_connections": HTTP_CONNECTIONS,
                    **{f"rates.{rate}": "off" for rate in RATES}}
        if place.url:
            settings["database.url"] = place.url
        flags = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        command = pinned(SERVER_CORE, place.programs / "hubbub", "serve", "--data", place.data, "--listen", f"127.0.0.1:{self.port}", *flags)
        self.log = open(place.folder / "server.log", "ab")
        self.cost = bcrypt_cost
        begin = time.monotonic()
        super().__init__(command, stdout=self.log, stderr=self.log)
        self.started_in = self.wait_ready(begin)

    def total(self, metric):
        """What a metric comes to, over all its labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition(" ")[0].partition("{")[0] == metric)

    def wait_ready(self, begin):
        while time.monotonic() - begin < 30:
            if self.process.poll() is not None:
                raise Failed(f"the server ended; see {self.log.name}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/health/ready")
                if connection.getresponse().status == 200:
                    return time.monotonic() - begin
            except OSError:
                pass
            time.sleep(0.001)
        raise Failed(f"the server was not ready within 30 s; see {self.log.name}")

    def __exit__(self, *error):
        super().__exit__(*error)
        self.log.close()


class Bare(Child):
    """The swarm's loopback server."""

    def __init__(self, place):
        super().__init__(pinned(SERVER_CORE, place.programs / "hubbub-swarm", "loopback"), stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()


class Place:
    """Where a database and its casts live."""

    def __init__(self, name, programs, folder, runs, seconds):
        self.name, self.programs, self.folder, self.runs, self.seconds = name, programs, folder / name, runs, seconds
        self.data, self.url, self.database_pid, self.maria = self.folder / "data", "", None, None
        self.folder.mkdir()

    def __enter__(self):
        if self.name == "mariadb":
            out = subprocess.run([ROOT / "scripts/mariadb", "start"], check=True, stdout=subprocess.PIPE, text=True).stdout
            told = dict(line.split("=", 1) for line in out.split())
            self.maria = told["HUBBUB_MARIADB_FOLDER"]
            self.database_pid = int((pathlib.Path(self.maria) / "pid").read_text())
            base = told["HUBBUB_TEST_DATABASE"].rstrip("/")
            self.url = f"{base}/hubbub_measure"
            sock = pathlib.Path(self.maria) / "socket"
            subprocess.run(["mariadb", f"--socket={sock}", "-uroot", "-e", "CREATE DATABASE hubbub_measure CHARACTER SET utf8mb4"], check=True)
        return self

    def __exit__(self, *_):
        if self.maria:
            subprocess.run([ROOT / "scripts/mariadb", "stop", self.maria], check=True)

    def queries(self):
        """How many statements the MariaDB was sent so far."""
        sock = pathlib.Path(self.maria) / "socket"
        told = subprocess.run(["mariadb", f"--socket={sock}", "-uroot", "-Ne", "SHOW GLOBAL STATUS LIKE 'Questions'"], check=True, stdout=subprocess.PIPE, text=True)
        return int(told.stdout.split()[1])

    def fresh(self):
        """Forgets what was stored."""
        shutil.rmtree(self.data, ignore_errors=True)
        for cast in self.folder.glob("*.cast"):
            cast.unlink()
        if self.maria:
            sock = pathlib.Path(self.maria) / "socket"
            subprocess.run(["mariadb", f"--socket={sock}", "-uroot", "-e", "DROP DATABASE hubbub_measure; CREATE DATABASE hubbub_measure CHARACTER SET utf8mb4"], check=True)

    def swarm(self, command, cast, *flags, url, pid=None):
        """One run of the swarm; its report."""
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        server = ["--server-pid", pid] if pid else []
        words = pinned(SWARM_CORE, self.programs / "hubbub-swarm", command, "--url", url, "--cast", self.folder / f"{cast}.cast", "--json", report, *server, *flags)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0 or not report.exists():
            raise Failed(f"{' '.join(words)}\n{done.stdout[-3000:]}")
        return json.loads(report.read_text())
