"""The same push to one group over and over, at 16, 64 and enough connections, against all others."""

import payloads
from measure import Arm, check_count, rate_text, ratio, take_turns
from servers import BARE, PUSHGATEWAY, SYNCED, UNCHECKED


def compare(bench, name, body, family, per_push):
    """Gives the table of rates, what each server did at enough connections by its name, and the names of ours. Of a
    Pushgateway it is the best that it did at any, since many connections slow it down."""
    plan = bench.plan(name, [payloads.Push(payloads.path(0), body)])
    levels = sorted({16, 64, bench.connections})
    servers = [bench.ours(engine=engine) for engine in bench.engines]
    ours = list(servers)
    servers += [bench.stable.bare(), bench.stable.synced()]
    servers += [bench.stable.pushgateway(False), bench.stable.pushgateway(True)]
    for server in servers[len(ours) :]:
        server.start()
    arms = [Arm(server.name, server, plan, level) for level in levels for server in servers]
    for level in levels:
        rounds = bench.rounds_compared if level == bench.connections else bench.rounds
        take_turns([arm for arm in arms if arm.connections == level], rounds, bench.seconds)
    for server in ours:
        check_count(server, family, [arm for arm in arms if arm.server is server], per_push)
    table = [("server", *(f"{level} connections" for level in levels))]
    for server in servers:
        table.append((server.name, *(rate_text(arm.rate) for arm in arms if arm.server is server)))
    enough = {arm.name: arm for arm in arms if arm.connections == bench.connections}
    for name in (PUSHGATEWAY, UNCHECKED):
        enough[name] = max((arm for arm in arms if arm.name == name), key=lambda arm: arm.rate)
    bench.stable.clear()
    return table, enough, [server.name for server in ours]


def durable_at_best(enough, ours):
    """A note on the server that does nothing but write and sync what it gets: no durable server is faster."""
    against = ", ".join(f"{ratio(enough[name], enough[SYNCED]):.2f} of it by {name}" for name in ours)
    return (
        f"{SYNCED[0].upper()}{SYNCED[1:]}, is the bare server with the least that a durable answer takes: one thread writes the "
        "bodies that wait to a file, syncs it once and lets their answers go. Nothing is parsed, merged or ever read again. "
        f"It reaches {ratio(enough[SYNCED], enough[BARE]):.2f} of the bare server, and {against}."
    )
