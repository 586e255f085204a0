"""What the cases share: the settings of the run, rounds of servers in turn, and the form of an outcome."""

import math
import resource
import statistics
from dataclasses import dataclass, field

import load
import payloads
import scrape
import system
from servers import Stable

CONNECTIONS_MIN = 64
# So many keep the processors of the servers busy also where a sync takes next to no time.
CONNECTIONS_ENOUGH_MIN = 256
# More connections than this need a higher limit than the one that a server has by default.
CONNECTIONS_DEFAULT_LIMIT = 900
MIB = 1 << 20


class Bench:
    """The settings of a run, and what it made."""

    def __init__(self, programs, scratch, quick, engines, rounds_compared=None):
        self.programs = programs
        self.scratch = scratch
        self.quick = quick
        # Those to measure; the first one is measured in every case.
        self.engines = engines
        self.rounds = 1 if quick else 3
        # Where rates at enough connections are compared: they change more than others from one moment to the next.
        self.rounds_compared = rounds_compared or (1 if quick else 5)
        # Of one run at full speed.
        self.seconds = 1 if quick else 2
        self.stored = 100_000 if quick else 1_000_000
        self.stable = Stable(programs, scratch)
        self.sync = system.sync_seconds(scratch)
        # The fewest at which the disk's sync is not the bound, and those that are used.
        self.connections_needed = CONNECTIONS_MIN
        self.connections = CONNECTIONS_MIN
        self.bare_rate = 0.0
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def find_connections(self):
        """Enough connections that the disk's sync is not the bound: at least four times as many as the bare server
        would answer during one sync."""
        bare = self.stable.bare()
        bare.start()
        plan = self.plan("probe", [payloads.Push(payloads.path(0), payloads.small())])
        self.bare_rate = load.blast(bare, plan, CONNECTIONS_MIN, self.seconds).rate
        self.connections_needed = max(CONNECTIONS_MIN, math.ceil(4 * self.bare_rate * self.sync))
        self.connections = max(CONNECTIONS_ENOUGH_MIN, self.connections_needed)
        self.stable.clear()

    def plan(self, name, pushes):
        return load.Plan(self.scratch, name, pushes)

    def ours(self, *flags, engine=None):
        if self.connections > CONNECTIONS_DEFAULT_LIMIT:
            flags = (*flags, f"--limit.connections={2 * self.connections}")
        server = self.stable.ours(*flags, engine=engine or self.engines[0])
        server.start()
        return server

    def ways_to_store(self):
        """Each engine, and the first one with nothing written: a mark for the name, the engine, and its flags."""
        durable = [("", engine, ()) for engine in self.engines]
        return [*durable, (", nothing written", self.engines[0], ("--persistence.durability=none",))]

    def groups(self, value=1, alike=True):
        """The groups of 1,000 series each that stand for what is stored, all of this value. Unless they are alike, one
        label of each series has a value that is in no other group."""
        def body(mark=""):
            return payloads.counters(payloads.SERIES_PER_GROUP, value=value, mark=mark)

        count = self.stored // payloads.SERIES_PER_GROUP
        if alike:
            return payloads.groups(count, body(), job="stored")
        return [payloads.Push(payloads.path(group, "stored"), body(f"{group:04d}/")) for group in range(count)]


@dataclass
class Arm:
    """One of those that take turns: a server, what is pushed to it, and over how many connections."""

    name: str
    server: object
    plan: load.Plan
    connections: int
    rates: list = field(default_factory=list)
    pushes: int = 0

    @property
    def rate(self):
        return statistics.median(self.rates)


def take_turns(arms, rounds, seconds):
    """Runs every arm once in each round, so that a slow moment of the machine does not hit one of them only."""
    for _ in range(rounds):
        for arm in arms:
            outcome = load.blast(arm.server, arm.plan, arm.connections, seconds)
            arm.server.wait_until_idle()
            arm.rates.append(outcome.rate)
            arm.pushes += outcome.pushes


def check_count(server, family, arms, per_push=1, already=0):
    """Every push that wrk saw answered is in the sum, once; what was on its way when wrk stopped may be."""
    answered = sum(arm.pushes for arm in arms) * per_push + already
    flying = sum(arm.connections * len(arm.rates) for arm in arms) * per_push
    found = scrape.total(server, family)
    if not answered <= found <= answered + flying:
        raise RuntimeError(
            f"{server.name}: {family} adds up to {found:,.0f}, but {answered:,} were acknowledged "
            f"and at most {flying:,} more were under way"
        )


def ratios(arm, other):
    """What one rate is of the other in each round. Both have taken turns: what the machine does in a round it does to
    both."""
    return [own / others for own, others in zip(arm.rates, other.rates, strict=True)]


def ratio(arm, other):
    """The median of what one rate is of the other in each round."""
    return statistics.median(ratios(arm, other))


def relative_rates(arms):
    """For each arm the median of what its rate is of the mean of all of them in each round."""
    means = [statistics.mean(rates) for rates in zip(*(arm.rates for arm in arms), strict=True)]
    return [statistics.median(rate / mean for rate, mean in zip(arm.rates, means)) for arm in arms]


@dataclass(frozen=True)
class Verdict:
    """A figure against its target. `sense` is "at least" or "at most"."""

    what: str
    figure: float
    sense: str
    target: float
    unit: str = ""
    digits: int = 2
    # The same figure in each round, if `figure` is the median of them.
    rounds: tuple = ()

    @classmethod
    def of_rounds(cls, what, rounds, *target):
        """The median of some rounds, against a target: its sense, its figure, and so on."""
        return cls(what, statistics.median(rounds), *target, rounds=tuple(rounds))

    @property
    def met(self):
        return self.figure >= self.target if self.sense == "at least" else self.figure <= self.target

    @property
    def figure_text(self):
        return f"{self.figure:,.{self.digits}f}{self.unit}"

    @property
    def rounds_text(self):
        if len(self.rounds) < 2:
            return ""
        return f"{min(self.rounds):,.{self.digits}f} to {max(self.rounds):,.{self.digits}f}"

    @property
    def target_text(self):
        return f"{self.sense} {self.target:,g}{self.unit}"


@dataclass
class Outcome:
    """What a case found: prose, tables (each a heading row and its rows) and verdicts."""

    title: str
    prose: str
    tables: list
    verdicts: list
    # For the plot: name -> list of (stored series, pushes per second).
    curves: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def median(values):
    return statistics.median(values)


def latency_table(arms):
    """A row of latencies for each label, whose runs at a fixed rate `arms` has: the medians over them."""
    rows = [("", "p50", "p90", "p99", "p99.9", "largest")]
    for label, runs in arms.items():
        figures = (median([run[key] for run in runs]) for key in ("p50", "p90", "p99", "p999", "max"))
        rows.append((label, *(f"{figure / 1_000:.2f} ms" for figure in figures)))
    return rows


def rate_text(rate):
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
