"""Query parameters that no call declares and no `Access` reads are refused: a misspelled one would do nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request

from crdt_server.errors import InvalidField, InvalidRequestError

OF_DEV = frozenset(("user", "role", "vendor", "guest", "side", "name", "enforce"))
"""Parameters of ``--dev``, also of requests with a token: pages send both."""

MOST_NAME = 40
"""Characters of an unknown name that are sent back."""


class ReadParameters(Mapping[str, str]):
    """The parameters of a query, and the names of those that were read."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        self.read.update(self._parameters)
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


def refuse_unknown(request: Request, read: Collection[str] = ()) -> None:
    """Raise InvalidRequestError for a parameter that the call does not take. ``read``: those that access takes."""
    if not request.query_params:
        return
    known = {"token", *declared(request), *read}
    if request.app.state.hub.settings.dev:
        known |= OF_DEV
    for name in request.query_params:
        if name not in known:
            takes = ", ".join(sorted(declared(request))) or "no parameters"
            fault = InvalidField(name[:MOST_NAME], f"one of: {takes}" if declared(request) else takes)
            raise InvalidRequestError(f"there is no parameter {fault.field}", fault)


def declared(request: Request) -> frozenset[str]:
    """The names of the parameters that a call declares."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
        return frozenset()
    return frozenset(_names(route.dependant))


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _names(each)
