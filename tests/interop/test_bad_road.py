"""Real updates in random order, with drops and repetitions: everybody and the store end equal to Yjs.

CRDT_INTEROP_SHUFFLES says how many runs (1,000 for the long one), CRDT_INTEROP_SEED where to begin.
"""

import os

from tests.interop.clients import Room
from tests.support.effort import examples

RUNS = int(os.environ.get("CRDT_INTEROP_SHUFFLES", examples(30, 10)))
FIRST_SEED = int(os.environ.get("CRDT_INTEROP_SEED", "1"))
EDITS = 12  # of each of three clients, in each of three rounds


def test_shuffled_dropped_and_repeated_updates(room: Room) -> None:
    dropped = repeated = closes = 0
    for seed in range(FIRST_SEED, FIRST_SEED + RUNS):
        document = f"notes.shuffle-{seed}"
        state = room.api.replace(room.document, document) + "/state"
        done = room.node.call("shuffle", url=room.url, room=document, stateUrl=state, seed=seed, edits=EDITS)
        dropped += done["dropped"]
        repeated += done["repeated"]
        closes += len(done["closes"])
    last = FIRST_SEED + RUNS - 1
    print(
        f"seeds {FIRST_SEED} to {last}: {dropped} updates dropped, {repeated} repeated, {closes} sockets closed on us"
    )
    assert dropped > RUNS
    assert repeated > RUNS
