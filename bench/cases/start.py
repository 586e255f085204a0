"""How long a start takes with much stored."""

import signal

import load
import payloads
import scrape
from measure import MIB, Outcome, Verdict, median

AT_MOST_SECONDS = 3


def run(bench):
    rows, verdicts = [("server", "store", "seconds until ready")], []
    for engine in bench.engines:
        server = bench.ours(engine=engine)
        load.fill(server, bench.groups())
        _check(server, bench.stored)
        times = []
        for _ in range(bench.rounds):
            server.stop(signal.SIGKILL)
            times.append(server.start())
        _check(server, bench.stored)
        rows.append((server.name, f"{server.stored_bytes() / MIB:,.0f} MiB", f"{median(times):.2f}"))
        verdicts.append(Verdict(f"{server.name}: start", median(times), "at most", AT_MOST_SECONDS, " s"))
        bench.stable.clear()
    return Outcome(
        "Start",
        f"{bench.stored:,} series are stored. The process is killed and started again; the time is from the start of "
        "the process until `/-/ready` answers 200. The store's files are in the page cache.",
        [rows],
        verdicts,
    )


def _check(server, stored):
    """The first family of each group, in which every series was pushed once with the value 1, is there whole."""
    expected = stored // payloads.SERIES_PER_GROUP * payloads.SERIES_PER_FAMILY
    found = scrape.total(server, "requests_00_total")
    if found != expected:
        raise RuntimeError(f"{server.name}: requests_00_total adds up to {found:,.0f} instead of {expected:,}")
