"""Shows what was found: the table of verdicts on the terminal, and the whole as Markdown."""

import datetime

INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which builds Tallygate and a bare axum server (`benches/bare_axum.rs`: it reads the body and
answers 200, at once or, where that is said, when the body is on disk), and runs them beside Debian's Pushgateway on one
machine. Load comes from the same machine: `wrk -t1` pushes as fast as it can, a client of our own pushes at a fixed
rate. Rates are the median of {rounds}; those that are compared with each other have taken
turns, and each case starts servers of its own, so compare within a case. What takes long was measured once: the disk,
the fastest rate of a latency, the sync of the disk. Compare ratios, not figures: they belong to the machine. Where the
rates of two that took turns are compared, the ratio is the median of those of each round, so it may differ a little from
that of the medians.

Repeat it with `make bench` (about half an hour; it needs Python 3 and, as root, installs what is missing from Debian), or
look at one part with `make bench ARGS="--only scrape"`. `make bench ARGS="--quick"` checks in a few minutes that every
case runs; its figures mean little. `--rounds 15` lets the rates that are compared take more turns, where "in single
rounds" lies far apart.
"""

SETTING = """\
## Setting

{facts}

Tallygate runs as it does by default, with every push on disk before it is acknowledged, but logs warnings alone. Where
the engine of its store matters both are measured: sled, which is the default, and redb. Pushgateway runs with a
persistence file, once as it is by default and once with its consistency check disabled; it acknowledges before
anything is on disk, and with its check disabled before the push was applied.

An fdatasync after 4 KiB took {sync:.2f} ms in the store's directory, and the bare server answered {bare:,.0f} small
pushes per second. "Enough connections", at which the disk's sync is not the bound, are at least four times as many as
the bare server answers during one sync, and no fewer than 64: {needed:,}. It is {connections:,} that are used, which keep
the processors busy besides.
"""

VERDICT_HEADINGS = ("what", "measured", "in single rounds", "target", "")


def verdict_rows(outcomes):
    for outcome in outcomes:
        for verdict in outcome.verdicts:
            met = "met" if verdict.met else "MISSED"
            yield (verdict.what, verdict.figure_text, verdict.rounds_text, verdict.target_text, met)


def plain(rows):
    """Rows in columns for a terminal."""
    rows = [tuple(str(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    )


def markdown_table(rows):
    head, *body = rows
    lines = [_markdown_row(head), _markdown_row(["---"] + ["---:"] * (len(head) - 1))]
    return "\n".join(lines + [_markdown_row(row) for row in body])


def _markdown_row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def markdown(bench, facts, outcomes, plot, skipped):
    """The whole page. `plot` is the name of the picture beside it, or None; `skipped` are lines of what is left out."""
    rounds = "one round, in quick mode"
    if bench.rounds > 1:
        rounds = f"{bench.rounds} rounds, of {bench.rounds_compared} for rates at enough connections"
    facts = dict(facts, date=datetime.date.today().isoformat())
    parts = [
        INTRODUCTION.format(rounds=rounds),
        SETTING.format(
            facts=markdown_table([("", ""), *facts.items()]),
            sync=bench.sync * 1_000,
            bare=bench.bare_rate,
            needed=bench.connections_needed,
            connections=bench.connections,
        ),
        "## Against the targets\n",
        markdown_table([VERDICT_HEADINGS, *verdict_rows(outcomes)]) + "\n",
    ]
    parts += [f"{line}\n" for line in skipped]
    for outcome in outcomes:
        parts += [f"## {outcome.title}\n", outcome.prose + "\n"]
        parts += [markdown_table(table) + "\n" for table in outcome.tables]
        parts += [note + "\n" for note in outcome.notes]
        if outcome.curves and plot:
            parts.append(f"![Pushes per second against stored series]({plot})\n")
    return "\n".join(parts)
