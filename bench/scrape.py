"""Scrapes: a client that costs next to nothing, and one that reads what it got."""

import http.client
import os
import socket
import threading
import time
from dataclasses import dataclass

BUFFER_BYTES = 1 << 20
TIMEOUT_SECONDS = 300
TAIL_BYTES = 16


@dataclass(frozen=True)
class Scrape:
    """One scrape, read to its end and thrown away."""

    seconds: float
    first_byte_seconds: float
    bytes: int


def discard(server, copy=True):
    """Scrapes uncompressed text, and drops the bytes as they come; without `copy` the kernel does."""
    request = f"GET /metrics HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n\r\n".encode()
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        total = connection.recv_into(buffer)
        first = time.perf_counter()
        head, found, body = bytes(view[:total]).partition(b"\r\n\r\n")
        tail = body[-TAIL_BYTES:]
        if not copy:
            # tcp(7): with this flag the bytes are counted and not handed over. The end of the text is in none of them.
            while read := connection.recv_into(buffer, 0, socket.MSG_TRUNC):
                total += read
        while read := connection.recv_into(buffer):
            total += read
            tail = (tail + bytes(view[max(0, read - TAIL_BYTES) : read]))[-TAIL_BYTES:]
    end = time.perf_counter()
    _check(server, head if found else b"", total, tail)
    return Scrape(end - start, first - start, total)


def _check(server, head, total, tail):
    """A scrape that was cut off would look fast."""
    lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:])
    if b" 200 " not in lines[0]:
        raise RuntimeError(f"{server.name} answered a scrape with {lines[0]!r}")
    if b"content-length" in headers:
        whole = total - len(head) - 4 == int(headers[b"content-length"])
    else:
        whole = tail.endswith(b"0\r\n\r\n")
    if not whole:
        raise RuntimeError(f"{server.name} cut a scrape off after {total} bytes")


def save(server, path):
    """Scrapes into a file. Gives the number of lines that are samples."""
    samples = 0
    with open(path, "wb") as file:
        for line in _lines(server):
            file.write(line)
            samples += not line.startswith(b"#")
    return samples


def samples(server):
    """How many samples a scrape shows."""
    return save(server, os.devnull)


def total(server, family):
    """The sum of all samples of a family."""
    name = family.encode()
    found = [line for line in _lines(server) if line.startswith((name + b"{", name + b" "))]
    return sum(float(line.rsplit(b" ", 1)[1]) for line in found)


def _lines(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{server.name} answered a scrape with {answer.status}")
        # Larger reads than readline()'s own; a line may lie across two of them.
        rest = b""
        while block := answer.read(BUFFER_BYTES):
            lines = (rest + block).splitlines(keepends=True)
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            yield from lines
        if rest:
            yield rest
    finally:
        connection.close()


class Scraper:
    """Scrapes over and over in the background for as long as it is entered. What it gets the kernel throws away without
    a copy, since a client that shares the processors with the server would stand in the way of pushes itself."""

    def __init__(self, server):
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error = None
        self.scrapes = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self):
        try:
            while not self._stop.is_set():
                self.scrapes.append(discard(self._server, copy=False))
        except (OSError, RuntimeError) as error:
            self._error = error
