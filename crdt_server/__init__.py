"""A Yjs sync server: every document is a room, every update is stored before it is sent to anyone.

`create_app(settings)` gives the ASGI application; `Settings` is every setting. Both are imported when first used,
because the document hosts import this package too and must stay small.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crdt_server.app import create_app
    from crdt_server.settings import Settings

__all__ = ["Settings", "create_app"]

_HOMES = {"create_app": "crdt_server.app", "Settings": "crdt_server.settings"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
