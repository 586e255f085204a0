"""One sample in each push, one group."""

import payloads
from measure import Outcome, Verdict, ratio, ratios
from servers import BARE, SYNCED

from . import one_group

AT_LEAST = 0.75


def run(bench):
    synced = bench.stable.synced()
    table, enough, ours = one_group.compare(
        bench, "small", payloads.small(), payloads.SMALL_FAMILY, 1, also=[synced]
    )
    of_synced = ", ".join(f"{name} {ratio(enough[name], enough[SYNCED]):.2f} of it" for name in ours)
    return Outcome(
        "Small pushes, one group",
        "One counter sample with its TYPE line, 71 bytes, again and again into one group. Pushes per second. The bare "
        "server, synced, shows what it takes that an answer is durable, whatever else is done: one thread writes the bodies "
        "that wait to a file, syncs it once and lets their answers go, and nothing is read, added or found again.",
        [table],
        [Verdict.of_rounds(f"{name}: small pushes against the bare server", ratios(enough[name], enough[BARE]), "at least",
                           AT_LEAST) for name in ours],
        notes=[f"Synced, the bare server reaches {ratio(enough[SYNCED], enough[BARE]):.2f} of what it does; {of_synced}."],
    )
