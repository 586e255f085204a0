"""Scrapes of everything: the first, again, and again after a little has changed."""

import os
import signal

import load
import scrape
from measure import MIB, Outcome, Verdict, median

AT_LEAST_OF_PUSHGATEWAY = 12
AT_MOST_OF_BUFFER = 2
REPEATS = 3


def run(bench):
    ours, theirs = bench.ours(), bench.stable.pushgateway(False)
    theirs.start()
    load.fill(ours, bench.groups())
    load.fill(theirs, bench.groups())
    # Nothing may have been scraped yet before the first scrape, so lines are counted afterwards.
    times = {"first": [], "their first": [], "their again": [], "again": [], "changed": [], "longer": [], "buffer": []}
    bare, lines, value = None, {}, 1
    for turn in range(bench.rounds):
        if turn > 0:
            _restart(ours, signal.SIGKILL)
            _restart(theirs, signal.SIGTERM)
        times["first"].append(scrape.discard(ours).seconds)
        times["their first"].append(scrape.discard(theirs).seconds)
        times["their again"].append(scrape.discard(theirs).seconds)
        if bare is None:
            file = os.path.join(bench.scratch, "scrape.txt")
            lines = {"ours": scrape.save(ours, file), "theirs": scrape.samples(theirs)}
            bare = bench.stable.bare(file)
            bare.start()
        for _ in range(REPEATS):
            times["again"].append(scrape.discard(ours).seconds)
            times["buffer"].append(scrape.discard(bare).seconds)
            # One digit more each time: the text of a value that takes the place of another is longer then.
            for key, added in (("longer", 10 ** len(str(value)) - value), ("changed", 1)):
                load.fill(ours, bench.groups(added)[: bench.stored // 100_000])
                value += added
                times[key].append(scrape.discard(ours).seconds)
                times["buffer"].append(scrape.discard(bare).seconds)
    took = {key: median(values) for key, values in times.items()}
    _check(bench, lines)
    name, bytes_shown = ours.name, os.path.getsize(os.path.join(bench.scratch, "scrape.txt"))
    bench.stable.clear()
    return _outcome(bench, name, theirs.name, took, lines, bytes_shown)


def _restart(server, how):
    server.stop(how)
    server.start()


def _check(bench, lines):
    for name, count in lines.items():
        if count < bench.stored:
            raise RuntimeError(f"a scrape of {name} shows {count:,} samples of {bench.stored:,}")


def _outcome(bench, name, their_name, took, lines, bytes_shown):
    speed = lines["ours"] / took["first"]
    their_speed = lines["theirs"] / took["their first"]
    rows = [
        ("scrape", "seconds", "lines per second"),
        (f"{name}, first", f"{took['first']:.3f}", f"{speed:,.0f}"),
        (f"{name}, nothing changed", f"{took['again']:.3f}", f"{lines['ours'] / took['again']:,.0f}"),
        (f"{name}, 1 % changed", f"{took['changed']:.3f}", f"{lines['ours'] / took['changed']:,.0f}"),
        (f"{name}, 1 % changed to longer values", f"{took['longer']:.3f}", f"{lines['ours'] / took['longer']:,.0f}"),
        ("bare axum, the same bytes from a buffer", f"{took['buffer']:.3f}", f"{lines['ours'] / took['buffer']:,.0f}"),
        (f"{their_name}, first", f"{took['their first']:.3f}", f"{their_speed:,.0f}"),
        (f"{their_name}, again", f"{took['their again']:.3f}", f"{lines['theirs'] / took['their again']:,.0f}"),
    ]
    return Outcome(
        f"Scrapes of {bench.stored:,} series",
        f"Uncompressed text, {bytes_shown / MIB:,.0f} MiB, read to its end by a client that throws it away; "
        f"{lines['ours']:,} lines from {name}, {lines['theirs']:,} from {their_name}, TYPE and HELP not counted. The "
        "first is the first since the process started. Between two scrapes nothing is pushed, or 1 % of the groups "
        "are pushed again, whole; their values have as many digits as before, or one more.",
        [rows],
        [Verdict(f"{name}: first scrape, lines per second against Pushgateway", speed / their_speed, "at least",
                 AT_LEAST_OF_PUSHGATEWAY, " x", 1),
         Verdict(f"{name}: unchanged scrape against the same bytes from a buffer", took["again"] / took["buffer"],
                 "at most", AT_MOST_OF_BUFFER, " x"),
         Verdict(f"{name}: scrape after 1 % changed against the same bytes from a buffer",
                 max(took["changed"], took["longer"]) / took["buffer"], "at most", AT_MOST_OF_BUFFER, " x")],
    )
