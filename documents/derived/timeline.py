"""`timeline@public`, `timeline@team`, `timeline@v.{vendor}`: the running order for guests, helpers and vendors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from documents import timeline
from documents.changes import Change
from documents.derived.emergencies import EVERYONE, VENDORS, emergencies, raised_emergencies
from documents.derived.model import NOT_WRITABLE, Declaration, Dependency, Projection, View, picked, remembered, shown
from documents.fields import Reason

if TYPE_CHECKING:
    from documents.events import Actor

_ITEMS: Final = timeline.KIND.roots["items"]
_PUBLIC: Final = shown(_ITEMS, "title", "start", "duration", "place", "status", "order")
_TEAM: Final = shown(_ITEMS, *_ITEMS.keys, *(key.name for key in _ITEMS.families.values()))
_VENDORS: Final = shown(
    _ITEMS,
    "title", "start", "duration", "minDuration", "rigidity", "kind", "place", "track", "keyMoment", "status",
    "actualStart", "actualEnd", "order", "vendor:", "after:", "vendorNote:",
    writable=("status", "actualStart", "actualEnd", "vendorNote:"),
)  # fmt: skip
_SEEN_OR_NOT: Final = frozenset({"visibility", "deleted", None})


def _item(view: View, record: str | None) -> dict[str, Any] | None:
    """An item that is neither deleted nor private."""
    found = view.source.record("timeline", "items", record)
    return None if found is None or found.get("visibility") == "private" else found


def _public(view: View, record: str) -> dict[str, Any] | None:
    found = _item(view, record)
    return picked(_PUBLIC, found) if found is not None and found.get("visibility") == "public" else None


def _team(view: View, record: str) -> dict[str, Any] | None:
    found = _item(view, record)
    return None if found is None else picked(_TEAM, found)


def _is_own(view: View, item: Any) -> bool:
    return type(item) is dict and f"vendor:{view.own}" in item


def _own_items(view: View) -> set[str]:
    """The items of the vendor, private ones too."""
    rows = view.source.rows("timeline", "items")
    return remembered(view, "own", lambda: [item for item, row in rows.items() if _is_own(view, row)])


def _successors(view: View, record: str) -> list[str]:
    """The items that come after an item."""
    key = f"after:{record}"
    return [item for item, row in view.source.rows("timeline", "items").items() if type(row) is dict and key in row]


def _of_vendor(view: View, record: str) -> dict[str, Any] | None:
    found = _item(view, record)
    if found is None or not (
        _is_own(view, found)
        or found.get("keyMoment") is True
        or any(f"after:{record}" in (_item(view, item) or ()) for item in _own_items(view))
    ):
        return None
    own = {f"vendor:{view.own}", f"vendorNote:{view.own}"}
    row = {key: value for key, value in picked(_VENDORS, found).items() if not key.startswith("vendor") or key in own}
    for key in [key for key in row if key.startswith("after:")]:
        if _item(view, key.removeprefix("after:")) is None:
            del row[key]
    return row


def _neighbours(view: View, change: Change) -> Iterable[str]:
    """Items that are shown for the sake of the changed one, and those that name it."""
    key = change.key or ""
    if key.startswith("after:"):
        yield key.removeprefix("after:")
    elif key == f"vendor:{view.own}" or change.key in _SEEN_OR_NOT:
        row = view.source.rows("timeline", "items").get(change.record)
        (_own_items(view).add if _is_own(view, row) else _own_items(view).discard)(change.record)
        for each in row if type(row) is dict else ():
            if each.startswith("after:"):
                yield each.removeprefix("after:")
        if change.key in _SEEN_OR_NOT:
            yield from _successors(view, change.record)


def _refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    item = view.source.record("timeline", "items", change.record)
    if not _is_own(view, item):
        return Reason("read_only", "you may write in items of your own")
    if change.key is not None and change.key.startswith("vendorNote:") and change.key != f"vendorNote:{view.own}":
        return NOT_WRITABLE
    return None


DECLARATIONS: Final = (
    Declaration(
        "timeline@public",
        "The running order for guests.",
        (Projection(root=_PUBLIC, document="timeline", source="items", row=_public), emergencies(EVERYONE)),
        roles={"guest"},
    ),
    Declaration(
        "timeline@team",
        "The running order for those who help: all items but private ones, with remarks.",
        (Projection(root=_TEAM, document="timeline", source="items", row=_team), emergencies(EVERYONE)),
        roles={"family", "wedding_party"},
    ),
    Declaration(
        "timeline@v",
        "The running order for one vendor: their own items, key moments, and what comes right before their own.",
        (
            Projection(
                root=_VENDORS,
                document="timeline",
                source="items",
                row=_of_vendor,
                dependencies=(Dependency("timeline", "items", _neighbours),),
                refuses=_refuses,
            ),
            raised_emergencies(VENDORS),
        ),
        roles={"venue", "caterer", "photographer", "vendor"},
        own="vendor",
    ),
)
