"""`guests@…`: the guest list for a guest, one side of the families, the coordinator, service and the wedding party."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from documents import care, guests
from documents.changes import Change
from documents.derived.answers import answers_are_closed
from documents.derived.emergencies import EVERYONE, PLANNERS, VENDORS, emergencies
from documents.derived.model import NOT_WRITABLE, Declaration, Dependency, Projection, View, picked, remembered, shown
from documents.derived.seats import DEPENDENCIES, TABLE, table_id, with_table
from documents.fields import Reason
from documents.kind import Key
from documents.shared import NAME

if TYPE_CHECKING:
    from documents.events import Actor

_GUESTS: Final = guests.KIND.roots["guests"]
_HOUSEHOLDS: Final = guests.KIND.roots["households"]
_CARE: Final = care.KIND.roots["care"]
_NOT_SHOWN: Final = Reason("missing", "there is no such record, or you may not add it")


def _guest(view: View, record: str | None) -> dict[str, Any] | None:
    return view.source.record("guests", "guests", record)


def _is_shared(row: dict[str, Any] | None, side: str) -> bool:
    """Whether a guest or household belongs to one side, or to both."""
    return row is not None and row.get("side") in (side, "both")


# -- one guest

_SELF: Final = shown(
    _GUESTS,
    "firstName", "lastName", "household", "kind", "email", "phone", "plusOneOf", "plusOnesAllowed", "meal", "rsvp:",
    more=(TABLE,),
    writable=("firstName", "lastName", "kind", "plusOneOf", "meal", "rsvp:"),
    growing=True,
)  # fmt: skip
_OWN_HOUSEHOLD: Final = shown(_HOUSEHOLDS, "name", "address", "greeting")
_OWN_CARE: Final = shown(_CARE, "diet:", "allergy:", "access", writable=("diet:", "allergy:", "access"))
_OF_PLUS_ONES: Final = frozenset({"firstName", "lastName", "kind", "meal"})


def _plus_ones(view: View) -> set[str]:
    """Those whom the guest brings, deleted ones too."""
    rows = view.source.rows("guests", "guests")
    return remembered(view, "brought", lambda: [guest for guest, row in rows.items() if _is_brought(view, row)])


def _is_brought(view: View, row: Any) -> bool:
    return type(row) is dict and row.get("plusOneOf") == view.own


def _self(view: View, record: str) -> dict[str, Any] | None:
    found = _guest(view, record)
    if found is None:
        return None
    if record == view.own:
        return with_table(view, record, picked(_SELF, found))
    if found.get("plusOneOf") != view.own:
        return None
    row = with_table(view, record, picked(_SELF, found))
    for key in ("email", "phone", "household", "plusOnesAllowed"):
        row.pop(key, None)
    return row


def _self_records(view: View) -> Iterable[str]:
    return [view.own, *_plus_ones(view)]


def _own_or_brought(view: View, change: Change) -> Iterable[str]:
    brought = _plus_ones(view)
    if change.record == view.own or change.record in brought:
        yield change.record
    if change.key in ("plusOneOf", None):
        if _is_brought(view, view.source.rows("guests", "guests").get(change.record)):
            brought.add(change.record)
            yield change.record
        else:
            brought.discard(change.record)


def _own_seat(view: View, change: Change) -> Iterable[str]:
    return (change.record,) if change.record == view.own or change.record in _plus_ones(view) else ()


def _own_table(view: View, change: Change) -> Iterable[str]:
    if change.key not in ("label", "deleted", None):
        return ()
    return [guest for guest in _self_records(view) if table_id(view, guest) == change.record]


def _self_refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    key = change.key or ""
    if key.startswith("rsvp:") or key == "meal":
        return None
    if change.record == view.own:
        return NOT_WRITABLE
    if key == "plusOneOf":
        return None if change.before is None and change.after == view.own else NOT_WRITABLE
    return None if key in _OF_PLUS_ONES else NOT_WRITABLE


def _self_adds(view: View, record: str, actor: Actor, others: int) -> dict[str, Any] | Reason:
    """A plus-one, as long as there may be more."""
    host = _guest(view, view.own)
    allowed = None if host is None else host.get("plusOnesAllowed")
    brought = sum(_guest(view, guest) is not None for guest in _plus_ones(view))
    if host is None or type(allowed) is not int or brought + others >= allowed:
        return Reason("plus_ones", "you may bring no more people")
    row: dict[str, Any] = {key: host[key] for key in ("household", "side") if key in host}
    return row | {"plusOneOf": view.own, "note": ""}


def _own_household(view: View, record: str) -> dict[str, Any] | None:
    host = _guest(view, view.own)
    if host is None or host.get("household") != record:
        return None
    found = view.source.record("guests", "households", record)
    return None if found is None else picked(_OWN_HOUSEHOLD, found)


def _own_household_records(view: View) -> Iterable[str]:
    row = view.source.rows("guests", "guests").get(view.own)  # also of a guest who is deleted now
    household = row.get("household") if type(row) is dict else None
    return [household] if type(household) is str else []


def _moved(view: View, change: Change) -> Iterable[str]:
    """The households of the guest before and after a change."""
    if change.record != view.own:
        return ()
    if change.key == "household":
        return [each for each in (change.before, change.after) if type(each) is str]
    return _own_household_records(view) if change.key in ("deleted", None) else ()


def _lived_in(view: View, change: Change) -> Iterable[str]:
    host = _guest(view, view.own)
    return (change.record,) if host is not None and host.get("household") == change.record else ()


def _own_care(view: View, record: str) -> dict[str, Any] | None:
    if record != view.own or _guest(view, record) is None:
        return None
    found = view.source.rows("care", "care").get(record)
    if found is None:
        return {}  # to be written into
    return None if type(found) is not dict or "deleted" in found else picked(_OWN_CARE, found)


def _own_only(view: View, change: Change) -> Iterable[str]:
    return (view.own,) if change.record == view.own else ()


def _is_removal(view: View, change: Change) -> Iterable[str]:
    return (view.own,) if change.record == view.own and change.key in ("deleted", None) else ()


def _own_records(view: View) -> Iterable[str]:
    return (view.own,)


def _care_refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    return None


def _care_adds(view: View, record: str, actor: Actor, others: int) -> dict[str, Any] | Reason:
    return {"note": ""} if record == view.own else _NOT_SHOWN


_OF_ONE: Final = (
    Projection(
        root=_SELF,
        document="guests",
        source="guests",
        row=_self,
        records=_self_records,
        dependencies=(
            Dependency("guests", "guests", _own_or_brought),
            Dependency("seating", "assignments", _own_seat),
            Dependency("seating", "tables", _own_table),
        ),
        refuses=_self_refuses,
        closed=answers_are_closed,
        adds=_self_adds,
    ),
    Projection(
        root=_OWN_HOUSEHOLD,
        document="guests",
        source="households",
        row=_own_household,
        records=_own_household_records,
        dependencies=(
            Dependency("guests", "guests", _moved),
            Dependency("guests", "households", _lived_in),
        ),
    ),
    Projection(
        root=_OWN_CARE,
        document="care",
        source="care",
        row=_own_care,
        records=_own_records,
        dependencies=(Dependency("care", "care", _own_only), Dependency("guests", "guests", _is_removal)),
        refuses=_care_refuses,
        adds=_care_adds,
    ),
)

# -- one side of the families

_FULL: Final = tuple(key for key in (*_GUESTS.keys, *(each.name for each in _GUESTS.families.values())))
_SIDE: Final = shown(_GUESTS, *_FULL, writable=[key for key in _FULL if key not in ("note", "checkedIn")], growing=True)
_SIDE_HOUSEHOLDS: Final = shown(_HOUSEHOLDS, *_HOUSEHOLDS.keys, writable=tuple(_HOUSEHOLDS.keys), growing=True)


def _of_side(view: View, record: str) -> dict[str, Any] | None:
    found = _guest(view, record)
    if found is None or _is_shared(found, view.own):
        return None if found is None else picked(_SIDE, found)
    return {key: found[key] for key in ("firstName", "lastName") if key in found}


def _household_of_side(view: View, record: str) -> dict[str, Any] | None:
    found = view.source.record("guests", "households", record)
    if found is None or _is_shared(found, view.own):
        return None if found is None else picked(_SIDE_HOUSEHOLDS, found)
    return {key: found[key] for key in ("name",) if key in found}


def _side_refuses(root: str) -> Any:
    def refuses(view: View, change: Change, actor: Actor) -> Reason | None:
        found = view.source.rows("guests", root).get(change.record)
        if change.key == "side" and change.before is not None:
            return Reason("read_only", "only the couple and their planner move somebody to the other side")
        if found is None:
            wrong = change.key == "side" and change.after != view.own
            return Reason("read_only", "you may add to your own side only") if wrong else None
        return None if _is_shared(found, view.own) else Reason("read_only", "you may write of your own side only")

    return refuses


def _guest_of_side(view: View, record: str, actor: Actor, others: int) -> dict[str, Any] | Reason:
    return {"side": view.own, "note": ""}


def _new_household_of_side(view: View, record: str, actor: Actor, others: int) -> dict[str, Any] | Reason:
    return {"side": view.own}


_OF_SIDE: Final = (
    Projection(
        root=_SIDE,
        document="guests",
        source="guests",
        row=_of_side,
        refuses=_side_refuses("guests"),
        adds=_guest_of_side,
    ),
    Projection(
        root=_SIDE_HOUSEHOLDS,
        document="guests",
        source="households",
        row=_household_of_side,
        refuses=_side_refuses("households"),
        adds=_new_household_of_side,
    ),
)

# -- the coordinator, service, the wedding party

_COORD: Final = shown(
    _GUESTS, "firstName", "lastName", "party", "kind", "phone", "rsvp:", "checkedIn", writable=("checkedIn", "rsvp:")
)
_PHONES: Final = shown(_GUESTS, "firstName", "lastName", "phone")
_NAME: Final = Key("name", "name", NAME, "First name and the initial of the last.")
_SERVICE: Final = shown(_GUESTS, "meal", "kind", more=(_NAME, TABLE))
_PARTY: Final = shown(_GUESTS, "firstName", "lastName", "party", "household")
_HOUSEHOLD_NAMES: Final = shown(_HOUSEHOLDS, "name", "order")


def _coord(view: View, record: str) -> dict[str, Any] | None:
    found = _guest(view, record)
    if found is None:
        return None
    row = picked(_COORD, found)
    if not view.source.live:
        row.pop("phone", None)
    return row


def _phone(view: View, record: str) -> dict[str, Any] | None:
    found = _guest(view, record)
    return None if found is None else picked(_PHONES, found)


def _when_live(view: View, change: Change) -> Iterable[str]:
    return view.source.rows("guests", "guests") if change.key == "phase" else ()


def _coord_refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    return None


def short_name(guest: dict[str, Any]) -> str:
    """`Chloé O.`"""
    first, last = guest.get("firstName"), guest.get("lastName")
    initial = f"{last[0]}." if type(last) is str and last else ""
    return f"{first if type(first) is str else ''} {initial}".strip()


def _service(view: View, record: str) -> dict[str, Any] | None:
    found = _guest(view, record)
    return None if found is None else with_table(view, record, {**picked(_SERVICE, found), "name": short_name(found)})


def _party(view: View, record: str) -> dict[str, Any] | None:
    found = _guest(view, record)
    return picked(_PARTY, found) if found is not None and "party" in found else None


def _household_name(view: View, record: str) -> dict[str, Any] | None:
    found = view.source.record("guests", "households", record)
    return None if found is None else picked(_HOUSEHOLD_NAMES, found)


DECLARATIONS: Final = (
    Declaration(
        "guests@self",
        "One guest: their answers, those they bring, their household, their table and their diet.",
        (*_OF_ONE, emergencies(EVERYONE)),
        roles={"guest"},
        own="guest",
    ),
    Declaration(
        "guests@side",
        "The guests of one side of the families; of the other side the names.",
        (*_OF_SIDE, emergencies(EVERYONE)),
        roles={"family"},
        own="side",
        choices=("a", "b"),
    ),
    Declaration(
        "guests@coord",
        "The guests for the coordinator; with telephone numbers while the wedding is live.",
        (
            Projection(
                root=_COORD,
                document="guests",
                source="guests",
                row=_coord,
                dependencies=(Dependency("wedding", "meta", _when_live),),
                refuses=_coord_refuses,
            ),
            emergencies(PLANNERS),
        ),
        roles={"coordinator"},
    ),
    Declaration(
        "guests@phones",
        "Telephone numbers, for those to whom a grant opens this document.",
        (Projection(root=_PHONES, document="guests", source="guests", row=_phone), emergencies(PLANNERS)),
        roles=(),
    ),
    Declaration(
        "guests@service",
        "The guests for those who serve them: short names, meals and tables.",
        (
            Projection(root=_SERVICE, document="guests", source="guests", row=_service, dependencies=DEPENDENCIES),
            emergencies(VENDORS),
        ),
        roles={"venue", "caterer"},
    ),
    Declaration(
        "guests@party",
        "The wedding party, and the names of households.",
        (
            Projection(root=_PARTY, document="guests", source="guests", row=_party),
            Projection(root=_HOUSEHOLD_NAMES, document="guests", source="households", row=_household_name),
            emergencies(VENDORS),
        ),
        roles={"photographer", "wedding_party"},
    ),
)
