"""The one shape of errors, codes that are explained, and what is refused rather than ignored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from crdt_server import Settings
from crdt_server.api.error_codes import CODES
from crdt_server.api.problems import on_server_error
from crdt_server.api.refused_operations import RefusedCommand
from crdt_server.errors import CLOSE_CODES
from crdt_server.hosts.jobs import JobFailed
from crdt_server.operations import Operation, Problem
from storage import StorageError
from tests.api.test_events import add, streaming
from tests.support.gate import local_server

ROOT = Path(__file__).parents[2] / "crdt_server"
RAISED = re.compile(r'(?:Error|NotRetried|problem)\((?:\d+, )?"([a-z_0-9]+)"')
AT = "/shape"


def codes() -> set[str]:
    found = {code for path in ROOT.rglob("*.py") for code in RAISED.findall(path.read_text())}
    return found | {"method_not_allowed", "http", "operations_refused", "too_many_requests", "no_such_option"}


def test_every_code_is_explained_and_no_other() -> None:
    paths = (path for name in ("crdt_server", "documents", "storage") for path in (ROOT.parent / name).rglob("*.py"))
    sources = "".join(path.read_text() for path in paths if path.name != "error_codes.py")
    assert [code for code in CODES if f'"{code}"' not in sources] == []
    assert sorted(codes() - set(CODES)) == []
    assert all(meaning.endswith(".") and remedy.endswith(".") for meaning, remedy in CODES.values())
    assert set(CLOSE_CODES) & {"unauthenticated", "forbidden"} <= set(CODES)


@pytest.mark.parametrize("error", [JobFailed("x"), StorageError("x")])
async def test_what_cannot_be_done_now_says_so_and_where_it_is_explained(error: Exception) -> None:
    answer = await on_server_error(Request({"type": "http", "root_path": "/below"}), error)
    found = json.loads(answer.body)
    assert (answer.status_code, found["link"]) == (503, "/below/api/errors/try_again")
    assert found["detail"].endswith(": try later")


Call = tuple[str, str, Any]


@pytest.mark.parametrize(
    ("call", "status", "code", "shape"),
    [
        (("GET", f"{AT}/events?limit=501", None), 400, "invalid_request",
         {"field": "limit", "expected": "Input should be less than or equal to 500", "got": '"501"'}),
        (("GET", f"{AT}/events?afterr=4", None), 400, "invalid_request",
         {"field": "afterr", "expected": "one of: after, limit, types"}),
        (("GET", f"{AT}/documents/guests?full=1", None), 400, "invalid_request",
         {"field": "full", "expected": "no parameters"}),
        (("GET", f"{AT}/documents/guests?role=bridesmaid", None), 400, "invalid_request",
         {"field": "role", "expected": "couple, planner, coordinator, venue, caterer, photographer, vendor, family, "
                                       "wedding_party, guest"}),
        (("GET", f"{AT}/events?types=timeline,nothing", None), 400, "invalid_request",
         {"field": "types", "got": '"nothing"'}),
        (("POST", f"{AT}/conflicts/c_1/resolve", {"choice": "1"}), 400, "invalid_request",
         {"field": "choice", "expected": "Input should be a valid integer", "got": '"1"'}),
        (("POST", f"{AT}/conflicts/c_1/resolve", {}), 400, "invalid_request",
         {"field": "choice", "expected": "Field required", "detail": "not acceptable: choice: Field required"}),
        (("POST", f"{AT}/documents/timeline/ops", {"operations": [{"op": "a" * 300, "root": "items"}]}),
         400, "invalid_request",
         {"field": "operations.0.op", "detail": "not acceptable: operations.0.op: "
                                                "one of 'set', 'insert', 'delete', 'move', 'text'"}),
        (("POST", f"{AT}/documents/timeline/ops", {"operations": [
            {"op": "insert", "root": "items", "record": "i_1", "value": {"title": "Toast", "start": "noon"}}]}),
         422, "operations_refused",
         {"field": "items/i_1/start", "expected": "minutes from -43200 to 43200", "got": '"noon"'}),
        (("POST", f"{AT}/documents/timeline/ops", {"operations": [
            {"op": "insert", "root": "items", "record": "i_1", "value": {"name": "Toast"}}]}),
         422, "operations_refused", {"field": "items/i_1/name", "got": '"Toast"'}),
        (("GET", "/-/events", None), 404, "not_found", {}),
        (("GET", "/Ann%20&%20Chloe/events", None), 404, "not_found",
         {"detail": "no such wedding: names have at most 64 letters of A to Z, digits and . _ ~ -, "
                    "and begin with a letter or digit"}),
        (("DELETE", f"{AT}/events", None), 405, "method_not_allowed", {}),
        (("DELETE", f"{AT}/devices/", None), 404, "not_found", {}),
        (("PUT", f"{AT}/preferences", {"timezone": "Europe/Berln"}), 400, "invalid_request",
         {"field": "timezone", "expected": "no IANA time zone", "got": '"Europe/Berln"'}),
    ],
)  # fmt: skip
async def test_errors_have_one_shape(
    client: httpx.AsyncClient, call: Call, status: int, code: str, shape: dict[str, str]
) -> None:
    method, path, body = call
    answer = await client.request(method, path, json=body)
    found = answer.json()
    assert (answer.status_code, found["code"]) == (status, code), answer.text
    assert found["message"] == found["detail"] != ""
    assert {name: found.get(name) for name in shape} == shape
    explained = await client.get(client.base_url.join(found["link"]))
    assert explained.json() == {"code": code, **CODES[code]._asdict()}


async def test_long_values_and_bodies_are_not_sent_back(client: httpx.AsyncClient) -> None:
    for body in ({"choice": "x" * 200}, [1, 2, 3]):
        answer = await client.post(f"{AT}/conflicts/c_1/resolve", json=body)
        assert (answer.status_code, "got" in answer.json()) == (400, False), answer.text
    assert (await client.get(client.base_url.join("/api/errors/nothing"))).json()["code"] == "not_found"


async def test_names_of_dev_are_parameters_beside_a_token_only_there(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{AT}/documents/guests", params={"user": "ann", "role": "guest", "token": ""})
    assert answer.status_code == 200, answer.text


async def test_documents_are_listed_as_in_join(client: httpx.AsyncClient) -> None:
    await client.post("/listed/documents/notes.plan/sync", content=b"\1\0\2\0\0")
    query = {"user": "gina", "role": "guest", "guest": "g_1", "enforce": "1"}
    for person in ({}, query):
        listed = (await client.get("/listed/documents", params=person)).json()
        joined = (await client.post("/listed/join", params=person)).json()
        assert listed == {name: joined[name] for name in ("documents", "families", "next")}
    assert "budget" not in {each["name"] for each in listed["documents"]}


async def test_events_of_some_types(client: httpx.AsyncClient) -> None:
    await add(client, "types", "g_1")
    operation = {"op": "insert", "root": "items", "record": "i_1", "value": {"title": "Toast"}}
    await client.post("/types/documents/timeline/ops", json={"operations": [operation]})
    expected = {"guest": [1], "timeline.item,guest.rsvp": [2], "guest.added, timeline": [1, 2], "": [1, 2]}
    for types, seqs in expected.items():
        page = (await client.get("/types/events", params={"types": types})).json()
        assert [each["seq"] for each in page["events"]] == seqs, types
        assert (page["head"], page["next"]) == (2, 2)
    async with streaming(client, "types", params={"after": 0, "types": "timeline"}) as stream:
        (event,) = await stream.events(1)
        assert (event["seq"], event["type"]) == (2, "timeline.item.added")


async def test_messages_without_a_name(client: httpx.AsyncClient) -> None:
    await add(client, "unnamed", "g_1")
    async with client.stream("GET", "/unnamed/events/stream", params={"after": 0, "unnamed": "true"}) as answer:
        lines = []
        async for line in answer.aiter_lines():
            lines.append(line)
            if line.startswith("data: "):
                break
    assert not any(line.startswith("event:") for line in lines)
    assert '"type": "guest.' in lines[-1] or '"type":"guest.' in lines[-1]


async def test_with_dev_pages_of_this_machine_may_call(tmp_path: Path) -> None:
    settings = Settings(dev=True, port=0, document_hosts=1, database_url=f"sqlite:///{tmp_path}/store.db")
    async with (
        local_server(settings, None) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
    ):
        for origin, allowed in (("http://localhost:5173", True), ("http://[::1]:3000", True), ("https://a.test", False),
                                ("http://localhost.a.test", False)):  # fmt: skip
            answer = await client.get("/healthz", headers={"Origin": origin})
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


class ReadOften(list[Operation]):
    """Counts how often it is read."""

    times = 0

    def __iter__(self) -> Iterator[Operation]:
        self.times += 1
        return super().__iter__()


def test_a_refused_command_is_read_once_for_all_of_its_problems() -> None:
    """1,000 problems of 1,000 operations took 0.1 s of the loop when each was looked for."""
    operations = ReadOften(
        {"op": "set", "root": "guests", "record": f"g_{n}", "key": "rsvp", "value": n} for n in range(50)
    )
    command = RefusedCommand([("guests", operations)])
    problems: list[Problem] = [
        {"document": "guests", "code": "choice", "message": "one of", "index": number} for number in range(50)
    ]
    assert [command.described(each)["got"] for each in problems] == [str(number) for number in range(50)]
    assert operations.times <= 2
