"""Starts and stops the servers that are compared, each on a loopback port of its own."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

FIRST_PORT = 29_091
LAST_PORT = 29_490
POLL_SECONDS = 0.002
START_SECONDS_MAX = 300
STOP_SECONDS_MAX = 300
# A process rests if it takes at most this many ticks of 10 ms in each of so many looks.
IDLE_TICKS = 1
IDLE_LOOKS = 3
IDLE_LOOK_SECONDS = 0.1
IDLE_SECONDS_MAX = 60

OURS = "Tallygate"
BARE = "bare axum"
SYNCED = "bare axum, synced"
PUSHGATEWAY = "Pushgateway"
UNCHECKED = "Pushgateway, check disabled"


class Server:
    """One process. It can be stopped and started again on the same store."""

    def __init__(self, name, command, port, store, ready_path):
        self.name = name
        self.port = port
        # The path of the store: a directory (ours), a file (Pushgateway), or None.
        self.store = store
        self._command = command
        self._ready_path = ready_path
        self._process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Starts the process and waits until it is ready. Gives the seconds from the start to that."""
        began = time.perf_counter()
        # In a process group of its own, so that Ctrl-C reaches only the benchmark, which then stops the servers. Not in
        # a session of its own: between sessions Linux shares the processors evenly (sched(7), autogroup), however many
        # threads each has, and the client would get half of them whatever it does.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
        )
        while not self._is_ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {' '.join(self._command)}")
            if time.perf_counter() - began > START_SECONDS_MAX:
                raise RuntimeError(f"{self.name} was not ready after {START_SECONDS_MAX} s")
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - began

    def _is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", self._ready_path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self, how=signal.SIGTERM):
        """Ends the process, cleanly unless `how` is SIGKILL."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def discard(self):
        """Ends the process at once and removes its store."""
        self.stop(signal.SIGKILL)
        if self.store is None:
            return
        if os.path.isdir(self.store):
            shutil.rmtree(self.store)
        elif os.path.exists(self.store):
            os.remove(self.store)

    def wait_until_idle(self):
        """Waits until the process rests: one that works on what it has acknowledged, or on what nobody waits for any more,
        would take the processors from whoever is measured next."""
        began, quiet = time.perf_counter(), 0
        before = self._processor_ticks()
        while quiet < IDLE_LOOKS and time.perf_counter() - began < IDLE_SECONDS_MAX:
            time.sleep(IDLE_LOOK_SECONDS)
            now = self._processor_ticks()
            quiet = quiet + 1 if now - before <= IDLE_TICKS else 0
            before = now
        if quiet < IDLE_LOOKS:
            print(f"{self.name} did not come to rest within {IDLE_SECONDS_MAX} s", file=sys.stderr)

    def _processor_ticks(self):
        with open(f"/proc/{self._process.pid}/stat", encoding="ascii") as stat:
            # proc(5): the times in user and in kernel mode are the 14th and 15th, the name may hold blanks.
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def resident_bytes(self):
        with open(f"/proc/{self._process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError(f"{self.name} has no resident memory")

    def stored_bytes(self):
        """What the store takes on disk, as `du` would tell."""
        total = 0
        for directory, _, names in os.walk(self.store):
            for name in names:
                try:
                    total += os.lstat(os.path.join(directory, name)).st_blocks * 512
                except FileNotFoundError:
                    continue
        return total


class Stable:
    """Makes servers, and knows all that it made, so that none is left behind."""

    def __init__(self, programs, scratch):
        self._programs = programs
        self._scratch = scratch
        self._made = 0
        self._servers = []

    def ours(self, *flags, engine="sled"):
        """Tallygate as it starts by default, but for its address, its store and the limit of connections."""
        store = self._store("tallygate")
        if engine != "sled":
            flags = (*flags, f"--persistence.engine={engine}")
        return self._add(
            OURS if engine == "sled" else f"{OURS} ({engine})",
            lambda address: [
                self._programs.tallygate, f"--web.listen-address={address}", f"--persistence.file={store}",
                "--log.level=warn", *flags,
            ],
            store,
            "/-/ready",
        )

    def bare(self, file=None):
        extra = ["--file", file] if file else []
        return self._add(BARE, lambda address: [self._programs.bare, "--listen", address, *extra], None, "/")

    def synced(self):
        """The bare server, which answers once the body is on disk."""
        store = self._store("log")
        command = [self._programs.bare, "--log", store, "--listen"]
        return self._add(SYNCED, lambda address: [*command, address], store, "/")

    def pushgateway(self, checked, store=None):
        """Pushgateway with persistence. `store` lets one continue with the file of another."""
        store = store or self._store("pushgateway")
        flags = [] if checked else ["--push.disable-consistency-check"]
        return self._add(
            PUSHGATEWAY if checked else UNCHECKED,
            lambda address: [
                "prometheus-pushgateway", f"--web.listen-address={address}", f"--persistence.file={store}",
                "--log.level=error", *flags,
            ],
            store,
            "/-/ready",
        )

    def _store(self, kind):
        self._made += 1
        return os.path.join(self._scratch, f"{kind}-{self._made}")

    def _add(self, name, command, store, ready_path):
        port = self._free_port()
        server = Server(name, command(f"127.0.0.1:{port}"), port, store, ready_path)
        self._servers.append(server)
        return server

    def _free_port(self):
        taken = {server.port for server in self._servers}
        for port in range(FIRST_PORT, LAST_PORT + 1):
            if port not in taken and _can_listen(port):
                return port
        raise RuntimeError(f"no port from {FIRST_PORT} to {LAST_PORT} is free")

    def clear(self):
        """Ends every server and removes its store."""
        for server in self._servers:
            server.discard()
        self._servers.clear()


def _can_listen(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
