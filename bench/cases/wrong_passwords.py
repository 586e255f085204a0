"""How long pushes with a right password wait while others try wrong ones."""

import base64
import http.client
import os
import threading

import load
import payloads
from measure import Outcome, Verdict, latency_table, median

CONNECTIONS = 64
ATTACKERS = 16
AT_MOST = 2
SHARE_OF_MAXIMUM = 0.1
USER, PASSWORD = "bench", "change me"
# bcrypt of the password, with cost 10, which takes a processor some 50 ms.
HASH = "$2y$10$abcdefghijklmnopqrstuuIPiNSdYbdh6IH3uSCD970KZA2VG5vl6"


def run(bench):
    seconds = 3 if bench.quick else 8
    config = os.path.join(bench.scratch, "web.yml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'basic_auth_users:\n  {USER}: "{HASH}"\nopen_health: true\n')
    server = bench.ours(f"--web.config.file={config}")
    plan = bench.plan("passwords", [payloads.Push(payloads.path(0), payloads.small())])
    right = _credentials(PASSWORD)
    rate = max(1, int(bench.bare_rate * SHARE_OF_MAXIMUM))
    _push(server, right)
    alone, beside, attempts = [], [], 0
    for _ in range(bench.rounds):
        alone.append(_paced(bench, server, plan, rate, seconds, right))
        with _Attack(server) as attack:
            beside.append(_paced(bench, server, plan, rate, seconds, right))
        attempts += attack.attempts
    name = server.name
    bench.stable.clear()
    table = latency_table({"no wrong passwords": alone, "beside wrong passwords": beside})
    ratio = median([run["p99"] for run in beside]) / median([run["p99"] for run in alone])
    return Outcome(
        "Latency of pushes beside wrong passwords",
        f"Small pushes with a right password at a fixed rate of {rate:,} per second over {CONNECTIONS} connections, without and "
        f"with {ATTACKERS} clients that try another wrong password with each request, as fast as they are answered "
        f"({attempts:,} attempts in all). Latency is counted from the moment at which a push was due.",
        [table],
        [Verdict(f"{name}: p99 of pushes beside wrong passwords against without", ratio, "at most", AT_MOST, " x")],
    )


def _credentials(password):
    return "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()


def _push(server, authorization):
    """One push, after which the password is known to be right."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=load.ANSWER_SECONDS_MAX)
    connection.request("POST", payloads.path(0), payloads.small(), {"Authorization": authorization})
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise load.Refused(f"{server.name}: the right password was answered {status}")


def _paced(bench, server, plan, rate, seconds, authorization):
    return load.paced(bench.programs.paced, server, plan, rate, seconds, CONNECTIONS, authorization)


class _Attack:
    """Clients that try passwords until the end of the block."""

    def __init__(self, server):
        self.attempts = 0
        self._server = server
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._failures = []
        self._threads = [threading.Thread(target=self._try, args=(number,)) for number in range(ATTACKERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise load.Refused(f"{self._server.name}: a wrong password was answered {self._failures[0]}")

    def _try(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=load.ANSWER_SECONDS_MAX)
        attempts = 0
        while not self._over.is_set():
            wrong = _credentials(f"{number}-{attempts}")
            connection.request("POST", payloads.path(0), b"", {"Authorization": wrong})
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (401, 503):
                self._failures.append(answer.status)
                break
            attempts += 1
        connection.close()
        with self._lock:
            self.attempts += attempts
