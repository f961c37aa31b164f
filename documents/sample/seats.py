"""The document `seating`: the tables of the reception, who sits where, and who should."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from documents.invariants.model import Field
from documents.sample.day import place_ids
from documents.sample.draft import DAY, Author, Draft, number

LOCKED_AT: Final = -24 * DAY
_FIXTURES: Final = (
    ("dance", 0, 0), ("stage", 0, -500), ("bar", 900, -300), ("buffet", 900, 300), ("exit", -1000, 0)
)  # fmt: skip
_RULES: Final = (("apart", 10), ("together", 10), ("near", 3), ("front", 2))


def seat(draft: Draft) -> None:
    """Seats for 95 % of those who come: the wedding party at the head table, households together, some places free."""
    draft.documents["seating"] = {
        "meta": {"": {"_version": 1}}, "tables": {}, "assignments": {}, "rules": {}, "fixtures": {}
    }  # fmt: skip
    ballroom = place_ids(draft)["ballroom"]
    scale = -(-draft.guests // 250)
    rounds = max(2, -(-draft.guests * 26 // 250))
    head = _add_table(draft, "Head table", "rectangle", 14, ballroom)
    long = [_add_table(draft, f"Long {number + 1}", "rectangle", 16, ballroom) for number in range(2 * scale)]
    round_tables = [_add_table(draft, str(number + 1), "round", 10, ballroom) for number in range(rounds)]
    number(draft.rows("seating", "tables").values())
    coming = _coming(draft)
    rows = draft.rows("guests", "guests")
    crew = [people for people in coming if "tag:crew" in rows[people[0]]]
    party = [people for people in coming if "party" in rows[people[0]]]
    others = [people for people in coming if not rows[people[0]].keys() & {"tag:crew", "party"}]
    _fill(draft, [head], party, {})
    _fill(draft, long, crew, {})
    at_long = guests_by_table(draft)
    others = _without_some(draft, others, sum(map(len, coming)) * 5 // 100)
    _fill(draft, [*round_tables, *long], others, {table: len(at_long[table]) for table in long})
    _lock(draft, [head, *round_tables[:2]])
    _rules(draft)
    for kind, x, y in _FIXTURES:
        draft.rows("seating", "fixtures")[draft.chance.id("f")] = {
            "kind": kind, "position": {"x": x, "y": y}, "size": {"width": 400, "height": 250}
        }  # fmt: skip


def _add_table(draft: Draft, label: str, shape: str, capacity: int, place: str) -> str:
    tables = draft.rows("seating", "tables")
    table, (x, y) = draft.chance.id("t"), _place(tables.values(), shape)
    width = 180 if shape == "round" else capacity // 2 * 60
    tables[table] = {
        "label": label, "shape": shape, "capacity": capacity, "place": place,
        "position": {"x": x, "y": y, "rotation": 0},
        "size": {"width": width, "height": 180 if shape == "round" else 90},
    }  # fmt: skip
    return table


def _place(tables: Collection[Mapping[str, Any]], shape: str) -> tuple[int, int]:
    """Where the next table stands, in centimetres: long ones three to a row, in front of round ones, six to a row."""
    long = sum(table["shape"] != "round" for table in tables)
    if shape != "round":
        row, column = divmod(long, 3)
        return 600 * column - 600, 300 * row + 500
    row, column = divmod(len(tables) - long, 6)
    return 300 * column - 750, 300 * (row - -long // 3) + 500


def _coming(draft: Draft) -> list[list[str]]:
    """Those of each household who come to the reception."""
    households: dict[str, list[str]] = {}
    for guest, row in draft.rows("guests", "guests").items():
        if row.get("rsvp:e_reception") == "yes":
            households.setdefault(row["household"], []).append(guest)
    return list(households.values())


def _without_some(draft: Draft, households: list[list[str]], left_out: int) -> list[list[str]]:
    """All but a few guests, household by household: they have no seat yet."""
    seated = []
    for people in draft.chance.shuffled(households):
        if len(people) <= left_out:
            left_out -= len(people)
        else:
            seated.append(people)
    return seated


def _fill(draft: Draft, tables: list[str], households: list[list[str]], taken: dict[str, int]) -> None:
    """Household by household to the first table that has room; one or two places stay free at most tables."""
    chance, rows = draft.chance, draft.rows("seating", "tables")
    free = {table: rows[table]["capacity"] - taken.get(table, 0) for table in tables}
    spare = {table: 0 if len(tables) == 1 or chance.happens(20) else chance.between(1, 2) for table in tables}
    numbered = {table: not chance.happens(15) for table in tables}
    for people in households:
        fitting = (table for table in tables if len(people) <= free[table] - spare[table])
        # When all tables are nearly full the spare places are used.
        table = next(fitting, None) or next(table for table in tables if len(people) <= free[table])
        for guest in people:
            seat = rows[table]["capacity"] - free[table]
            draft.rows("seating", "assignments")[guest] = {"table": table, "seat": seat if numbered[table] else None}
            free[table] -= 1


def _lock(draft: Draft, tables: list[str]) -> None:
    """Tables that are settled, by the planner, after everybody there had a seat."""
    planner, seats, at = draft.user("planner"), draft.rows("seating", "assignments"), guests_by_table(draft)
    for table in tables:
        draft.locked["seating", table] = {guest: seats[guest] for guest in at[table]}
        draft.rows("seating", "tables")[table]["locked"] = {"at": draft.instant(LOCKED_AT), "by": planner}
        draft.written[Field("seating", "tables", table, "locked")] = Author(planner, "planner", LOCKED_AT)


def guests_by_table(draft: Draft) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {table: [] for table in draft.rows("seating", "tables")}
    for guest, seat in draft.rows("seating", "assignments").items():
        result.setdefault(seat["table"], []).append(guest)
    return result


def _rules(draft: Draft) -> None:
    """25 rules for 250 guests, all kept."""
    chance, tables = draft.chance, [people for people in guests_by_table(draft).values() if len(people) > 1]
    for kind, count in _RULES:
        for index in range(-(-count * draft.guests // 250)):
            if kind == "apart":
                one, other = chance.shuffled(tables)[:2]
                pair = [chance.pick(one), chance.pick(other)]
            else:
                pair = chance.shuffled(chance.pick(tables))[:2]
            rule: dict[str, Any] = {"kind": kind, "hard": kind == "apart" and index % 5 < 4}
            rule |= {f"guest:{guest}": True for guest in (pair[:1] if kind == "front" else pair)}
            if kind == "apart":
                rule["reason"] = draft.words(3, 8)
            draft.rows("seating", "rules")[chance.id("r")] = rule
