"""What the store takes on disk while the same series are overwritten."""

import os
import statistics
import threading
import time
from dataclasses import dataclass

import load
import payloads
import scrape
from measure import MIB, Outcome, Verdict

SERIES = 10_000
SAMPLE_SECONDS = 1
TIMES_LIVE = 8
SLACK_BYTES = 64_000_000
# What counts as no growth in the second half of the time: the spread of what a store takes from one moment to the next.
GROWTH_AT_MOST = 0.05


def run(bench):
    seconds = 20 if bench.quick else 300
    found = [_once(bench, engine, seconds) for engine in bench.engines]
    live, rates = found[0].live, " and ".join(f"{one.rate:,.0f}" for one in found)
    allowed = TIMES_LIVE * live + SLACK_BYTES
    verdicts = []
    for one in found:
        verdicts += [
            Verdict(f"{one.name}: largest store", max(one.samples) / MIB, "at most", round(allowed / MIB, 1), " MiB", 1),
            Verdict(f"{one.name}: growth of the store in the second half", one.growth * 100, "at most",
                    GROWTH_AT_MOST * 100, " %", 1),
        ]
    return Outcome(
        "Disk",
        f"The same {SERIES:,} counters in 10 groups are overwritten at full speed for {seconds} seconds, by pushes of "
        f"1,000 lines ({rates} per second). Live data are the bytes in which a scrape shows them, {live / MIB:.1f} MiB; so "
        f"{allowed / MIB:.1f} MiB are allowed. Growth is that of the straight line that fits the second half of the time "
        "best, from its begin to its end; up to 5 % is the spread between two moments.",
        [[("server", "largest", "at 0 %", "25 %", "50 %", "75 %", "100 % of the time"),
          *((one.name, *(f"{value / MIB:,.1f} MiB" for value in (max(one.samples), *one.ends))) for one in found)]],
        verdicts,
    )


@dataclass(frozen=True)
class _Found:
    """What one engine took while it was overwritten: bytes in samples, a second apart."""

    name: str
    live: int
    rate: float
    samples: list

    @property
    def growth(self):
        """By the least squares, as a share of what it took in the middle of the second half."""
        half = self.samples[len(self.samples) // 2 :]
        slope, begin = statistics.linear_regression(range(len(half)), half)
        return slope * len(half) / (begin + slope * len(half) / 2)

    @property
    def ends(self):
        """At the begin and at the end of each quarter."""
        last = len(self.samples) - 1
        return [self.samples[last * part // 4] for part in range(5)]


def _once(bench, engine, seconds):
    server = bench.ours(engine=engine)
    body = payloads.counters(payloads.SERIES_PER_GROUP)
    plan = bench.plan("overwrite", payloads.groups(SERIES // payloads.SERIES_PER_GROUP, body))
    load.fill(server, plan.pushes)
    exposition = os.path.join(bench.scratch, "live.txt")
    scrape.save(server, exposition)
    live = os.path.getsize(exposition)
    outcome, samples = _watch(bench, server, plan, seconds)
    name = server.name
    bench.stable.clear()
    return _Found(name, live, outcome.rate, samples)


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
