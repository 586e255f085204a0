"""The cases, in the order in which they run. Each is a module with `run(bench)`, which gives an `Outcome`."""

from . import disk, durability, family, groups, latency, medium, memory, scraping, small, start, stored, wrong_passwords

ALL = {
    "small": small,
    "medium": medium,
    "groups": groups,
    "family": family,
    "durability": durability,
    "stored": stored,
    "latency": latency,
    "wrong_passwords": wrong_passwords,
    "scrape": scraping,
    "memory": memory,
    "start": start,
    "disk": disk,
}
