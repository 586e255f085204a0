#!/usr/bin/env python3
"""Runs the comparison side by side and tells every target as met or missed. See `--help` and docs/benchmarks.md."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import build
import cases
import load
import plot
import report
import system
from measure import Bench

ENGINES = ("sled", "redb")
ENGINE_FLAG = "--persistence.engine"
PAGE, PICTURE = "benchmarks.md", "benchmarks.svg"
# In memory a sync costs nothing, and every figure about durability would be a lie.
MEMORY_FILESYSTEMS = ("tmpfs", "ramfs")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round with a tenth of the series")
    parser.add_argument("--only", action="append", choices=list(cases.ALL), metavar="NAME",
                        help=f"run this case only; may be given several times: {', '.join(cases.ALL)}")
    parser.add_argument("--engine", action="append", choices=ENGINES,
                        help="measure with this engine; may be given several times, the first one runs in every case "
                        "(default: sled, then redb)")
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="how often rates that are compared take turns (default: 5); more on a restless machine")
    parser.add_argument("--scratch", help="directory for stores and payloads (default: where cargo builds)")
    parser.add_argument("--output", help=f"directory for {PAGE} and {PICTURE} (default: docs, for a full run)")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    system.install_tools()
    programs = build.build()
    revision = build.revision()
    engines, skipped = usable_engines(programs, options.engine or list(ENGINES))
    parent = options.scratch or build.target_directory()
    if system.filesystem(parent) in MEMORY_FILESYSTEMS:
        raise system.Missing(f"{parent} is in memory; name a directory on a disk with --scratch")
    scratch = tempfile.mkdtemp(prefix="bench-", dir=parent)
    try:
        bench = Bench(programs, scratch, options.quick, engines, options.rounds)
        try:
            outcomes = run_cases(bench, options.only or list(cases.ALL))
        finally:
            bench.stable.clear()
        facts = {"Tallygate": revision, **system.facts(scratch)}
    finally:
        shutil.rmtree(scratch)
    show(outcomes, skipped)
    write(options, bench, facts, outcomes, skipped)
    missed = sum(not verdict.met for outcome in outcomes for verdict in outcome.verdicts)
    print(f"\n{missed} of the targets MISSED" if missed else "\nevery target met")
    # A quick run tells whether the cases work, not whether the targets are met.
    return 1 if missed and not options.quick else 0


def usable_engines(programs, wanted):
    """The engines that this build has, and lines about those that it has not."""
    if build.has_flag(programs.tallygate, ENGINE_FLAG):
        return wanted, []
    others = [engine for engine in wanted if engine != "sled"]
    skipped = [f"Not measured: {engine}, since this build has no {ENGINE_FLAG}." for engine in others]
    if "sled" not in wanted:
        raise system.Missing(skipped[0])
    return ["sled"], skipped


def run_cases(bench, names):
    bench.find_connections()
    print(f"fdatasync {bench.sync * 1_000:.3f} ms, bare server {bench.bare_rate:,.0f}/s, "
          f"so {bench.connections} connections")
    outcomes = []
    for name in names:
        start = time.monotonic()
        print(f"\n{name} ...", flush=True)
        outcome = cases.ALL[name].run(bench)
        for table in outcome.tables:
            print(report.plain(table))
        for note in outcome.notes:
            print(note)
        print(f"({time.monotonic() - start:.0f} s)", flush=True)
        outcomes.append(outcome)
    return outcomes


def show(outcomes, skipped):
    print()
    print(report.plain([report.VERDICT_HEADINGS, *report.verdict_rows(outcomes)]))
    for line in skipped:
        print(line)


def write(options, bench, facts, outcomes, skipped):
    """A part of the cases, or a quick run, does not replace the page of a full run unless a place is named."""
    directory = options.output
    if directory is None:
        if options.quick or options.only or options.engine:
            return
        directory = os.path.join(build.ROOT, "docs")
    curves = next((outcome.curves for outcome in outcomes if outcome.curves), None)
    if curves:
        with open(os.path.join(directory, PICTURE), "w", encoding="utf-8") as file:
            file.write(plot.svg(curves))
    with open(os.path.join(directory, PAGE), "w", encoding="utf-8") as file:
        file.write(report.markdown(bench, facts, outcomes, PICTURE if curves else None, skipped))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
    except (system.Missing, load.Refused) as error:
        sys.exit(f"bench: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {' '.join(error.cmd)} failed")
