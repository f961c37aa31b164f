"""Messages: each is numbered when it arrives, and of one that is redacted no text is left."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt_server.judge.commands import command
from crdt_server.judge.merging import collected
from crdt_server.pipe import CommandBody, CommandDone, CommandPart, CommandRefused
from documents.categories import AccessCategory
from documents.events import Actor
from documents.invariants import UNKNOWN, Field
from tests.judge.bench import Bench, Replica
from tests.support.effort import examples

THREAD = "thread.day"
AT = "2026-05-01T10:00:00Z"
TEXT = "the ring is under the oak"
MESSAGES = list(AccessCategory).index(AccessCategory.MESSAGES)


def rights(letter: str) -> str:
    return "".join(letter if n == MESSAGES else "-" for n in range(len(AccessCategory)))


DJ, FLORA = Actor("dj", "vendor", rights=rights("O")), Actor("flora", "vendor", rights=rights("O"))
MARIA = Actor("maria", "planner", rights=rights("W"))


def bench_of(*actors: Actor) -> tuple[Bench, list[Replica]]:
    bench = Bench({}, names=("wedding", THREAD))
    replicas = []
    for number, actor in enumerate(actors):
        replica = bench.join(actor.user, actor.role, 100 + number)
        replica.actor = actor
        replicas.append(replica)
    return bench, replicas


def say(replica: Replica, message: str, body: str = "Hello", **more: object) -> None:
    value = {"from": replica.actor.user, "at": AT, "kind": "text", "body": body, **more}
    replica.set(THREAD, "messages", message, None, value)


def redact(replica: Replica, message: str) -> None:
    replica.set(THREAD, "redactions", message, None, {"at": AT, "by": replica.actor.user})


def sequences(bench: Bench) -> dict[str, int]:
    stamps = bench.documents[THREAD].rows.roots["stamps"]
    return {message: stamp["sequence"] for message, stamp in stamps.items()}


def test_messages_are_numbered_in_the_order_in_which_they_arrive() -> None:
    bench, (dj, maria) = bench_of(DJ, MARIA)
    bench.part(dj)
    say(dj, "m2")
    say(dj, "m1")
    say(maria, "m9")
    bench.sync(maria)
    bench.sync(dj)
    bench.sync(maria)
    assert sequences(bench) == {"m9": 1, "m1": 2, "m2": 3}
    for replica in (dj, maria):
        stamps = replica.rows(THREAD)["stamps"]
        assert {message: stamp["sequence"] for message, stamp in stamps.items()} == sequences(bench)
        assert {stamp["at"] for stamp in stamps.values()} == {bench.state.at}
    types = [event["type"] for event in bench.events]
    assert types == ["message.sent", "message.stamped"] + ["message.sent"] * 2 + ["message.stamped"] * 2


def test_a_command_is_numbered_too_and_nobody_writes_a_stamp() -> None:
    bench, (dj,) = bench_of(DJ)
    value = {"from": "dj", "at": AT, "kind": "text", "body": "Hello"}
    bench.begin_batch()
    operation = {"op": "set", "root": "messages", "record": "m1", "value": value}
    done = command(bench.state, DJ, CommandBody([CommandPart(THREAD, [operation])]), 100)  # type: ignore[list-item]
    assert isinstance(done, CommandDone)
    bench.commit()
    dj.set(THREAD, "stamps", "m1", None, {"sequence": 77, "at": AT})
    (notice,) = bench.sync(dj)
    assert [each["code"] for each in notice["reverted"]] == ["server_only"]
    assert sequences(bench) == {"m1": 1}


def test_messages_from_before_there_were_stamps_are_numbered_with_the_next() -> None:
    old = {name: {"from": "dj", "at": AT, "kind": "text", "body": TEXT} for name in ("a1", "a2", "a3")}
    roots = {"messages": old, "stamps": {"a2": {"sequence": 7, "at": AT}}, "redactions": {"a3": {"by": "dj", "at": AT}}}
    bench = Bench({THREAD: roots}, names=("wedding", THREAD))
    dj = bench.join("dj", "vendor", 100)
    assert sequences(bench) == {"a2": 7}
    say(dj, "m1")
    bench.sync(dj)
    assert sequences(bench) == {"a2": 7, "a1": 8, "a3": 9, "m1": 10}
    messages = bench.documents[THREAD].rows.roots["messages"]
    assert {name: message["body"] for name, message in messages.items()} == {
        "a1": TEXT,
        "a2": TEXT,
        "a3": "",
        "m1": "Hello",
    }
    bench.check()


@given(st.lists(st.sampled_from(("dj", "flora", "maria", "restart", "sync dj", "sync maria", "redact")), max_size=25))
@settings(max_examples=examples(30))
def test_numbers_rise_without_a_duplicate_whatever_happens(steps: list[str]) -> None:
    bench, replicas = bench_of(DJ, FLORA, MARIA)
    by_user = {replica.actor.user: replica for replica in replicas}
    bench.part(*replicas)
    seen: dict[str, int] = {}
    for count, step in enumerate(steps):
        if step == "restart":
            bench.reopen()
        elif step == "redact":
            if seen:
                redact(by_user["maria"], min(seen))
        elif step.startswith("sync "):
            bench.sync(by_user[step.removeprefix("sync ")])
        else:
            say(by_user[step], f"m{count:03}")
        now = sequences(bench)
        assert {message: now[message] for message in seen} == seen, "a number stays"
        new = [number for message, number in now.items() if message not in seen]
        assert not new or min(new) > max(seen.values(), default=0), "and later ones are higher"
        assert len(set(now.values())) == len(now)
        seen = now
    for replica in replicas:
        bench.sync(replica)
    assert sequences(bench).keys() == bench.documents[THREAD].rows.roots["messages"].keys()
    bench.check()


def stored_text(bench: Bench) -> list[str]:
    """Where the text is still to be found, besides in the updates and in what was an event before."""
    rows = [str(key) for key, image in bench.mirror.items() if TEXT in str(image)]
    return rows + [event["type"] for event in bench.events if TEXT in json.dumps(event)]


@pytest.mark.parametrize("by", ["author", "organizer"])
def test_of_a_redacted_message_only_who_and_when_is_left(by: str) -> None:
    bench, (dj, maria) = bench_of(DJ, MARIA)
    attachment = {"id": "a1", "name": TEXT, "mediaType": "text/plain", "size": 1, "sha256": "0" * 64}
    say(dj, "m1", TEXT, attachments=[attachment], context={"document": "budget", "record": TEXT})
    bench.sync(dj)
    say(dj, "m2", "Sorry", inReplyTo="m1")
    bench.sync(dj)
    bench.sync(maria)
    redact(dj if by == "author" else maria, "m1")
    assert bench.sync(dj if by == "author" else maria) == []
    bench.check()
    for replica in (dj, maria):
        bench.sync(replica)
        assert replica.rows(THREAD)["messages"]["m1"] == {"from": "dj", "at": AT, "kind": "text", "body": ""}
        assert TEXT.encode() not in replica.doc(THREAD).get_update()
    assert stored_text(bench) == ["message.sent"], "which the store empties"
    writer = bench.state.wedding.writer(*Field(THREAD, "messages", "m1", None))
    assert (writer.user, writer.before) == ("dj", UNKNOWN)
    kept = b"".join(collected(bench.updates[THREAD], len(bench.updates[THREAD])))
    assert TEXT.encode() not in kept
    bench.reopen()
    assert stored_text(bench) == ["message.sent"]
    assert bench.reviews() == []


def test_a_message_that_comes_after_its_redaction_is_empty_at_once() -> None:
    bench, (dj,) = bench_of(DJ)
    bench.part(dj)
    with dj.doc(THREAD).transaction():
        redact(dj, "m1")
        say(dj, "m1", TEXT)
    assert bench.sync(dj) == []
    assert bench.documents[THREAD].rows.roots["messages"]["m1"]["body"] == ""
    assert stored_text(bench) == ["message.sent"]


def test_what_is_undone_is_redacted_and_empty() -> None:
    bench, (dj,) = bench_of(DJ)
    say(dj, "m1", TEXT)
    bench.sync(dj)
    dj.delete(THREAD, "messages", "m1")
    assert bench.sync(dj) == []
    assert bench.documents[THREAD].rows.roots["messages"]["m1"]["body"] == ""
    assert bench.documents[THREAD].rows.roots["redactions"]["m1"]["by"] == "dj"


def test_nobody_but_the_author_and_organizers_takes_a_message_back() -> None:
    bench, (dj, flora) = bench_of(DJ, FLORA)
    say(dj, "m1", TEXT)
    bench.sync(dj)
    bench.sync(flora)
    bench.part(flora)
    for attempt in ("redaction", "removal", "both", "of none"):
        with flora.doc(THREAD).transaction():
            if attempt in ("removal", "both"):
                flora.delete(THREAD, "messages", "m1")
            if attempt in ("redaction", "both"):
                redact(flora, "m1")
            if attempt == "of none":
                redact(flora, "m7")
        (notice,) = bench.sync(flora)
        assert {each["code"] for each in notice["reverted"]} <= {"not_allowed", "final"}, attempt
        roots = bench.documents[THREAD].rows.roots
        assert (roots["messages"]["m1"]["body"], roots["redactions"]) == (TEXT, {}), attempt
        assert flora.rows(THREAD) == roots
    bench.begin_batch()
    operation = {"op": "set", "root": "redactions", "record": "m1", "value": {"at": AT, "by": "flora"}}
    refused = command(bench.state, FLORA, CommandBody([CommandPart(THREAD, [operation])]), 100)  # type: ignore[list-item]
    assert isinstance(refused, CommandRefused)
