"""How long pushes wait while somebody scrapes everything in a loop."""

import os
import subprocess
import sys

import load
import payloads
import scrape
from measure import Outcome, Verdict, latency_table, median

CONNECTIONS = 64
AT_MOST = 3
SHARE_OF_MAXIMUM = 0.1
# That of the threads that write scrapes (src/net/readers.rs).
NICENESS = 10


def run(bench):
    seconds = 3 if bench.quick else 8
    # The second one keeps no text: each of its scrapes is written from nothing, as the first one after a start is.
    server, forgetful = bench.ours(), bench.ours("--limit.kept-bytes=0")
    for one in (server, forgetful):
        load.fill(one, bench.groups())
    plan = bench.plan("paced", [payloads.Push(payloads.path(0), payloads.small())])
    maximum = load.blast(server, plan, bench.connections, bench.seconds).rate
    for one in (server, forgetful):
        one.wait_until_idle()
    rate = max(1, int(maximum * SHARE_OF_MAXIMUM))
    alone, beside, anew, busy, scrapes, scrapes_anew = [], [], [], [], [], []
    for _ in range(bench.rounds):
        alone.append(_paced(bench, server, plan, rate, seconds))
        for one, runs, took in ((server, beside, scrapes), (forgetful, anew, scrapes_anew)):
            with scrape.Scraper(one) as scraper:
                runs.append(_paced(bench, one, plan, rate, seconds))
            took += scraper.scrapes
            one.wait_until_idle()
        with _Busy():
            busy.append(_paced(bench, server, plan, rate, seconds))
    name = server.name
    bench.stable.clear()
    table = latency_table({
        "no scrape": alone, "scraped in a loop": beside, "scraped in a loop, written from nothing": anew,
        "no scrape, busy processors": busy,
    })
    ratio = median([run["p99"] for run in beside]) / median([run["p99"] for run in alone])
    return Outcome(
        "Latency of pushes beside scrapes",
        f"Small pushes at a fixed rate of {rate:,} per second, a tenth of the {maximum:,.0f} that the server took at "
        f"full speed, over {CONNECTIONS} connections, while {bench.stored:,} series are stored; without and with a "
        f"client that scrapes all of them in a loop ({median([one.seconds for one in scrapes]):.2f} s for one scrape), and "
        "drops what it gets without a copy: usually it would be on another machine. In the row after that each scrape is "
        "written from nothing, as the first one after a start is (`--limit.kept-bytes=0`, "
        f"{median([one.seconds for one in scrapes_anew]):.2f} s for one scrape). That keeps all processors busy, at a low "
        "priority; what any other program does to pushes that does the same, the last row shows: nobody scrapes, and "
        "beside the gateway an empty loop runs for each processor, as nice as a scrape. "
        "Latency is counted from the moment at which a push was due, so that a push that could not be sent in time "
        "counts with its wait.",
        [table],
        [Verdict(f"{name}: p99 of pushes beside scrapes against without", ratio, "at most", AT_MOST, " x")],
    )


class _Busy:
    """Keeps every processor busy with nothing, for as long as it is entered."""

    def __enter__(self):
        command = ["nice", "-n", str(NICENESS), sys.executable, "-c", "while True: pass"]
        # In this session, so that they compete with the gateway as its own threads do.
        self._loops = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]

    def __exit__(self, *_):
        for loop in self._loops:
            loop.kill()
            loop.wait()


def _paced(bench, server, plan, rate, seconds):
    return load.paced(bench.programs.paced, server, plan, rate, seconds, CONNECTIONS)
