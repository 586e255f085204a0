"""The same hot 1,000 series pushed while more and more is stored."""

import signal

import load
import payloads
from measure import Arm, Outcome, Verdict, rate_text, relative_rates, take_turns
from servers import PUSHGATEWAY, UNCHECKED

LEVELS = (1_000, 10_000, 100_000, 1_000_000)
HOT_GROUPS = 10
HOT_SERIES = 1_000
WITHIN = 0.15
# Below this rate Pushgateway is not measured with more: a push would take longer than is sensible to wait.
SLOWEST_RATE = 20


def run(bench):
    levels = [level for level in LEVELS if level <= bench.stored]
    body = payloads.counters(HOT_SERIES // HOT_GROUPS, prefix="hot")
    hot = bench.plan("hot", payloads.groups(HOT_GROUPS, body, job="hot"))
    curves, verdicts = {}, []
    for engine in bench.engines:
        arms = _ours(bench, engine, hot, levels)
        name = arms[0].server.name
        curves[name] = [(level, arm.rate) for level, arm in zip(levels, arms)]
        # What is compared are the stored amounts of ten thousand and more.
        compared = relative_rates([arm for level, arm in zip(levels, arms) if level >= 10_000])
        spread = (max(compared) / min(compared) - 1) * 100
        verdicts.append(Verdict(f"{name}: spread from 10,000 to {levels[-1]:,} stored series", spread, "at most",
                                WITHIN * 100, " %", 1))
        bench.stable.clear()
    notes = _pushgateways(bench, hot, levels, curves)
    return Outcome(
        "The same pushes with more and more stored",
        f"1,000 series in 10 groups are pushed, 100 in each push, while groups of 1,000 series fill the store up to "
        "the amount named. Pushes per second at enough connections, of Pushgateway over 64, since more slow it down; "
        "Tallygate's stores take turns, Pushgateway is measured after them, one amount after the other.",
        [[("stored series", *(f"{level:,}" for level in levels)), *_rows(levels, curves)]],
        verdicts,
        curves,
        notes,
    )


def _ours(bench, engine, hot, levels):
    arms = []
    for level in levels:
        server = bench.ours(engine=engine)
        load.fill(server, hot.pushes + _others(level))
        arms.append(Arm(f"{level:,}", server, hot, bench.connections))
    take_turns(arms, bench.rounds_compared, bench.seconds)
    return arms


def _others(level):
    body = payloads.counters(payloads.SERIES_PER_GROUP)
    return payloads.groups((level - HOT_SERIES) // payloads.SERIES_PER_GROUP, body, job="stored")


def _pushgateways(bench, hot, levels, curves):
    """The store is filled with the check disabled, since it would take hours with it; then it is restarted with it."""
    notes = []
    stopped = set()
    for level in levels:
        server = bench.stable.pushgateway(False)
        server.start()
        load.fill(server, hot.pushes + _others(level))
        _measure(bench, server, hot, level, curves, stopped, notes)
        server.stop(signal.SIGTERM)
        if PUSHGATEWAY not in stopped:
            checked = bench.stable.pushgateway(True, store=server.store)
            checked.start()
            _measure(bench, checked, hot, level, curves, stopped, notes)
        bench.stable.clear()
        if {PUSHGATEWAY, UNCHECKED} <= stopped:
            break
    return notes


def _measure(bench, server, hot, level, curves, stopped, notes):
    if server.name in stopped:
        return
    # A slow one needs fewer connections to be busy, and would take minutes to answer all of many.
    arm = Arm(server.name, server, hot, min(bench.connections, 64))
    take_turns([arm], bench.rounds, bench.seconds)
    curves.setdefault(server.name, []).append((level, arm.rate))
    if arm.rate < SLOWEST_RATE:
        stopped.add(server.name)
        notes.append(f"{server.name} was stopped after {level:,} stored series, at {rate_text(arm.rate)} per second.")


def _rows(levels, curves):
    for name, points in curves.items():
        by_level = dict(points)
        yield (name, *(rate_text(by_level[level]) if level in by_level else "not measured" for level in levels))
