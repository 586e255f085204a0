"""What the store takes on disk while the same series are overwritten."""

import os
import threading
import time

import load
import payloads
import scrape
from measure import MIB, Outcome, Verdict

SERIES = 10_000
SAMPLE_SECONDS = 1
TIMES_LIVE = 8
SLACK_BYTES = 64 * MIB
# What counts as no growth: the spread of what a store takes from one moment to the next.
GROWTH_AT_MOST = 0.05


def run(bench):
    seconds = 20 if bench.quick else 300
    # One engine only: this case takes longer than all others together.
    server = bench.ours()
    body = payloads.counters(payloads.SERIES_PER_GROUP)
    plan = bench.plan("overwrite", payloads.groups(SERIES // payloads.SERIES_PER_GROUP, body))
    load.fill(server, plan.pushes)
    exposition = os.path.join(bench.scratch, "live.txt")
    scrape.save(server, exposition)
    live = os.path.getsize(exposition)
    outcome, samples = _watch(bench, server, plan, seconds)
    name = server.name
    bench.stable.clear()
    quarter = len(samples) // 4
    third, last = samples[2 * quarter : 3 * quarter], samples[3 * quarter :]
    growth = sum(last) / len(last) / (sum(third) / len(third)) - 1
    allowed = TIMES_LIVE * live + SLACK_BYTES
    ends = [samples[min(len(samples) - 1, quarter * part)] for part in range(5)]
    return Outcome(
        "Disk",
        f"The same {SERIES:,} counters in 10 groups are overwritten at full speed for {seconds} seconds, by pushes of "
        f"1,000 lines ({outcome.rate:,.0f} per second). Live data are the bytes in which a scrape shows them, "
        f"{live / MIB:.1f} MiB; so {allowed / MIB:.0f} MiB are allowed. Growth is what the store takes on average in "
        "the last quarter of the time, against the quarter before; up to 5 % is the spread between two moments.",
        [[("server", "largest", "at 0 %", "25 %", "50 %", "75 %", "100 % of the time"),
          (name, *(f"{value / MIB:,.0f} MiB" for value in (max(samples), *ends)))]],
        [Verdict(f"{name}: largest store", max(samples) / MIB, "at most", round(allowed / MIB), " MiB", 0),
         Verdict(f"{name}: growth of the store in the second half", growth * 100, "at most", GROWTH_AT_MOST * 100,
                 " %", 1)],
    )


def _watch(bench, server, plan, seconds):
    samples, ended = [], threading.Event()

    def sample():
        while not ended.is_set():
            samples.append(server.stored_bytes())
            ended.wait(SAMPLE_SECONDS)

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        outcome = load.blast(server, plan, bench.connections, seconds)
    finally:
        ended.set()
        watcher.join()
    time.sleep(SAMPLE_SECONDS)
    samples.append(server.stored_bytes())
    return outcome, samples
