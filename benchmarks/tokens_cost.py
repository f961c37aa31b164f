"""What does it cost that clients are persons with tokens?

A server with a key for tokens and one with --dev, both with all clients connected, are loaded in turn for seconds, at
the same rate, and the other way round in the next pair. The figure is the median over the pairs of the quotient of CPU
per update, so that a slow minute of the machine hits both. A search for the highest rate would not resolve it: one of
its steps is 9 %.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median, quantiles

from benchmarks.config import OURS, TOKENS, Scale, TokensScale
from benchmarks.loadgen import Answer, Clients
from benchmarks.question import Case, Column, Question, Values
from benchmarks.servers import Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Text without a schema, then guests with one."""
    s = scale.tokens
    for guests, rate in ((False, s.rate), (True, s.schema_rate)):
        kind = "guests with a schema" if guests else "text"
        yield f"{kind}: {s.rooms} rooms x {s.members}, {rate:,} updates/s", _compare(server, s, guests, rate)


def _compare(server: Server, s: TokensScale, guests: bool, rate: int) -> Values:
    name = "guests" if guests else "text"
    servers = [Server(each, server.directory.parent / f"{each}-{name}") for each in (OURS, TOKENS)]
    with ExitStack() as stack:
        loads = []
        for each in servers:
            stack.enter_context(each)
            loads.append(stack.enter_context(Clients(each, s.rooms, s.members, guests=guests)))
        for clients in loads:
            clients.connect_all(60)
            clients.run("rate", rate, s.warm_up_seconds, s.drain_seconds)
        pairs = [_pair(loads, rate, s, turned=number % 2 == 1) for number in range(s.pairs)]
    server.spent_seconds += sum(each.spent_seconds for each in servers)
    quotients = [with_tokens["cpu_ms_per_1000"] / dev["cpu_ms_per_1000"] for dev, with_tokens in pairs]
    low, middle, high = quantiles(quotients, n=4, method="inclusive")
    return {
        "slower_percent": round(100 * (middle - 1), 1),
        "slower_low_percent": round(100 * (low - 1), 1),
        "slower_high_percent": round(100 * (high - 1), 1),
        **{f"dev_{key}": _median([dev for dev, _ in pairs], key) for key in ("serving_us", "hosts_us", "p50_ms")},
        **{f"tokens_{key}": _median([held for _, held in pairs], key) for key in ("serving_us", "hosts_us", "p50_ms")},
        "lost": sum(answer["lost"] for pair in pairs for answer in pair),
    }


def _pair(loads: list[Clients], rate: int, s: TokensScale, *, turned: bool) -> tuple[Answer, Answer]:
    """With --dev, and with tokens. Raises RuntimeError where one is overloaded: its CPU compares with nothing."""
    answers = {}
    for number in (1, 0) if turned else (0, 1):
        answer = answers[number] = loads[number].run_with_cpu("rate", rate, s.seconds, s.drain_seconds)
        if answer["lost"] or answer["closed"] or not answer.get("cpu_ms_per_1000"):
            raise RuntimeError(f"{loads[number].server.name} did not take {rate} updates/s: {answer}")
    return answers[0], answers[1]


def _median(answers: list[Answer], key: str) -> float:
    return round(median(float(answer[key]) for answer in answers), 1)


QUESTION = Question(
    name="tokens",
    title="All writing, with tokens and with --dev in turn (goal: at most 3 % more CPU per update)",
    servers=(OURS,),
    measure=measure,
    columns=(
        Column("slower_percent", "% of CPU more with tokens, median of the pairs", digits=1),
        Column("slower_low_percent", "lower quartile", digits=1),
        Column("slower_high_percent", "upper quartile", digits=1),
        Column("dev_serving_us", "--dev: serving µs per update", digits=1),
        Column("tokens_serving_us", "tokens", digits=1),
        Column("dev_hosts_us", "--dev: hosts µs per update", digits=1),
        Column("tokens_hosts_us", "tokens", digits=1),
        Column("dev_p50_ms", "--dev: p50 ms", digits=1),
        Column("tokens_p50_ms", "tokens", digits=1),
        Column("lost", "lost"),
    ),
)
