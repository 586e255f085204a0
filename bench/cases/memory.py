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
    ways = [("", engine, bench.groups()) for engine in bench.engines]
    ways.append((", values of their own in each group", bench.engines[0], bench.groups(alike=False)))
    for mark, engine, pushes in ways:
        found = [_once(bench, engine, pushes) for _ in range(bench.rounds)]
        name, before, loaded, after = found[0][0] + mark, *(median(values) for values in list(zip(*found))[1:])
        per_series = [(end - begin) / bench.stored for _, begin, _, end in found]
        sizes = (f"{value / MIB:,.0f} MiB" for value in (before, loaded, after))
        rows.append((name, *sizes, f"{median(per_series):.0f}"))
        verdicts.append(Verdict.of_rounds(f"{name}: memory per stored series", per_series, "at most", AT_MOST_BYTES, " B", 0))
    return Outcome(
        "Memory",
        f"Resident memory with {bench.stored:,} counters of 4 labels in {bench.stored // payloads.SERIES_PER_GROUP:,} "
        "groups: just started, after all were pushed, and after two scrapes and two more pushes of everything "
        f"({SETTLE_SECONDS} seconds later each time). The growth from the first to the last, divided by the series. The "
        "groups get the same body each, as those of a job do; in the last row one label of each series has values that are "
        "in no other group.",
        [rows],
        verdicts,
    )


def _once(bench, engine, pushes):
    server = bench.ours(engine=engine)
    before = _settled(server)
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
