"""One sample in each push, one group."""

import payloads
from measure import Outcome, Verdict, ratio
from servers import BARE

from . import one_group

AT_LEAST = 0.75


def run(bench):
    table, enough, ours = one_group.compare(bench, "small", payloads.small(), payloads.SMALL_FAMILY, 1)
    return Outcome(
        "Small pushes, one group",
        "One counter sample with its TYPE line, 71 bytes, again and again into one group. Pushes per second.",
        [table],
        [Verdict(f"{name}: small pushes against the bare server", ratio(enough[name], enough[BARE]), "at least", AT_LEAST)
         for name in ours],
        notes=[one_group.durable_at_best(enough, ours)],
    )
