"""The same push to one group over and over, at 16, 64 and enough connections, against all others."""

import payloads
from measure import Arm, check_count, rate_text, take_turns
from servers import PUSHGATEWAY, UNCHECKED


def compare(bench, name, body, family, per_push, also=()):
    """Gives the table of rates, what each server did at enough connections by its name, and the names of ours. Of a
    Pushgateway it is the best that it did at any, since many connections slow it down. The servers of `also` stand
    beside those that are in every such case."""
    plan = bench.plan(name, [payloads.Push(payloads.path(0), body)])
    levels = sorted({16, 64, bench.connections})
    servers = [bench.ours(engine=engine) for engine in bench.engines]
    ours = list(servers)
    servers += [bench.stable.bare(), *also, bench.stable.pushgateway(False), bench.stable.pushgateway(True)]
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
