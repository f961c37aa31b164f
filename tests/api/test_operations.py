"""Operations over HTTP: all or nothing, once however often they come, and heard by everybody who is connected."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pycrdt import Doc, Map
from sqlalchemy import update
from websockets.asyncio.client import connect

from crdt_server.protocol.messages import SyncUpdate
from documents.readers import digest
from documents.registry import kind_of
from documents.rows import read
from storage.tables import answers
from tests.api.with_members import AT, as_user
from tests.support.codec import decode_messages
from tests.support.databases import run_sql
from tests.support.gate import LocalServer
from tests.support.server import ServerProcess
from tests.support.yclient import YClient

Check = Callable[..., None]
Operation = dict[str, Any]


def insert(record: str, **fields: Any) -> Operation:
    return {"op": "insert", "root": "guests", "record": record, "value": fields}


def set_(record: str, key: str | None, value: Any, root: str = "guests") -> Operation:
    return {"op": "set", "root": root, "record": record, "key": key, "value": value}


async def operate(
    client: httpx.AsyncClient, wedding: str, *operations: Operation, document: str = "guests", **more: Any
) -> httpx.Response:
    return await client.post(f"/{wedding}/documents/{document}/ops", json={"operations": operations}, **more)


async def rows(client: httpx.AsyncClient, wedding: str, document: str = "guests") -> Any:
    answer = await client.get(f"/{wedding}/documents/{document}")
    assert answer.status_code == 200, answer.text
    return answer.json()


ROOT = Path(__file__).parents[2]
OPS = ["set", "insert", "delete", "move", "text"]
ONE_OF_EACH = ("guests", "seating", "seating.e_1", "timeline", "budget", "care", "wedding", "thread.a")


def everywhere(value: int) -> list[dict[str, Any]]:
    """The parts of a command that writes a number into a document of every kind."""
    operation = {"op": "set", "root": "meta", "key": "x:test.key", "value": value}
    return [{"document": name, "operations": [operation]} for name in ONE_OF_EACH]


class TestRows:
    async def test_rows_are_canonical_and_fit_their_digest(self, client: httpx.AsyncClient) -> None:
        assert await rows(client, "digest") == {}
        fields = {"lastName": "Ó Briain", "firstName": "Chloé", "plusOnesAllowed": 2.0}
        await operate(client, "digest", insert("g_1", **fields))
        text = (await client.get("/digest/documents/guests")).text
        assert text == ('{"guests":{"g_1":{"firstName":"Chloé","lastName":"Ó Briain","note":"","plusOnesAllowed":2}}}')
        answer = (await client.get("/digest/documents/guests/digest")).json()
        assert answer["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        doc: Doc[Any] = Doc()
        doc.apply_update((await client.get("/digest/documents/guests/state")).content)
        assert base64.urlsafe_b64decode(answer["state_vector"] + "==") == doc.get_state()
        kind = kind_of("guests")
        assert kind is not None
        assert answer["sha256"] == digest(read(kind, doc))

    @pytest.mark.parametrize("what", ["", "/digest"])
    async def test_a_free_form_document_has_no_rows(
        self, client: httpx.AsyncClient, is_problem: Check, what: str
    ) -> None:
        is_problem(await client.get(f"/w/documents/notes.a{what}"), 409, "no_schema")
        is_problem(await client.get(f"/w/documents/nothing{what}"), 404, "not_found")

    async def test_operations_need_a_document_with_a_schema(self, client: httpx.AsyncClient, is_problem: Check) -> None:
        operation = {"op": "delete", "root": "r", "record": "a"}
        is_problem(await operate(client, "w", operation, document="notes.a"), 409, "no_schema")
        is_problem(await operate(client, "w", operation, document="nothing"), 404, "not_found")
        is_problem(await operate(client, "-", operation), 404, "not_found")
        for document, status, code in (("notes.a", 409, "no_schema"), ("nothing", 404, "not_found")):
            body = {"parts": [{"document": document, "operations": [operation]}]}
            is_problem(await client.post("/w/ops", json=body), status, code)

    async def test_a_derived_document_is_read_and_its_source_is_written(
        self, client: httpx.AsyncClient, is_problem: Check
    ) -> None:
        item = insert("i_1", title="Vows", visibility="public", note="SECRET") | {"root": "items"}
        await operate(client, "derived", item, document="timeline")
        path = "/derived/documents/timeline@public"
        text = (await client.get(path)).text
        assert text == '{"items":{"i_1":{"title":"Vows"}}}'
        assert (await client.get(f"{path}/digest")).json()["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert b"SECRET" not in (await client.get(f"{path}/state")).content
        is_problem(await operate(client, "derived", item, document="timeline@public"), 422, "operations_refused")


class TestEveryOperation:
    async def test_on_records(self, client: httpx.AsyncClient) -> None:
        await operate(client, "records", insert("g_1", firstName="Ann", order="a0"), insert("g_2", order="a1"))
        await operate(client, "records", insert("g_3", order="a2", note="tall"))
        done = await operate(
            client,
            "records",
            set_("g_1", "meal", "fish"),
            {"op": "delete", "root": "guests", "record": "g_1", "key": "firstName"},
            {"op": "move", "root": "guests", "record": "g_3", "after": "g_1"},
            {"op": "text", "root": "guests", "record": "g_3", "key": "note", "index": 1, "delete": 2, "insert": "héa"},
            {"op": "text", "root": "guests", "record": "g_1", "key": "note", "value": "💐 new"},
        )
        assert done.json() == {"operations": 5}
        guests = (await rows(client, "records"))["guests"]
        assert guests["g_1"] == {"meal": "fish", "note": "💐 new", "order": "a0"}
        assert guests["g_3"]["note"] == "théal"
        assert sorted(guests, key=lambda record: guests[record]["order"]) == ["g_1", "g_3", "g_2"]
        await operate(client, "records", {"op": "move", "root": "guests", "record": "g_2", "after": None})
        guests = (await rows(client, "records"))["guests"]
        assert min(guests, key=lambda record: guests[record]["order"]) == "g_2"

    async def test_on_values_one_record_and_a_text(self, client: httpx.AsyncClient) -> None:
        seat = {"table": "t_1", "seat": 4}
        await operate(client, "values", set_("g_1", None, seat, "assignments"), document="seating")
        assert (await rows(client, "values", "seating"))["assignments"] == {"g_1": seat}
        gone = {"op": "delete", "root": "assignments", "record": "g_1"}
        await operate(client, "values", gone, document="seating")
        assert "assignments" not in await rows(client, "values", "seating")
        title = {"op": "set", "root": "meta", "key": "title", "value": "Ann & Bo"}
        board = {"op": "text", "root": "board", "value": "Ideas"}
        await operate(client, "values", title, board, document="wedding")
        wedding = await rows(client, "values", "wedding")
        assert (wedding["meta"], wedding["board"]) == ({"": {"title": "Ann & Bo"}}, {"": "Ideas"})

    @pytest.mark.parametrize(
        ("document", "operation", "code"),
        [
            ("guests", set_("g_1", "side", "left"), "choice"),
            ("guests", set_("g_1", "meal", None), "null"),
            ("guests", set_("g_1", None, {}), "key"),
            ("guests", set_("g_9", "meal", "fish"), "missing"),
            ("guests", set_("_1", "meal", "fish"), "id"),
            ("guests", set_("g_1", "unheard", "of"), "unknown_key"),
            ("guests", set_("g_1", "_x", 1), "unknown_key"),
            ("guests", set_("g_1", "meal", "fish", "nothing"), "unknown_root"),
            ("guests", insert("g_1"), "exists"),
            ("guests", insert("g_5", side=3), "type"),
            ("guests", insert("g_5", note=3), "type"),
            ("guests", {"op": "delete", "root": "guests", "record": "g_1"}, "not_removable"),
            ("guests", {"op": "delete", "root": "guests", "record": "g_1", "key": "note"}, "not_removable"),
            ("guests", {"op": "move", "root": "guests", "record": "g_1", "after": "g_9"}, "order"),
            ("guests", {"op": "text", "root": "guests", "record": "g_1", "key": "meal", "value": "x"}, "text"),
            ("guests", {"op": "text", "root": "guests", "record": "g_1", "key": "note", "index": 1}, "range"),
            ("guests", {"op": "text", "root": "guests", "record": "g_1", "key": "note", "delete": 1}, "range"),
            ("guests", {"op": "set", "root": "meta", "key": "_version", "value": 7}, "server_only"),
            ("guests", {"op": "set", "root": "meta", "record": "x", "key": "x:a.b", "value": 7}, "id"),
            ("guests", {"op": "set", "root": "meta", "value": {}}, "key"),
            ("guests", {"op": "delete", "root": "meta"}, "key"),
            ("guests", {"op": "insert", "root": "meta", "value": {}}, "exists"),
            ("guests", {"op": "insert", "root": "review", "record": "c_1", "value": {}}, "server_only"),
            ("seating", set_("g_1", "seat", 4, "assignments"), "key"),
            ("seating", set_("g_1", None, {"table": 4}, "assignments"), "type"),
            ("wedding", {"op": "set", "root": "board", "value": 4}, "type"),
            ("wedding", {"op": "text", "root": "board", "value": "x" * 20_001}, "length"),
        ],
    )
    async def test_what_is_refused(
        self, client: httpx.AsyncClient, is_problem: Check, document: str, operation: Operation, code: str
    ) -> None:
        await operate(client, "refused", insert("g_1", firstName="Ann"))
        await operate(client, "refused", {"op": "set", "root": "meta", "key": "x:a.b", "value": 1})
        before = await rows(client, "refused", document)
        answer = await operate(client, "refused", operation, document=document)
        is_problem(answer, 422, "operations_refused")
        assert [problem["code"] for problem in answer.json()["problems"]] == [code]
        assert answer.json()["problems"][0]["document"] == document
        assert await rows(client, "refused", document) == before

    async def test_what_a_later_operation_replaces_is_looked_at_too(
        self, client: httpx.AsyncClient, is_problem: Check
    ) -> None:
        await operate(client, "replaced", insert("g_1"))
        answer = await operate(
            client, "replaced", set_("g_1", "plusOnesAllowed", (1 << 64) - 1), set_("g_1", "plusOnesAllowed", 1)
        )
        is_problem(answer, 422, "operations_refused")
        assert answer.json()["problems"][0]["index"] == 0

    @pytest.mark.parametrize(
        "body",
        [
            *("", "[]", "{", "nonsense", '{"operations":[]}', '{"operations":[{}]}', '{"operations":[{"op":"drop"}]}'),
            '{"operations":[{"op":"set","root":"guests","record":"g_1","key":"meal"}]}',
            '{"operations":[{"op":"set","root":"guests","record":"g_1","key":"meal","value":NaN}]}',
            '{"operations":[{"op":"set","root":"guests","record":"g_1","key":"meal","value":"\\ud800"}]}',
            f'{{"operations":[{{"op":"set","root":"guests","record":"g_1","key":"x:a.b","value":{1 << 64}}}]}}',
            '{"operations":[{"op":"insert","root":"guests","record":"g_1","value":[]}]}',
            '{"operations":[{"op":"move","root":"guests","record":"g_1"}]}',
            '{"operations":[{"op":"text","root":"board","index":-1}]}',
            '{"operations":[{"op":"delete","root":"guests","record":7}]}',
            '{"operations":[{"op":"delete","root":"guests","record":"g_1","more":1}]}',
            '{"operations":[{"op":"set","root":"a","value":' + "[" * 500 + "]" * 500 + "}]}",
            json.dumps({"operations": [{"op": "delete", "root": "guests", "record": "g_1"}] * 1001}),
        ],
    )
    async def test_malformed_bodies(self, client: httpx.AsyncClient, is_problem: Check, body: str) -> None:
        is_problem(await client.post("/w/documents/guests/ops", content=body), 400, "invalid_request")

    async def test_bodies_are_bounded(self, client: httpx.AsyncClient, is_problem: Check) -> None:
        answer = await client.post("/w/documents/guests/ops", content=b" " * (256 * 1024 + 1))
        is_problem(answer, 413, "body_too_large")
        part = {"document": "guests", "operations": [{"op": "delete", "root": "guests", "record": "g_1"}] * 501}
        is_problem(await client.post("/w/ops", json={"parts": [part, part]}), 400, "invalid_request")


class TestTogether:
    async def test_two_documents_change_together_or_not_at_all(
        self, client: httpx.AsyncClient, is_problem: Check
    ) -> None:
        guest = {"document": "guests", "operations": [insert("g_1", firstName="Ann")]}
        seat = {"document": "seating", "operations": [set_("g_1", None, {"table": "t_1", "seat": -1}, "assignments")]}
        answer = await client.post("/together/ops", json={"parts": [guest, seat]})
        is_problem(answer, 422, "operations_refused")
        assert [(each["document"], each["index"]) for each in answer.json()["problems"]] == [("seating", 0)]
        assert (await rows(client, "together"), await rows(client, "together", "seating")) == ({}, {})
        seat["operations"][0]["value"]["seat"] = 1  # type: ignore[index]
        answer = await client.post("/together/ops", json={"parts": [guest, seat]})
        assert (answer.status_code, answer.json()) == (200, {"operations": 2})
        assert "g_1" in (await rows(client, "together"))["guests"]
        assert "g_1" in (await rows(client, "together", "seating"))["assignments"]

    async def test_documents_that_nobody_has_open(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/closed/ops", json={"parts": everywhere(1)})
        assert answer.status_code == 200, answer.text
        for name in ONE_OF_EACH:
            assert (await rows(client, "closed", name))["meta"] == {"": {"x:test.key": 1}}

    async def test_it_is_one_update_for_those_who_are_connected(
        self, client: httpx.AsyncClient, server: ServerProcess
    ) -> None:
        async with connect(f"{server.ws_url}/heard/guests", compression=None, proxy=None) as websocket:
            await websocket.recv()
            await operate(client, "heard", insert("g_1", firstName="Ann"), set_("g_1", "meal", "fish"))
            (message,) = decode_messages(await websocket.recv(decode=False))
        assert isinstance(message, SyncUpdate)
        doc: Doc[Any] = Doc()
        doc.apply_update(message.update)
        assert doc.get("guests", type=Map).to_py() == {"g_1": {"firstName": "Ann", "meal": "fish", "note": ""}}

    async def test_clients_and_programs_edit_together(self, client: httpx.AsyncClient, server: ServerProcess) -> None:
        async with YClient(f"{server.ws_url}/mixed/guests", "ann") as ann:
            await ann.until(lambda: ann.synced)
            guests: Map[Any] = ann.doc.get("guests", type=Map)
            guests["g_1"] = Map({"firstName": "Ann"})
            await ann.flush()
            await ann.until(lambda: ann.saved)
            assert (await operate(client, "mixed", set_("g_1", "meal", "fish"))).status_code == 200
            await ann.until(lambda: "meal" in guests["g_1"])
            guests["g_1"]["meal"] = "beef"
            await ann.flush()
            await ann.until(lambda: ann.saved)
        assert (await rows(client, "mixed"))["guests"]["g_1"] == {"firstName": "Ann", "meal": "beef"}
        conflicts = (await client.get("/mixed/conflicts")).json()["conflicts"]
        assert conflicts == []  # everybody had seen what they changed

    async def test_events_name_who_did_it(self, client: httpx.AsyncClient) -> None:
        await operate(client, "actor", insert("g_1"), params={"user": "u_maria", "role": "planner"})
        (event,) = (await client.get("/actor/events")).json()["events"]
        assert event["actor"] == {"user": "u_maria", "role": "planner"}


async def test_the_calls_are_described(client: httpx.AsyncClient, server: ServerProcess) -> None:
    page = (await client.get(f"{server.url}/api/openapi.json")).json()
    stem = "/api/weddings/{wedding}"
    bodies = {}
    for path in (f"{stem}/ops", f"{stem}/documents/{{document}}/ops", f"{stem}/conflicts/{{conflict}}/resolve"):
        content = page["paths"][path]["post"]["requestBody"]["content"]
        bodies[path] = content["application/json"]["schema"]
    assert "$defs" not in json.dumps(bodies)
    operation = bodies[f"{stem}/documents/{{document}}/ops"]["properties"]["operations"]["items"]
    assert [each["properties"]["op"]["const"] for each in operation["oneOf"]] == OPS
    for path in ("events", "events/stream", "conflicts", "documents/{document}", "documents/{document}/digest"):
        assert page["paths"][f"{stem}/{path}"]["get"]["description"]


def test_the_example_runs(server: ServerProcess) -> None:
    done = subprocess.run(
        ["sh", "examples/operations.sh", server.url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ('{"operations": 4} (first)\n{"operations": 4} (second)', '"code": "choice"', '"sha256"', "\nid: 1\n"):
        assert said in done.stdout


def test_the_operations_of_the_documentation_are_all_there_are() -> None:
    section = (ROOT / "documents/README.md").read_text().split("## Without Yjs")[1].split("\n## ")[0]
    assert list(dict.fromkeys(re.findall(r"^\| `(\w+)` \| `root`", section, re.MULTILINE))) == OPS


class TestIdempotency:
    async def test_the_same_command_is_answered_as_before(self, client: httpx.AsyncClient, is_problem: Check) -> None:
        headers = {"Idempotency-Key": "once"}
        first = await operate(client, "once", insert("g_1"), headers=headers)
        again = await operate(client, "once", insert("g_1"), headers=headers)
        assert (first.status_code, first.text) == (again.status_code, again.text) == (200, '{"operations": 1}')
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert len((await client.get("/once/events")).json()["events"]) == 1
        other = await operate(client, "once", insert("g_2"), headers=headers)
        is_problem(other, 422, "idempotency_key_reused")
        for params in ({"role": "planner"}, {"role": "vendor", "vendor": "v_1"}):
            refused = await operate(client, "once", insert("g_1"), headers=headers, params=params)
            is_problem(refused, 422, "idempotency_key_reused")
        assert (await operate(client, "twice", insert("g_1"), headers=headers)).status_code == 200

    async def test_a_key_is_that_of_one_person(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "own"}
        for user in ("ann", "bo"):
            params = {"user": user}
            first = await operate(client, "own", insert(f"g_{user}"), headers=headers, params=params)
            assert (first.status_code, "idempotency-replayed" in first.headers) == (200, False), first.text
            again = await operate(client, "own", insert(f"g_{user}"), headers=headers, params=params)
            assert (again.text, again.headers["idempotency-replayed"]) == (first.text, "true")
        assert set((await rows(client, "own"))["guests"]) == {"g_ann", "g_bo"}

    async def test_an_answer_under_the_key_of_a_wedding_is_found_by_its_person_alone(
        self, client: httpx.AsyncClient, server: ServerProcess
    ) -> None:
        headers = {"Idempotency-Key": "former"}
        assert (await operate(client, "former", insert("g_1"), headers=headers)).status_code == 200
        await run_sql(server.database_url, update(answers).where(answers.c.wedding == "former").values(key="former"))
        again = await operate(client, "former", insert("g_1"), headers=headers)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        other = await operate(client, "former", insert("g_2"), headers=headers, params={"user": "bo"})
        assert (other.status_code, "idempotency-replayed" in other.headers) == (200, False), other.text

    async def test_what_was_refused_may_be_put_right(self, client: httpx.AsyncClient, is_problem: Check) -> None:
        headers = {"Idempotency-Key": "right"}
        is_problem(await operate(client, "right", insert("g_1", side=3), headers=headers), 422, "operations_refused")
        assert (await operate(client, "right", insert("g_1", side="a"), headers=headers)).status_code == 200

    async def test_many_at_the_same_time_are_one(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "race"}
        all_ = await asyncio.gather(*(operate(client, "race", insert("g_1"), headers=headers) for _ in range(10)))
        assert {(each.status_code, each.text) for each in all_} == {(200, '{"operations": 1}')}
        assert sum("idempotency-replayed" in each.headers for each in all_) == 9
        assert (await client.get("/race/events")).json()["head"] == 1

    @pytest.mark.parametrize("key", ["", "a" * 201, "ä"])
    async def test_keys_that_are_none(self, client: httpx.AsyncClient, is_problem: Check, key: str) -> None:
        headers = {"Idempotency-Key": key.encode()}
        is_problem(await operate(client, "w", insert("g_1"), headers=headers), 400, "invalid_request")

    async def test_a_killed_server_remembers_what_it_did_for_seven_days(self, tmp_path: Path) -> None:
        server = ServerProcess(tmp_path, env={"CRDT_SERVER_DOCUMENT_HOSTS": "1"})
        server.start()
        try:
            headers = {"Idempotency-Key": "kill"}
            url = f"{server.url}/api/weddings"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
                assert (await operate(client, "w", insert("g_1"), headers=headers)).status_code == 200
                assert (await client.post("/all/ops", json={"parts": everywhere(1)})).status_code == 200
                old = {"Idempotency-Key": "old"}
                assert (await operate(client, "old", insert("g_1"), headers=old)).status_code == 200
            server.kill9()
            long_ago = datetime.now(UTC) - timedelta(days=7, minutes=1)
            aged = update(answers).where(answers.c.wedding == "old").values(at=long_ago)
            await run_sql(server.database_url, aged)
            server.start()
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
                again = await operate(client, "w", insert("g_1"), headers=headers)
                assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
                assert (await rows(client, "w"))["guests"] == {"g_1": {"note": ""}}
                assert (await client.get("/w/events")).json()["head"] == 1
                assert (await client.post("/all/ops", json={"parts": everywhere(2)})).status_code == 200
                for name in ONE_OF_EACH:
                    assert (await rows(client, "all", name))["meta"] == {"": {"x:test.key": 2}}
                assert (await operate(client, "old", insert("g_2"), headers=old)).status_code == 200
        finally:
            server.close()


async def test_a_forbidden_operation_is_in_the_audit_log(with_members: LocalServer, members: httpx.AsyncClient) -> None:
    value = {"label": "1", "locked": {"at": AT}}
    body = {"operations": [{"op": "insert", "root": "tables", "record": "t_1", "value": value}]}
    answer = await members.post("/documents/seating/ops", json=body, headers=as_user("u_ann"))
    assert [each["code"] for each in answer.json()["problems"]] == ["not_allowed"]
    await with_members.hub.audit.flush()
    (entry,) = [each for each in await with_members.hub.storage.audit("w") if each.action == "write.refused"]
    assert (entry.actor, json.loads(entry.detail)["paths"]) == ("u_ann", ["seating/tables/t_1/locked"])
