"""Medium pushes that go around 1,000 groups, against the same into one."""

import payloads
from measure import CONNECTIONS_MIN, Arm, Outcome, Verdict, check_count, rate_text, ratio, ratios, take_turns

from .medium import COUNTED

GROUPS = 1_000
AT_LEAST = 0.8


def run(bench):
    body = payloads.medium()
    one = bench.plan("one", [payloads.Push(payloads.path(0), body)])
    many = bench.plan("many", payloads.groups(GROUPS, body))
    arms = []
    for mark, engine, flags in bench.ways_to_store():
        for name, plan in (("one group", one), ("1,000 groups", many)):
            server = bench.ours(*flags, engine=engine)
            arms.append(Arm(f"{server.name}{mark}, {name}", server, plan, bench.connections))
    ours = list(arms)
    for checked in (False, True):
        server = bench.stable.pushgateway(checked)
        server.start()
        # More connections slow it down until it answers some of them too late.
        arms.append(Arm(f"{server.name}, 1,000 groups", server, many, CONNECTIONS_MIN))
    take_turns(arms, bench.rounds_compared, bench.seconds)
    for arm in ours:
        check_count(arm.server, payloads.MEDIUM_FAMILY, [arm], COUNTED)
    bench.stable.clear()
    *durable, unwritten_one, unwritten_many = ours
    verdicts = [
        Verdict.of_rounds(f"{around.server.name}: 1,000 groups against one", ratios(around, single), "at least", AT_LEAST)
        for single, around in zip(durable[::2], durable[1::2])
    ]
    rows = [(arm.name, rate_text(arm.rate)) for arm in arms]
    return Outcome(
        "Medium pushes over 1,000 groups",
        f"The medium push goes around 1,000 groups, so {GROUPS * 110:,} series are stored. Pushes per second at enough "
        f"connections, of Pushgateway over {CONNECTIONS_MIN}, since more slow it down; the last row is "
        f"{arms[-1].server.name} as it is by default, which looks at all that is stored. "
        "Against one group there is more to do: the state of 1,000 groups is in no cache of the processor, and a commit "
        "writes a page for each of its pushes, where it writes one for all that go to a single group.",
        [[("server", "pushes per second"), *rows]],
        verdicts,
        notes=[
            "With `--persistence.durability=none`, where nothing is written, 1,000 groups reach "
            f"{ratio(unwritten_many, unwritten_one):.2f} of one: what is left of that is what storing another page for each "
            "push may cost."
        ],
    )
