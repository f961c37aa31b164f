"""The outbox of a wedding over HTTP, and on the command line beside a server that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, update

from crdt_server.cli import cli
from storage import NewMessage, Storage, open_storage
from storage.messaging_tables import outbox
from storage.outbox import DEAD, SENT, key_of
from tests.api.with_members import as_user, make
from tests.support.backend import Server
from tests.support.gate import LocalServer

COUPLE, PLANNER, COORDINATOR, GUEST = (
    {"user": f"u_{role}", "role": role} for role in ("couple", "planner", "coordinator", "guest")
)
NOON = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
WRITTEN = "the ring is in the piano"


@pytest.fixture
def wedding() -> str:
    return f"w_{uuid4().hex}"


@pytest.fixture
async def store(server: Server) -> AsyncIterator[Storage]:
    storage = await open_storage(server.database_url)
    yield storage
    await storage.close()


async def put(store: Storage, wedding: str, count: int, state: str = DEAD, document: str = "thread.t") -> list[int]:
    """Messages that had this fate; their numbers."""
    params = json.dumps({"text": WRITTEN})
    message = NewMessage("", wedding, "u_ada", "sms", 1, "message.sent", 2, document, "m_1", params, NOON, held=True)
    keys = [key_of(wedding, n, "u_ada", "sms") for n in range(count)]
    await store.enqueue([message._replace(key=key, event=n) for n, key in enumerate(keys)])
    found = [each.id for each in await store.messages(wedding, "held")]
    await store._executor.write(lambda connection: _end(connection, found, state))
    return found


def _end(connection: Connection, ids: list[int], state: str) -> None:
    values = {"state": state, "error": "no such mailbox", "done_at": NOON, "attempts": 7}
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))


async def command(server: Server, *arguments: str) -> tuple[int, str]:
    """Run the command; its exit code and output."""
    words = ["outbox", *arguments, "--database-url", server.database_url]
    # In a thread: the command has an event loop of its own.
    result = await asyncio.to_thread(CliRunner().invoke, cli, words)
    return result.exit_code, result.output


async def test_messages_come_in_pages(client: httpx.AsyncClient, store: Storage, wedding: str) -> None:
    ids = await put(store, wedding, 5)
    page = (await client.get(f"{wedding}/outbox", params=COUPLE | {"limit": "3"})).json()
    first, after = page["messages"], str(page["next"])
    page = (await client.get(f"{wedding}/outbox", params=PLANNER | {"after": after})).json()
    assert [each["id"] for each in first + page["messages"]] == ids
    assert page["next"] is None
    assert first[0] == {
        "id": ids[0],
        "key": key_of(wedding, 0, "u_ada", "sms"),
        "recipient": "u_ada",
        "channel": "sms",
        "event": 0,
        "type": "message.sent",
        "priority": 2,
        "state": "dead",
        "attempts": 7,
        "at": "2026-06-20T12:00:00Z",
        "next_at": "2026-06-20T12:00:00Z",
        "error": "no such mailbox",
        "done_at": "2026-06-20T12:00:00Z",
    }
    for params in ({"state": "sent"}, {"channel": "mail"}):
        assert (await client.get(f"{wedding}/outbox", params=COUPLE | params)).json() == {"messages": [], "next": None}


async def test_nobody_reads_a_text_in_the_outbox(
    client: httpx.AsyncClient, store: Storage, server: Server, wedding: str
) -> None:
    (id_,) = await put(store, wedding, 1)
    answers = [await client.get(f"{wedding}/outbox{path}", params=COUPLE) for path in ("", f"/{id_}")]
    assert all(answer.status_code == 200 for answer in answers)
    shown = [answer.text for answer in answers]
    shown += [(await command(server, *words))[1] for words in (("list", "--wedding", wedding), ("show", str(id_)))]
    assert all("no such mailbox" in text and WRITTEN not in text and "thread.t" not in text for text in shown[:3])
    assert WRITTEN not in shown[3]


async def test_nobody_reads_whom_a_conversation_reaches_that_they_may_not_open(
    with_members: LocalServer, members: httpx.AsyncClient, is_problem: Callable[..., None]
) -> None:
    """A planner saw who of the family was written to, and when."""
    thread = await make(members, "u_aroha", "u_ann", type="family")
    hidden = await put(with_members.hub.storage, "w", 2, document=thread["document"])
    for user, shown in (("u_aroha", hidden), ("u_mia", [])):
        answer = await members.get("/outbox", params={"limit": 2}, headers=as_user(user))
        assert ([each["id"] for each in answer.json()["messages"]], answer.json()["next"]) == (shown, hidden[-1])
    for method, path in (("GET", ""), ("POST", "/retry")):
        answer = await members.request(method, f"/outbox/{hidden[0]}{path}", headers=as_user("u_mia"))
        is_problem(answer, 404, "not_found")
    assert [each.id for each in await with_members.hub.storage.messages("w", DEAD)] == hidden


async def test_a_planner_does_not_see_which_numbers_and_digests_are_of_closed_threads(
    with_members: LocalServer, members: httpx.AsyncClient
) -> None:
    """A rule may have messages only counted, and a digest had the number of the newest event of a family thread."""
    store = with_members.hub.storage
    (counted,) = await put(store, "w", 1, document="")
    digest = NewMessage("d", "w", "u_ann", "mail", 7, "digest", 3, "", "", '{"notices": []}', NOON, held=True)
    await store.enqueue([digest])
    planner = as_user("u_mia")
    assert (await members.get("/outbox", headers=planner)).json()["messages"] == []
    assert (await members.get(f"/outbox/{counted}", headers=planner)).status_code == 404
    listed = (await members.get("/outbox", params={"state": "held"}, headers=planner)).json()["messages"]
    assert [(each["recipient"], each["event"]) for each in listed] == [("u_ann", 0)]


async def test_only_who_manages_the_wedding(
    client: httpx.AsyncClient, store: Storage, wedding: str, is_problem: Callable[..., None]
) -> None:
    (id_,) = await put(store, wedding, 1)
    calls = [("GET", "outbox"), ("GET", f"outbox/{id_}"), ("POST", f"outbox/{id_}/retry"), ("POST", "outbox/retry")]
    for method, path in (*calls, ("GET", "messaging/stats")):
        for by in (COORDINATOR, GUEST):
            is_problem(await client.request(method, f"{wedding}/{path}", params=by), 403, "forbidden")
    for path in (f"outbox/{id_}", "outbox/9999999999", f"outbox/{1 << 70}"):
        is_problem(await client.get(f"w_other/{path}", params=COUPLE), 404, "not_found")
        is_problem(await client.post(f"w_other/{path}/retry", params=COUPLE), 404, "not_found")
    is_problem(await client.get(f"{wedding}/outbox/x", params=COUPLE), 400, "invalid_request")
    is_problem(await client.get(f"{wedding}/outbox", params=COUPLE | {"state": "lost"}), 400, "invalid_request")
    assert [each.id for each in await store.messages(wedding, DEAD)] == [id_]


async def test_dead_messages_are_sent_once_more(
    client: httpx.AsyncClient, store: Storage, server: Server, wedding: str, is_problem: Callable[..., None]
) -> None:
    # Nobody has an address here: what is sent once more is dropped.
    ids = await put(store, wedding, 4)
    answer = await client.post(f"{wedding}/outbox/{ids[0]}/retry", params=COUPLE)
    assert (answer.status_code, answer.json()["attempts"]) == (200, 0)
    assert (await client.post(f"{wedding}/outbox/retry", params=COUPLE | {"channel": "mail"})).json() == {"retried": 0}
    assert (await command(server, "retry", str(ids[1]))) == (0, f"{ids[1]} is sent once more\n")
    assert (await client.post(f"{wedding}/outbox/retry", params=PLANNER)).json() == {"retried": 2}
    assert await store.messages(wedding, DEAD) == []
    (sent,) = await put(store, f"{wedding}s", 1, SENT)
    is_problem(await client.post(f"{wedding}s/outbox/{sent}/retry", params=COUPLE), 409, "not_retried")
    assert await command(server, "retry", str(sent)) == (1, "crdt-server: the message is sent\n")


async def test_stats(client: httpx.AsyncClient, store: Storage, wedding: str) -> None:
    await put(store, wedding, 2)
    channels = (await client.get(f"{wedding}/messaging/stats", params=COUPLE)).json()["channels"]
    assert set(channels) == {"mail", "sms", "push", "webhook", "in-app"}
    assert channels["sms"] == {"sent": 0, "waiting": 0, "held": 0, "dropped": 0, "dead": 2}
    assert channels["in-app"] == {"sent": 0, "read": 0}


async def test_the_command_line(store: Storage, server: Server, wedding: str) -> None:
    first, second = await put(store, wedding, 2)
    code, listed = await command(server, "list", "--wedding", wedding, "--channel", "sms")
    assert code == 0
    cells = [str(first), wedding, "u_ada", "sms", "message.sent", "7", "2026-06-20 12:00:00", "no such mailbox"]
    assert listed.splitlines()[0].split("\t") == cells
    assert await command(server, "list", "--wedding", wedding, "--state", "sent") == (0, "")
    code, shown = await command(server, "show", str(second))
    assert code == 0
    assert {f"id: {second}", "state: dead", "error: no such mailbox"} <= set(shown.splitlines())
    retried = await command(server, "retry", "--all", "--wedding", wedding)
    assert retried == (0, "messages that are sent once more: 2\n")
    assert await command(server, "show", "999999999") == (1, "crdt-server: no such message\n")
    for words in (("retry",), ("retry", "1", "--all"), ("list", "--wedding", "-")):
        assert (await command(server, *words))[0] == 2
