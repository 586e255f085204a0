"""110 series in each push, one group."""

import payloads
from measure import Outcome, Verdict, ratios
from servers import BARE, UNCHECKED

from . import one_group

# A push adds 1 to each of this many series of the counted family.
COUNTED = 10
AT_LEAST_OF_BARE = 0.6
AT_LEAST_OF_UNCHECKED = 8


def run(bench):
    table, enough, ours = one_group.compare(bench, "medium", payloads.medium(), payloads.MEDIUM_FAMILY, COUNTED)
    verdicts = []
    for name in ours:
        bare, unchecked = ratios(enough[name], enough[BARE]), enough[name].rate / enough[UNCHECKED].rate
        verdicts += [
            Verdict.of_rounds(f"{name}: medium pushes against the bare server", bare, "at least", AT_LEAST_OF_BARE),
            Verdict(f"{name}: medium pushes against Pushgateway with its check disabled", unchecked, "at least",
                    AT_LEAST_OF_UNCHECKED, " x", 1),
        ]
    return Outcome(
        "Medium pushes, one group",
        "50 counters and 5 histograms of 12 buckets each, 7.8 KB, again and again into one group. Pushes per second. "
        "Ours at enough connections is compared with the best that Pushgateway reached at any.",
        [table],
        verdicts,
    )
