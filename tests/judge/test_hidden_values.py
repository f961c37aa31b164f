"""What a derived document does not show any more is nothing that its readers could find out by guessing."""

from __future__ import annotations

import pytest

from crdt_server.judge.ledger import SERVER_ACTOR
from crdt_server.pipe import Status
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from crdt_server.protocol.update import decode_structs
from documents.events import Actor
from documents.invariants import Op
from tests.judge.audiences import open_derived
from tests.judge.bench import Bench

CASTLE = "The castle"


@pytest.mark.parametrize("guess", [CASTLE, "The garden"])
def test_a_guess_of_a_hidden_value_is_answered_as_any_other(guess: str) -> None:
    item = {"title": CASTLE, "start": 900, "visibility": "public"}
    bench = Bench({"timeline": {"items": {"t_1": item}}})
    document = open_derived(bench, "timeline@public")
    document.flush()
    (shown,) = [
        struct
        for piece in range(len(document.pieces))
        for struct in decode_structs(document.pieces[piece]).structs
        if CASTLE in str(struct.value)
    ]
    bench.state.write([Op("delete", "timeline", "items", "t_1", "visibility")], SERVER_ACTOR)
    bench.state.derived.refresh()
    assert document.rows.roots["items"] == {}
    content = b"\1w" + write_var_string(guess)  # one JSON value
    claimed = b"\1\1" + write_var_uint(shown.client) + write_var_uint(shown.clock)
    update = claimed + b"\x28\1" + write_var_string("items") + write_var_string("x") + content + b"\0"
    guest = Actor("u_ann", "guest", guest="g_1")
    bench.begin_batch()
    (judgement,) = bench.state.receive(document, [(update, None)], [(guest, None)], lambda _: None)
    assert judgement.status is Status.KNOWN
