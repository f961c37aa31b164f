"""Weddings whose edits reach people, for measurements of routing: members with several channels, rules of their own,
edits at a steady rate, and an inbox that is read."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from itertools import count, product
from pathlib import Path
from typing import Any

from crdt_server.services.messaging.rules import default_rules
from storage.messaging_tables import contacts
from tests.support.databases import run_sql

WRITER, OTHER, PLANNER = "aroha", "ben", "pia"
ROLES = {WRITER: "couple", OTHER: "couple", PLANNER: "planner"}
"""Of the members. Answers of guests are written by the first, and the others are informed of each."""

ADDRESSES = {"mail": "member@example.com", "sms": "+64211234567"}
SENT_IN = ["in-app", *({"channel": channel, "unread_minutes": 15} for channel in ADDRESSES)]
"""Messages of all channels are written, and none is sent while this is measured: what is sent costs as much as the
service that takes it."""

QUIET = "quiet"
"""The wedding of which single events are measured."""

ROUTED, UNROUTED = "rsvp:e_1", "plusOnesAllowed"
"""Keys of a guest. A change of the first one concerns people, and no rule is about the second."""

VALUES = {ROUTED: ("maybe", "no"), UNROUTED: (0, 1)}
NEVER_ASKED = "127.0.0.1:9"
TIMEOUT_SECONDS = 60.0


def channel_environment(directory: Path) -> dict[str, str]:
    """Settings of a server with all these channels, and with no limits of persons. Writes a file in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    credentials = directory / "sms.toml"
    credentials.write_text('user = "u"\npassword = "p"\nfrom = "+64211234567"\n')
    settings = {
        "SMTP_URL": f"smtp://{NEVER_ASKED}",
        "MAIL_FROM": "weddings@example.com",
        "SMS_URL": f"http://{NEVER_ASKED}/messages",
        "SMS_CREDENTIALS_FILE": str(credentials),
        "ROLE_LIMITS": "none",
        "REQUESTS_PER_SECOND": "0",
        "REQUESTS_PER_ADDRESS": "0",
    }
    return {f"CRDT_SERVER_{name}": value for name, value in settings.items()}


class Api:
    """Calls of one person of a server with --dev, over one connection."""

    def __init__(self, port: int, user: str = WRITER) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self._who = f"user={user}&role={ROLES[user]}"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer of `/api/weddings/{path}`. Raises RuntimeError for any but a success."""
        response = self._request(method, path, body)
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def open_stream(self, path: str) -> HTTPResponse:
        """A stream of `/api/weddings/{path}`, which keeps the connection."""
        response = self._request("GET", path)
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
        return response

    def edit(self, wedding: str, guests: Sequence[int], key: str, turn: int) -> None:
        """Set a key of some guests, to another value in each turn."""
        value = VALUES[key][turn % 2]
        rows = [{"op": "set", "root": "guests", "record": f"g_{n}", "key": key, "value": value} for n in guests]
        self.call("POST", f"{wedding}/documents/guests/ops", {"operations": rows})

    def _request(self, method: str, path: str, body: object = None) -> HTTPResponse:
        text = None if body is None else json.dumps(body)
        address = f"/api/weddings/{path}{'&' if '?' in path else '?'}{self._who}"
        self._connection.request(method, address, text, {"Content-Type": "application/json"})
        return self._connection.getresponse()


def begin(port: int, database_url: str, weddings: Sequence[str], guests: int) -> int:
    """Weddings with members, their addresses, guests, and every rule changed that may be. Returns how many rules."""
    rules = [rule.name for rule in default_rules().all if not rule.fixed]
    api = Api(port)
    for wedding in weddings:
        for user, role in ROLES.items():
            api.call("POST", f"{wedding}/members", {"user": user, "role": role})
        names = {f"g_{number}": {"firstName": f"G{number}"} for number in range(guests)}
        rows = [{"op": "insert", "root": "guests", "record": name, "value": value} for name, value in names.items()]
        api.call("POST", f"{wedding}/documents/wedding/ops", {"operations": [_EVENT]})
        api.call("POST", f"{wedding}/documents/guests/ops", {"operations": rows})
        for rule in rules:
            api.call("PUT", f"{wedding}/routing/{rule}", {"send": SENT_IN})
    api.close()
    asyncio.run(run_sql(database_url, contacts.insert().values(list(_addresses(weddings)))))
    return len(weddings) * len(rules)


def _addresses(weddings: Sequence[str]) -> Iterator[dict[str, object]]:
    """Written to the database: they are confirmed, and no code is sent."""
    at = datetime.now(UTC)
    for wedding, user, (channel, address) in product(weddings, ROLES, ADDRESSES.items()):
        row = {"wedding": wedding, "user": user, "channel": channel, "id": "1", "address": address, "secret": ""}
        yield {**row, "at": at, "confirmed_at": at}


_EVENT = {"op": "insert", "root": "events", "record": "e_1", "value": {"name": "Ceremony", "rsvp": True}}


Call = tuple[str, Sequence[int], int]
"""A wedding, its guests that are edited in one call, and the turn."""


def calls(weddings: Sequence[str], guests: int, together: int) -> Iterator[Call]:
    """One call after the other, for ever: each guest once in a turn."""
    for turn in count():
        for first in range(0, guests - together + 1, together):
            for wedding in weddings:
                yield wedding, range(first, first + together), turn


class SteadyEdits:
    """``with`` makes the next calls, so many a second."""

    def __init__(self, port: int, following: Iterator[Call], *, key: str, per_second: float) -> None:
        self._api = Api(port)
        self._following = following
        self._key = key
        self._interval = 1 / per_second
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failure: BaseException | None = None

    def __enter__(self) -> SteadyEdits:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._api.close()
        if self._failure is not None:
            raise RuntimeError(f"the edits ended: {self._failure!r}") from self._failure

    def _run(self) -> None:
        begun = time.monotonic()
        try:
            for number in count():
                if self._ended.wait(max(0.0, begun + number * self._interval - time.monotonic())):
                    return
                wedding, guests, turn = next(self._following)
                self._api.edit(wedding, guests, self._key, turn)
        except Exception as error:  # noqa: BLE001 - raised where the edits end
            self._failure = error


class InboxStream:
    """``with`` reads the stream of an inbox: when the item about a record has arrived, by the clock of the caller."""

    def __init__(self, port: int, wedding: str, user: str, clock: Callable[[], float]) -> None:
        self._api = Api(port, user)
        self._path = f"{wedding}/inbox/stream"
        self._clock = clock
        self._arrived: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> InboxStream:
        self._response = self._api.open_stream(self._path)
        while not self._response.readline().startswith(b"id:"):
            pass
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def arrival(self, record: str) -> float:
        """When the next item about a record arrives, or has since the last call. Raises RuntimeError after a minute."""
        with self._changed:
            if not self._changed.wait_for(lambda: record in self._arrived, TIMEOUT_SECONDS):
                raise RuntimeError(f"nothing about {record} came on the stream")
            return self._arrived.pop(record)

    def _run(self) -> None:
        try:
            while line := self._response.readline():
                now = self._clock()
                if line.startswith(b"data:") and b'"record"' in line:
                    with self._changed:
                        self._arrived[json.loads(line[5:])["record"]] = now
                        self._changed.notify()
        except (OSError, ValueError, AttributeError):
            return  # closed by the reader


def gauges(port: int, *names: str) -> list[float]:
    """Metrics without labels."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    connection.close()
    return [float(found[name]) for name in names]
