"""What the database alone stores: rows as long as a message's in a plain table, so many by one transaction, committed as durably as the server's. The
server's own transactions lock, look up and count besides; docs/PERFORMANCE.md tells its rate beside this one."""

import contextlib
import itertools
import pathlib
import sqlite3
import subprocess
import threading
import time

# Rows by transaction.
SIZES = (1, 3, 10, 30, 100, 500)
# As the server's writers.
CONNECTIONS = {"sqlite": 1, "mariadb": 2}
COLUMNS = "room BINARY(16), seq BIGINT, revision BIGINT, author BINARY(16), client_id BINARY(16), body_hash BINARY(32), body TEXT, created_at VARCHAR(26)"
ROW = "(X'{0:032x}', {0}, {0}, X'{0:032x}', X'{0:032x}', X'{0:064x}', '" + "x" * 64 + "', '2026-01-01 00:00:00.000000')"


def insert(rows):
    """A statement that stores so many rows."""
    return f"INSERT INTO ceiling VALUES {', '.join(ROW.format(row) for row in range(rows))}"


def sqlite_rate(folder, rows, seconds):
    """Rows per second through one connection."""
    path = pathlib.Path(folder) / f"ceiling-{rows}.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"CREATE TABLE ceiling ({COLUMNS})")
        statement, begin = insert(rows), time.monotonic()
        for done in itertools.count(1):
            database.execute(statement)
            if (passed := time.monotonic() - begin) > seconds:
                return done * rows / passed


def mariadb_rate(sock, rows, seconds):
    """Rows per second through as many connections as the server has. Each is a client of its own, fed until the time is over."""
    client = ["mariadb", f"--socket={sock}", "-uroot", "hubbub_measure"]
    subprocess.run([*client, "-e", f"CREATE OR REPLACE TABLE ceiling ({COLUMNS})"], check=True)
    statement = (insert(rows) + ";\n").encode()

    def feed():
        # What the client has read ahead is stored by the time it ends, so its end counts.
        with subprocess.Popen(client, stdin=subprocess.PIPE) as process:
            while time.monotonic() - begin < seconds:
                process.stdin.write(statement)
            process.stdin.close()

    begin = time.monotonic()
    threads = [threading.Thread(target=feed) for _ in range(CONNECTIONS["mariadb"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.monotonic() - begin
    counted = subprocess.run([*client, "-Ne", "SELECT COUNT(*) FROM ceiling"], check=True, stdout=subprocess.PIPE, text=True).stdout
    subprocess.run([*client, "-e", "DROP TABLE ceiling"], check=True)
    return int(counted) / passed


def ceiling(place, server, first):
    """Rows per second by how many rows a transaction has."""
    seconds = max(1, place.seconds / 2)
    if place.maria:
        rate = lambda rows: mariadb_rate(pathlib.Path(place.maria) / "socket", rows, seconds)
    else:
        rate = lambda rows: sqlite_rate(place.data, rows, seconds)
    figures = {f"rows/s by {rows}": rate(rows) for rows in SIZES}
    for path in place.data.glob("ceiling-*"):
        path.unlink()
    return figures
