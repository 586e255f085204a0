"""One sample into a family that holds 100,000 series."""

import load
import payloads
from measure import Arm, Outcome, Verdict, check_count, rate_text, ratio, ratios, take_turns

SERIES = 100_000
PUSHED = 10_000
PER_PUSH = 10_000
AT_LEAST = 0.9


def run(bench):
    alone = bench.plan("alone", [payloads.Push(payloads.path(0), payloads.small())])
    scattered = bench.plan("scattered", payloads.wide_samples(SERIES, PUSHED))
    arms = []
    for mark, engine, flags in bench.ways_to_store():
        narrow, wide = bench.ours(*flags, engine=engine), bench.ours(*flags, engine=engine)
        load.fill(wide, payloads.wide_family(SERIES, PER_PUSH))
        arms.append(Arm(f"{narrow.name}{mark}, family of 1 series", narrow, alone, bench.connections))
        arms.append(Arm(f"{wide.name}{mark}, family of 100,000 series", wide, scattered, bench.connections))
    take_turns(arms, bench.rounds_compared, bench.seconds)
    for narrow, wide in zip(arms[::2], arms[1::2]):
        check_count(narrow.server, payloads.SMALL_FAMILY, [narrow])
        check_count(wide.server, payloads.SMALL_FAMILY, [wide], already=SERIES)
    bench.stable.clear()
    *durable, unwritten_narrow, unwritten_wide = arms
    return Outcome(
        "One sample into a large family",
        "One group holds one family of 100,000 series. Each push has one sample of it, each time of another one of "
        f"{PUSHED:,} series that lie scattered over the family. Pushes per second at enough connections. "
        "Against a small push there is more to do: each text is another one, so it is parsed and its series looked up; "
        "and each push changes another page, which is copied and written.",
        [[("server", "pushes per second"), *((arm.name, rate_text(arm.rate)) for arm in arms)]],
        [Verdict.of_rounds(f"{narrow.server.name}: one sample into a family of 100,000 series against a small push",
                           ratios(wide, narrow), "at least", AT_LEAST) for narrow, wide in zip(durable[::2], durable[1::2])],
        notes=[
            "With `--persistence.durability=none`, where nothing is written, the one is "
            f"{ratio(unwritten_wide, unwritten_narrow):.2f} of the other: that much is reading, finding and adding."
        ],
    )
