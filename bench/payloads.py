"""What is pushed. Everything is computed from constants, so that every run pushes the same bytes."""

from dataclasses import dataclass

TYPE = "# TYPE {} counter\n"

# A counter that every kind of push below adds 1 to, by which the pushes that arrived can be counted.
SMALL_FAMILY = "jobs_finished_total"
MEDIUM_FAMILY = "batch_steps_total"

METHODS = ("GET", "PUT", "POST", "HEAD", "DELETE")
CODES = ("200", "302", "404", "500")
ZONES = ("eu-north-1a", "eu-west-1b", "us-east-2c", "us-west-2a", "ap-south-1b")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")

SERIES_PER_FAMILY = 100
SERIES_PER_GROUP = 1_000


@dataclass(frozen=True)
class Push:
    """One request: where to, and what."""

    path: str
    body: bytes


def path(number, job="bench"):
    """The path of a group; all groups of a job have the same labels and different values."""
    return f"/metrics/job/{job}/instance/host-{number:04d}"


def small():
    """One sample with its TYPE line."""
    return (TYPE.format(SMALL_FAMILY) + f'{SMALL_FAMILY}{{queue="mail"}} 1\n').encode()


def medium():
    """50 counters and 5 histograms of 12 buckets: 110 series if a bucket counts as one, 7.8 KB."""
    lines = []
    for family in range(5):
        name = MEDIUM_FAMILY if family == 0 else f"batch_{('rows', 'bytes', 'retries', 'errors')[family - 1]}_total"
        lines.append(TYPE.format(name))
        for step in range(10):
            value = 1 if family == 0 else (family * 7919 + step * 104729) % 100_000
            labels = f'step="step-{step:02d}",status="{CODES[step % 4]}",zone="{ZONES[family]}"'
            lines.append(f"{name}{{{labels}}} {value}\n")
    for number, stage in enumerate(("read", "parse", "check", "write", "send")):
        name = f"batch_{stage}_seconds"
        labels = f'endpoint="/{stage}"'
        lines.append(f"# TYPE {name} histogram\n")
        for rank, bound in enumerate(BOUNDS):
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {rank * 3 + number}\n')
        lines.append(f"{name}_sum{{{labels}}} {(number + 1) * 1.37:.4f}\n")
        lines.append(f"{name}_count{{{labels}}} {(len(BOUNDS) - 1) * 3 + number}\n")
    return "".join(lines).encode()


def counters(count, prefix="requests", value=1, mark=""):
    """`count` counters with four labels each, in families of 100, all of this value. `mark` stands in a label of each."""
    lines = []
    for number in range(count):
        family, within = divmod(number, SERIES_PER_FAMILY)
        name = f"{prefix}_{family:02d}_total"
        if within == 0:
            lines.append(TYPE.format(name))
        handler, code = divmod(within, len(CODES))
        lines.append(
            f'{name}{{code="{CODES[code]}",handler="/api/v1/{mark}items/{handler:02d}",'
            f'method="{METHODS[handler % 5]}",zone="{ZONES[handler // 5]}"}} {value}\n'
        )
    return "".join(lines).encode()


def groups(count, body, job="bench"):
    """The same body for each of `count` groups."""
    return [Push(path(number, job), body) for number in range(count)]


def wide_family(series, per_push):
    """One family of `series` series in one group, as pushes of `per_push` lines, to fill the store."""
    lines = [_wide_line(number) for number in range(series)]
    starts = range(0, series, per_push)
    head = TYPE.format(SMALL_FAMILY)
    return [Push(path(0), (head + "".join(lines[at : at + per_push])).encode()) for at in starts]


def wide_samples(series, count):
    """`count` different single samples of the family above, in a scattered order."""
    step = series // count
    # 7,919 is prime, so that all numbers below `count` come up, each once, unless it divides `count`.
    numbers = [(turn * 7_919 % count) * step for turn in range(count)]
    head = TYPE.format(SMALL_FAMILY)
    return [Push(path(0), (head + _wide_line(number)).encode()) for number in numbers]


def _wide_line(number):
    return f'{SMALL_FAMILY}{{queue="q{number:06d}"}} 1\n'
