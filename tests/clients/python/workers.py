"""Pushes with the Python client from several processes at once; tests/it/python_client.rs knows what comes of it."""

import gzip
import sys
from multiprocessing import Process

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client import push_to_gateway, pushadd_to_gateway
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


if __name__ == "__main__":
    push_at_once(sys.argv[1])
