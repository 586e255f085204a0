"""Pushes with the Python client, from several processes at once, and says what must have come of it."""

import gzip
import sys
from multiprocessing import Process
from urllib.error import HTTPError

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client import delete_from_gateway, push_to_gateway, pushadd_to_gateway
from prometheus_client.exposition import default_handler

WORKERS = 6
PUSHES = 25


def registry(worker, i):
    """What one short-lived job has to tell; a fresh registry, as for each job."""
    own = CollectorRegistry()
    Counter("py_jobs", "Jobs.", ["worker"], registry=own).labels(str(worker)).inc(1)
    Counter("py_tenths", "Tenths.", registry=own).inc(0.1)
    Gauge("py_last", "The newest.", registry=own).set(i)
    histogram = Histogram("py_seconds", "Durations.", buckets=(0.5, 1, 5), registry=own)
    histogram.observe(0.25)
    histogram.observe(2)
    Summary("py_sizes", "Sizes.", registry=own).observe(8)
    return own


def gzipped(url, method, timeout, headers, data):
    """A handler as the client lets its users write them: here one that compresses."""
    return default_handler(url, method, timeout, headers + [("Content-Encoding", "gzip")], gzip.compress(data))


def work(address, worker):
    push = push_to_gateway if worker % 2 else pushadd_to_gateway
    handler = gzipped if worker % 3 else default_handler
    for i in range(PUSHES):
        push(address, job="py", registry=registry(worker, i), handler=handler)


def push_at_once(address):
    workers = [Process(target=work, args=(address, worker)) for worker in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0, "a worker has failed"


def use_strange_keys(address):
    """Slashes, spaces, nothing: the client encodes them, the gateway reads them, and deletes by them."""
    for key in ({"path": "/var/tmp"}, {"name": "with space", "empty": ""}, {"umlaut": "grün"}):
        push_to_gateway(address, job="keys/and more", registry=registry(0, 0), grouping_key=key)
    delete_from_gateway(address, job="keys/and more", grouping_key={"path": "/var/tmp"})


def fail(address):
    """A push that contradicts a stored type raises, and the reason can be read."""
    other = CollectorRegistry()
    Gauge("py_jobs_total", "No gauge.", ["worker"], registry=other).labels("0").set(1)
    try:
        push_to_gateway(address, job="other", registry=other)
    except HTTPError as error:
        assert error.code == 400, error.code
        assert "py_jobs_total" in error.read().decode(), "the reason names the metric"
    else:
        raise AssertionError("the push was accepted")


if __name__ == "__main__":
    push_at_once(sys.argv[1])
    use_strange_keys(sys.argv[1])
    fail(sys.argv[1])
