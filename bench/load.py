"""Pushes: at full speed by wrk, at a fixed rate by our own client, and each of a list once, to fill a store."""

import http.client
import json
import os
import subprocess
import threading
from dataclasses import dataclass

LUA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wrk.lua")
ANSWER_SECONDS_MAX = 120
FILL_CONNECTIONS = 8


class Refused(Exception):
    """A server answered with something else than 2xx, or not at all: the figures would mean nothing."""


@dataclass(frozen=True)
class Blast:
    """The outcome of a run at full speed."""

    pushes: int
    seconds: float
    # Latency that wrk saw, in microseconds.
    p50: int
    p99: int

    @property
    def rate(self):
        return self.pushes / self.seconds


class Plan:
    """A list of pushes as files that the clients read."""

    def __init__(self, scratch, name, pushes):
        self.pushes = pushes
        self.requests = os.path.join(scratch, f"{name}.plan")
        self.bodies = os.path.join(scratch, f"{name}.bodies")
        offsets, end = {}, 0
        with open(self.bodies, "wb") as bodies, open(self.requests, "w", encoding="ascii") as requests:
            for push in pushes:
                if push.body not in offsets:
                    offsets[push.body] = end
                    end += bodies.write(push.body)
                requests.write(f"{push.path} {offsets[push.body]} {len(push.body)}\n")


def blast(server, plan, connections, seconds):
    """Pushes the plan around and around over `connections`, each sending as soon as it was answered. A server that
    answers nobody in that time gets more."""
    while True:
        outcome = _blast(server, plan, connections, seconds)
        if outcome.pushes > 0:
            return outcome
        if seconds >= ANSWER_SECONDS_MAX:
            raise Refused(f"{server.name} answered no push in {seconds} s")
        seconds *= 4


def _blast(server, plan, connections, seconds):
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={ANSWER_SECONDS_MAX}s", "-s", LUA,
        f"http://{server.address}/", "--", plan.requests, plan.bodies,
    ]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in outcome.stdout.splitlines() if line.startswith("OUTCOME ")]
    if outcome.returncode != 0 or not lines:
        raise Refused(f"wrk failed against {server.name}: {outcome.stdout}{outcome.stderr}")
    told = json.loads(lines[0].removeprefix("OUTCOME "))
    if told["refused"] or told["broken"]:
        raise Refused(
            f"{server.name}: of {told['requests']} pushes {told['refused']} were refused "
            f"and {told['broken']} got no answer"
        )
    return Blast(told["requests"], told["micros"] / 1e6, told["p50"], told["p99"])


def paced(program, server, plan, rate, seconds, connections, authorization=None):
    """Pushes the first of the plan at a fixed rate, with a password if there is one. Gives latencies in microseconds from the moment each was due."""
    command = [
        program, "--address", server.address, "--path", plan.pushes[0].path, "--body", plan.bodies,
        "--rate", str(rate), "--seconds", str(seconds), "--connections", str(connections),
    ]
    if authorization:
        command += ["--authorization", authorization]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise Refused(f"{server.name} at a fixed rate: {outcome.stderr.strip()}")
    return json.loads(outcome.stdout)


def fill(server, pushes):
    """Pushes each of the list once."""
    waiting = iter(pushes)
    lock = threading.Lock()
    failures = []

    def drive():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_SECONDS_MAX)
        try:
            while not failures:
                with lock:
                    push = next(waiting, None)
                if push is None:
                    return
                connection.request("POST", push.path, push.body)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status // 100 != 2:
                    failures.append(f"{answer.status} {text[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            failures.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=drive) for _ in range(FILL_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Refused(f"{server.name} while it was filled: {failures[0]}")
