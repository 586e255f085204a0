"""What it costs that a push is on disk before it is acknowledged."""

import payloads
from measure import Arm, Outcome, Verdict, check_count, rate_text, ratios, take_turns

from .medium import COUNTED

AT_LEAST = 0.8
KINDS = (
    ("small", payloads.small, payloads.SMALL_FAMILY, 1),
    ("medium", payloads.medium, payloads.MEDIUM_FAMILY, COUNTED),
)


def run(bench):
    tables, verdicts = [("server", "push", "always", "none")], []
    for engine in bench.engines:
        for kind, body, family, per_push in KINDS:
            plan = bench.plan(f"durability-{kind}", [payloads.Push(payloads.path(0), body())])
            arms = []
            for durability in ("always", "none"):
                server = bench.ours(f"--persistence.durability={durability}", engine=engine)
                arms.append(Arm(durability, server, plan, bench.connections))
            take_turns(arms, bench.rounds_compared, bench.seconds)
            for arm in arms:
                check_count(arm.server, family, [arm], per_push)
            always, none = arms
            name = always.server.name
            tables.append((name, kind, rate_text(always.rate), rate_text(none.rate)))
            verdicts.append(Verdict.of_rounds(f"{name}: `always` against `none`, {kind} pushes", ratios(always, none),
                                              "at least", AT_LEAST))
            bench.stable.clear()
    return Outcome(
        "The price of durability",
        "`--persistence.durability=always` acknowledges a push once it is on disk, `none` at once. One group, pushes "
        "per second at enough connections.",
        [tables],
        verdicts,
    )
