"""Pushes with prometheus_client: push.py URL MODE [OPTION=VALUE]...

The modes are text, gzip and snappy. The options: user and password; cert, key and ca, for a client certificate. Each
line of the output says as JSON what was done; tests/it/clients.rs knows what must come of it.
"""

import json
import sys
from functools import partial
from urllib.error import HTTPError

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client import delete_from_gateway, push_to_gateway, pushadd_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler, tls_auth_handler

URL, MODE = sys.argv[1:3]
OPTIONS = dict(option.split("=", 1) for option in sys.argv[3:])

# A slash, a space and nothing go as base64, the umlaut as percent-encoding.
KEYS = [
    {"job": "keys/and more", "path": "/var/tmp"},
    {"job": "keys/and more", "empty": "", "name": "with space"},
    {"job": "keys/and more", "city": "Köln"},
]


def say(did, **more):
    print(json.dumps({"did": did, **more}, ensure_ascii=False), flush=True)


def written(group):
    return ",".join(f"{name}={value}" for name, value in group.items())


def handler():
    if "cert" in OPTIONS:
        return partial(
            tls_auth_handler, certfile=OPTIONS["cert"], keyfile=OPTIONS["key"], cafile=OPTIONS["ca"]
        )
    if "user" in OPTIONS:
        return partial(basic_auth_handler, username=OPTIONS["user"], password=OPTIONS["password"])
    return default_handler


def split(group):
    """A group as the client takes it: the job, and the rest of the grouping key."""
    rest = dict(group)
    return {"gateway": URL, "job": rest.pop("job"), "grouping_key": rest, "handler": handler()}


def job(jobs, last, seconds, size):
    """What one short-lived job has to tell."""
    own = CollectorRegistry()
    Counter("client_jobs", "Jobs.", ["kind"], registry=own).labels("full").inc(jobs)
    Gauge("client_last", "The newest.", registry=own).set(last)
    histogram = Histogram("client_seconds", "Durations.", buckets=(0.5, 1, 5), registry=own)
    for value in seconds:
        histogram.observe(value)
    Summary("client_sizes", "Sizes.", registry=own).observe(size)
    return own


def merge(group):
    """Pushes two jobs to a group, with each of the two methods."""
    compression = None if MODE == "text" else MODE
    push_to_gateway(**split(group), registry=job(2, 7, (0.25, 2), 8), compression=compression)
    pushadd_to_gateway(**split(group), registry=job(3.5, 4, (0.75, 8), 16), compression=compression)
    say("merged", group=written(group))


def be_refused():
    """Pushes a histogram under the name of the gauge."""
    own = CollectorRegistry()
    Histogram("client_last", "No gauge.", registry=own).observe(1)
    try:
        push_to_gateway(**split({"job": "refused"}), registry=own)
    except HTTPError as error:
        say("refused", said=f"{error.code} {error.read().decode()}")


def delete(group):
    delete_from_gateway(**split(group))
    say("deleted", group=written(group))


merge({"job": MODE})
be_refused()
for key in KEYS:
    merge(key)
merge({"job": "gone"})
delete({"job": "gone"})
