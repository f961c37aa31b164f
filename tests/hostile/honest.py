"""The honest clients of the soak, in Node processes of their own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LINE_BYTES = 1 << 20


def together(answers: list[Any]) -> Any:
    """What several processes say, as if one had said it: sums, all of a list, and whether all of them."""
    first = answers[0]
    if isinstance(first, bool):
        return all(answers)
    if isinstance(first, dict):
        keys = dict.fromkeys(key for answer in answers for key in answer)
        return {key: together([answer[key] for answer in answers if key in answer]) for key in keys}
    return sum(answers[1:], first)


class Honest:
    """All honest clients. ``clients``: what `people` says of each, by process."""

    def __init__(self, directory: Path, clients: list[list[dict[str, Any]]], seed: int, settle_seconds: float) -> None:
        self._parts = [
            HonestProcess(directory / f"honest-{number}", each, seed, settle_seconds)
            for number, each in enumerate(clients)
        ]

    @property
    def processes(self) -> list[asyncio.subprocess.Process]:
        """Those that are started."""
        return [part.process for part in self._parts if hasattr(part, "process")]

    async def start(self, urls: list[str]) -> None:
        """Start working, at any of the nodes."""
        await asyncio.gather(*(part.start(urls) for part in self._parts))

    async def ask(self, command: str, argument: Any = None) -> dict[str, Any]:
        """One command, the answer of all."""
        answers: dict[str, Any] = together(await asyncio.gather(*(part.ask(command, argument) for part in self._parts)))
        return answers

    def samples(self) -> list[tuple[str, str, float, float]]:
        """Kind, room, when (milliseconds since 1970), latency in milliseconds."""
        return [sample for part in self._parts for sample in json.loads(part.samples_file.read_text())]


class HonestProcess:
    """A Node process with some of the honest clients."""

    process: asyncio.subprocess.Process

    def __init__(self, path: Path, clients: list[dict[str, Any]], seed: int, settle_seconds: float) -> None:
        self.samples_file = path.with_suffix(".json")
        self._seed = seed
        self._settle_seconds = settle_seconds
        self._clients = clients
        self._log = path.with_suffix(".log")

    async def start(self, urls: list[str]) -> None:
        """Start working."""
        settings = {
            "urls": [url.replace("http", "ws") for url in urls],
            "clients": self._clients,
            "seed": self._seed,
            "samplesFile": str(self.samples_file),
            "settleSeconds": self._settle_seconds,
        }
        with self._log.open("wb") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *("node", str(ROOT / "tests/hostile/honest.mjs"), json.dumps(settings)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=LINE_BYTES,
                cwd=ROOT,
            )
        await self._answer(30)

    async def ask(self, command: str, argument: Any = None) -> dict[str, Any]:
        """One command, its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([command, argument]).encode() + b"\n")
        return await self._answer(self._settle_seconds + 60)

    async def _answer(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        assert line, f"the honest clients ended: {self._log.read_text()[-2000:]}"
        assert line.startswith(b"{"), f"not an answer of the honest clients: {line[:300]!r}"
        answer: dict[str, Any] = json.loads(line)
        return answer
