"""``python -m benchmarks.run``: ask the questions, server by server in turn, and write RESULTS.md."""

import argparse
import datetime
import json
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks import cold, durability, fanout, idle, presence, processes, reconnect, report, rooms, servers, size
from benchmarks.config import FULL, QUICK, RESULTS, SERVERS, Scale
from benchmarks.loadgen import compile_generator
from benchmarks.question import Question
from benchmarks.servers import Server, ServerError

QUESTIONS = {
    module.QUESTION.name: module.QUESTION
    for module in (rooms, fanout, presence, idle, reconnect, cold, durability, size)
}


def main() -> None:
    """Parse the command line, measure, report."""
    options = _options()
    questions = [QUESTIONS[name] for name in options.only]
    scale = QUICK if options.quick else FULL
    if not options.report:
        processes.raise_file_limit()
        compile_generator()
        servers.install(options.servers)
        for question in questions:
            _ask(question, options.servers, options.rounds or scale.rounds, scale, append=options.append)
    report.write(QUESTIONS.values())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small figures in under three minutes")
    parser.add_argument("--only", type=_names(list(QUESTIONS)), default=list(QUESTIONS), help="questions, by comma")
    parser.add_argument("--servers", type=_names(list(SERVERS)), default=list(SERVERS), help="servers, by comma")
    parser.add_argument("--rounds", type=int, default=0, help="rounds instead of the scale's own number")
    parser.add_argument("--append", action="store_true", help="add rounds to the stored ones instead of replacing them")
    parser.add_argument("--report", action="store_true", help="only write RESULTS.md from what is stored")
    return parser.parse_args()


def _names(known: list[str]):  # type: ignore[no-untyped-def]
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return chosen

    return parse


def _ask(question: Question, chosen: list[str], rounds: int, scale: Scale, *, append: bool) -> None:
    """All rounds of one question; within a round every server has its turn, so that a slow minute hits all."""
    names = [name for name in question.servers if name in chosen]
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{question.name}.jsonl"
    if names and not append:
        path.write_text("")
    for turn in range(1, rounds + 1):
        for name in names:
            print(f"{question.name}, round {turn} of {rounds}: {name}", flush=True)
            started = time.monotonic()
            _measure(question, name, turn, scale, path)
            print(f"    took {time.monotonic() - started:.0f} s", flush=True)


def _measure(question: Question, name: str, turn: int, scale: Scale, path: Path) -> None:
    """One measurement on a fresh data directory; a server that fails is a result as well."""
    directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    server = Server(name, directory)
    common = {
        "question": question.name,
        "server": name,
        "round": turn,
        "scale": scale.name,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": report.machine(),
    }
    try:
        for case, values in question.measure(server, scale):
            print("    " + _line(question, case, values), flush=True)
            _store(path, {**common, "case": case, "values": values})
    except (ServerError, RuntimeError) as error:
        print(f"    {error}", flush=True)
        _store(path, {**common, "case": "", "values": {}, "error": str(error)})
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _store(path: Path, row: dict[str, object]) -> None:
    with path.open("a") as out:
        out.write(json.dumps(row) + "\n")


def _line(question: Question, case: str, values: dict[str, object]) -> str:
    return f"{case}: " + ", ".join(f"{c.title} {values[c.key]}" for c in question.columns if c.key in values)


if __name__ == "__main__":
    main()
