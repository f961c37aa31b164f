"""Rows as a program in the same process edits them: nested mappings in, one command out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from crdt_server import Settings, create_app
from crdt_server.access.identity import Identity
from crdt_server.editing import EditedDocument, Editor
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.hub.commands import NoSchemaError, OperationsRefusedError
from documents.ordering import NoPlaceError
from documents.registry import kind_of

ANN = Identity("u_ann", "couple")


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    settings = Settings(dev=True, document_hosts=1, database_url=database_url)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def editor(app: FastAPI) -> Editor:
    server: Editor = app.state.server
    return server


async def test_everything_that_can_be_written(editor: Editor) -> None:
    async with editor.edit("w", "guests", ANN) as rows:
        guests = rows["guests"]
        assert (len(rows), len(guests), list(guests)) == (4, 0, [])
        ann = guests.insert("g_1", {"firstName": "Ann", "order": "a0"})
        assert dict(ann) == {"firstName": "Ann", "order": "a0", "note": ""}
        ann["meal"] = "fish"
        ann["checkedIn"] = {"at": "2026-06-20T12:00:00Z", "by": "u_ann"}
        ann["checkedIn"]["by"] = "somebody"  # a copy
        ann.edit_text("note", 0, insert="sings")
        ann.edit_text("note", 4, delete=1, insert="er 🎤")
        guests.insert("g_2", {"order": "a1"})
        guests.insert("g_3", {"order": "a2", "note": "old"})["note"] = "new"
        guests.move("g_3", after="g_1")
        del ann["firstName"]
        rows["meta"]["x:test.key"] = [1]
        seen = {name: {record: dict(guests[record]) for record in guests} for name in ("guests",)}
    stored = await editor.read("w", "guests", ANN)
    assert stored["guests"] == seen["guests"]
    assert stored["guests"]["g_1"]["note"] == "singer 🎤"
    assert stored["guests"]["g_1"]["checkedIn"]["by"] == "u_ann"
    assert "a0" < stored["guests"]["g_3"]["order"] < "a1"
    assert stored["meta"] == {"": {"x:test.key": [1]}}


async def test_values_and_texts(editor: Editor) -> None:
    async with editor.edit("w", "seating", ANN) as rows:
        rows["assignments"]["g_1"] = {"table": "t_1", "seat": 1}
        rows["assignments"]["g_2"] = {"table": "t_1", "seat": 2}
        rows["assignments"]["g_2"]["seat"] = 7  # a copy
    async with editor.edit("w", "seating", ANN) as rows:
        assert rows["assignments"]["g_2"] == {"table": "t_1", "seat": 2}
        del rows["assignments"]["g_1"]
        assert list(rows["assignments"]) == ["g_2"]
    assert (await editor.read("w", "seating", ANN))["assignments"] == {"g_2": {"table": "t_1", "seat": 2}}
    async with editor.edit("w", "wedding", ANN) as rows:
        assert rows["board"] == ""
        rows["board"] = "Ideas"
        rows.edit_text("board", 5, insert="!")
        assert rows["board"] == "Ideas!"
    assert (await editor.read("w", "wedding", ANN))["board"] == {"": "Ideas!"}


async def test_all_or_nothing(app: FastAPI, editor: Editor) -> None:
    async def fail() -> None:
        async with editor.edit("w", "guests", ANN) as rows:
            rows["guests"].insert("g_1", {})
            raise ZeroDivisionError

    async def overdo() -> None:
        async with editor.edit("w", "guests", ANN) as rows:
            rows["guests"].insert("g_1", {})
            rows["guests"].insert("g_2", {"side": "left"})

    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(OperationsRefusedError) as refused:
        await overdo()
    assert [(each["index"], each["code"]) for each in refused.value.problems] == [(1, "choice")]
    async with editor.edit("w", "guests", ANN) as rows:
        assert list(rows["guests"]) == []
    assert await app.state.hub.storage.event_head("w") == 0


async def test_it_is_carried_out_on_what_others_have_written_meanwhile(app: FastAPI, editor: Editor) -> None:
    async with editor.edit("w", "guests", ANN) as rows:
        rows["guests"].insert("g_1", {"note": "tall"})
    async with editor.edit("w", "guests", ANN) as mine:
        async with editor.edit("w", "guests", Identity("u_bo", "planner")) as theirs:
            theirs["guests"]["g_1"]["meal"] = "fish"
            theirs["guests"]["g_1"].edit_text("note", 0, insert="very ")
        assert "meal" not in mine["guests"]["g_1"]
        mine["guests"]["g_1"]["side"] = "a"
    guest = (await editor.read("w", "guests", ANN))["guests"]["g_1"]
    assert guest == {"note": "very tall", "meal": "fish", "side": "a"}
    events = await app.state.hub.storage.events("w")
    assert [(event.seq, '"u_bo"' in event.body) for event in events] == [(1, False), (2, True), (3, False)]


async def test_mistakes_are_told_where_they_are_made(editor: Editor) -> None:
    mistakes: list[type[Exception]] = []
    async with editor.edit("w", "guests", ANN) as rows:
        guests = rows["guests"]
        guests.insert("g_1", {"note": "tall"})
        for mistake in (
            lambda: rows["nothing"],
            lambda: guests["g_9"],
            lambda: guests.insert("g_1", {}),
            lambda: guests.move("g_9", after=None),
            lambda: guests.move("g_1", after="g_9"),
            lambda: guests.__setitem__("g_1", {}),
            lambda: rows.__setitem__("guests", {}),
            lambda: guests["g_1"].__delitem__("meal"),
            lambda: guests["g_1"].edit_text("note", 4, delete=1),
        ):
            with pytest.raises((LookupError, TypeError, NoPlaceError)) as caught:
                mistake()
            mistakes.append(caught.type)
    assert mistakes == [KeyError] * 4 + [NoPlaceError] + [TypeError] * 2 + [KeyError, IndexError]
    assert (await editor.read("w", "guests", ANN))["guests"] == {"g_1": {"note": "tall"}}


@pytest.mark.parametrize(
    ("document", "error"), [("notes.a", NoSchemaError), ("nothing", NotFoundError), ("../w", NotFoundError)]
)
async def test_documents_without_rows(editor: Editor, document: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await editor.read("w", document, ANN)


@pytest.mark.parametrize("value", [1 << 64, "\ud800"])
async def test_what_no_message_can_carry(editor: Editor, value: Any) -> None:
    async def write() -> None:
        async with editor.edit("w", "guests", ANN) as rows:
            rows["meta"]["x:test.key"] = value

    with pytest.raises(ProtocolError, match="a number is too large, or a text is no Unicode"):
        await write()


def test_everything_is_read_as_a_mapping() -> None:
    kind = kind_of("wedding")
    assert kind is not None
    rows: dict[str, Any] = {"places": {"p_1": {"name": "Barn"}}}
    read = EditedDocument(kind, rows)
    assert {name: len(read[name]) for name in read if read[name]} == {"places": 1}
    assert {**read["places"]["p_1"]} == {"name": "Barn"}


async def test_an_operation_of_the_wrong_type_reaches_no_host(editor: Editor) -> None:
    with pytest.raises(ProtocolError, match="malformed: Expected `str`"):
        async with editor.edit("w", "guests", ANN) as rows:
            rows["guests"].insert(5, {"order": "a0"})
    assert (await editor.read("w", "guests", ANN))["guests"] == {}
