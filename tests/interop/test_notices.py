"""Notices on the y-websocket wire: a stock client prints nothing, and the documented lines read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from crdt_server.protocol.messages import PermissionDenied
from crdt_server.protocol.ywebsocket import YWEBSOCKET

README = Path(__file__).parents[2] / "documents" / "README.md"
SNIPPET = re.compile(r"test_notices\.py[^\n]*\n```javascript\n(.*?)```", re.DOTALL)
NOTICE = {
    "reverted": [{"root": "items", "record": "i_1", "key": "start", "code": "type"}],
    "why": "minutes expected",
}
SCRIPT = """
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
const frame = Uint8Array.from(FRAME)
const printed = []
console.warn = console.error = (...words) => printed.push(words.join(' '))
const options = { connect: false, disableBc: true, WebSocketPolyfill: Object }
const provider = new WebsocketProvider('ws://127.0.0.1:1', 'room', new Y.Doc(), options)
const receive = () => {
  const decoder = decoding.createDecoder(frame)
  provider.messageHandlers[decoding.readVarUint(decoder)](null, decoder, provider, false, 2)
  return decoding.hasContent(decoder)
}
receive()
const stock = printed.splice(0)
const shown = []
const show = (...words) => shown.push(words.filter(Boolean).join(' '))
READER
const rest = receive()
console.log(JSON.stringify({ stock, shown, rest }))
process.exit(0)
"""


def test_a_stock_client_prints_nothing_and_the_documented_lines_read_it(run_node: Callable[..., str]) -> None:
    found = SNIPPET.search(README.read_text())
    assert found is not None
    imported, _, reader = found[1].partition("\n\n")
    frame = list(YWEBSOCKET.encode(PermissionDenied(json.dumps(NOTICE))))
    script = f"{imported}\n{SCRIPT.replace('FRAME', str(frame)).replace('READER', reader)}"
    shown = json.loads(run_node("--input-type=module", "--eval", script))
    assert shown == {"stock": [], "shown": ["items/i_1/start: type", "minutes expected"], "rest": False}
