"""A Python client of the sample wedding: python examples/guests.py [ws://127.0.0.1:8000]

Needs `pycrdt-websocket` and `httpx-ws`. Counts who comes to the reception, and answers for the first who has not.
"""

import asyncio
import sys
from collections import Counter

from httpx_ws import aconnect_ws
from pycrdt import Doc, Map, Provider
from pycrdt.websocket.websocket import HttpxWebsocket

SERVER = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000"
ROOM = "demo/guests"
EVENT = "rsvp:e_reception"


async def main() -> None:
    """Join the room as a planner, read, and write one key."""
    doc: Doc = Doc()
    guests = doc.get("guests", type=Map)
    address = f"{SERVER.replace('ws', 'http', 1)}/ws/{ROOM}?user=pat&role=planner"
    async with aconnect_ws(address) as socket, Provider(doc, HttpxWebsocket(socket, ROOM)) as provider:
        await provider.synced.wait()
        print(dict(Counter(str(guest.get(EVENT, "pending")) for guest in guests.values())))
        waiting = next(
            guest for guest in guests.values() if "firstName" in guest and guest.get(EVENT, "pending") == "pending"
        )
        waiting[EVENT] = "yes"
        await asyncio.sleep(0.5)  # the provider sends in the background
        print(f"{waiting['firstName']} comes.")


if __name__ == "__main__":
    asyncio.run(main())
