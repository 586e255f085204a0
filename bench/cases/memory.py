"""What a stored series takes in memory."""

import time

import load
import payloads
import scrape
from measure import MIB, Outcome, Verdict, median

AT_MOST_BYTES = 300
SETTLE_SECONDS = 2


def run(bench):
    rows, verdicts = [("server", "just started", "after load", "at the end", "bytes per series")], []
    for engine in bench.engines:
        found = [_once(bench, engine) for _ in range(bench.rounds)]
        name, before, loaded, after = found[0][0], *(median(values) for values in list(zip(*found))[1:])
        per_series = (after - before) / bench.stored
        rows.append((name, *(f"{value / MIB:,.0f} MiB" for value in (before, loaded, after)), f"{per_series:.0f}"))
        verdicts.append(Verdict(f"{name}: memory per stored series", per_series, "at most", AT_MOST_BYTES, " B", 0))
    return Outcome(
        "Memory",
        f"Resident memory with {bench.stored:,} counters of 4 labels in {bench.stored // payloads.SERIES_PER_GROUP:,} "
        "groups: just started, after all were pushed, and after two scrapes and two more pushes of everything "
        f"({SETTLE_SECONDS} seconds later each time). The growth from the first to the last, divided by the series.",
        [rows],
        verdicts,
    )


def _once(bench, engine):
    server = bench.ours(engine=engine)
    before = _settled(server)
    pushes = bench.groups()
    load.fill(server, pushes)
    loaded = _settled(server)
    scrape.discard(server)
    load.fill(server, pushes)
    scrape.discard(server)
    load.fill(server, pushes)
    after = _settled(server)
    name = server.name
    bench.stable.clear()
    return name, before, loaded, after


def _settled(server):
    time.sleep(SETTLE_SECONDS)
    return server.resident_bytes()
