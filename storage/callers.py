"""For whom a call of the store is made: a person, or the server itself."""

import asyncio
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref

SERVER = ""
"""The key of calls that the server makes for everybody: opening documents, routing, housekeeping."""

_PERSON: ContextVar[tuple[ReferenceType[asyncio.Task[Any]], str] | None] = ContextVar("person", default=None)


def begin_call(person: str) -> None:
    """Count what this task reads and writes from now on for a person.

    Tasks that it starts are not meant: they may serve others, and live longer than the request.
    """
    task = asyncio.current_task()
    if task is not None:
        _PERSON.set((ref(task), person))


def current_caller() -> str:
    """The person for whom this task calls, or `SERVER`."""
    begun = _PERSON.get()
    if begun is None or begun[0]() is not asyncio.current_task():
        return SERVER
    return begun[1]
