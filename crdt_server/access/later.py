"""A value that is computed from one that has to be waited for, without a task of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import Any, Generic, TypeVar

Before = TypeVar("Before")
After = TypeVar("After")


class Later(Awaitable[After], Generic[Before, After]):
    """``then(await before)``, awaited as well where that has to be waited for."""

    def __init__(self, before: Awaitable[Before], then: Callable[[Before], After | Awaitable[After]]) -> None:
        self._before = before
        self._then = then

    def __await__(self) -> Generator[Any, Any, After]:
        after = self._then((yield from self._before.__await__()))
        if isawaitable(after):
            after = yield from after.__await__()
        return after
