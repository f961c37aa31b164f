"""Events: what a change of a document means, as a type with a priority, and with the values before and after.

- One event per record and type. A record that is added or removed is one event with all its keys; otherwise every key
  falls under the first rule of its root (`RULES`) that fits it. In a root that is one record only the keys count.
- Deleting softly has the same type as removing for good, which may follow; the latter has no `after`. Deleting the key
  `deleted` is `…restored`.
- Nothing that changes goes without an event, so that folding the events of a document from the first gives its rows.
- Edits of a text that go on are one event, which names all writers; of a long text it has the differences only.
- Priorities: 0 overrides all preferences, 1 overrides quiet hours, 2 notifies, 3 is listed, 4 is for the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from documents.events.rules import BY_SEVERITY, OVER_LIMIT, RULES, TYPES, Changed, On, Rules, priority_of, rules_about
from documents.events.splices import Splice, apply_splices
from documents.kind import Kind

if TYPE_CHECKING:  # those who only read events need no pycrdt
    from documents.changes import Change, Changes, RowsByRoot


class Actor(NamedTuple):
    """The user who makes a change."""

    user: str
    role: str
    vendor: str = ""
    """The vendor of the wedding for which the user acts, if any."""
    guest: str = ""
    """The guest of the wedding who the user is, if any."""
    side: str = ""
    """Of family, the side of the couple: ``a`` or ``b``."""
    rights: str = ""
    """The user's rights to write, a letter for each `documents.categories.AccessCategory` in order: ``W`` everything
    that the role may, ``O`` their own, ``-`` nothing. Empty: no rules apply, as with ``--dev``."""


class DocumentEvent(NamedTuple):
    """One change of one record. Values are shared with the rows: not to be changed."""

    type: str
    """One of `TYPES`: `guest.rsvp`, `timeline.item.moved`…"""
    priority: int
    """0 (an emergency) to 4."""
    at: str
    """When, RFC 3339 in UTC."""
    actor: Actor
    document: str
    root: str
    record: str
    fields: tuple[str, ...]
    """Names of the keys that changed, sorted; none where the row is one value."""
    before: Any
    """The changed keys that were there and their values, or the one value of the row; None: there was no row."""
    after: Any
    """The changed keys that are there and their values, or the one value of the row; None: there is no row.
    `before` and `after` are both None where the change is that of another event, or is in `edits`."""
    cause: str | None = None
    """Id of the conflict or command from which it follows."""
    edits: tuple[Splice, ...] = ()
    """The differences of a text, in place of `before` and `after` where they are shorter."""
    others: tuple[Actor, ...] = ()
    """Other authors of edits of the text that this event is about, after `actor`."""

    def as_json(self) -> dict[str, Any]:
        """The event as plain JSON; without `cause`, `edits` and `others` where there are none."""
        envelope: dict[str, Any] = {
            "type": self.type,
            "priority": self.priority,
            "at": self.at,
            "actor": {"user": self.actor.user, "role": self.actor.role},
            "document": self.document,
            "root": self.root,
            "record": self.record,
            "fields": list(self.fields),
            "before": self.before,
            "after": self.after,
        }
        if self.cause is not None:
            envelope["cause"] = self.cause
        if self.edits:
            envelope["edits"] = [splice.as_json() for splice in self.edits]
        if self.others:
            envelope["others"] = [{"user": other.user, "role": other.role} for other in self.others]
        return envelope


def events_of(
    kind: Kind,
    document: str,
    changes: Changes,
    actor: Actor,
    at: str,
    *,
    live: bool = False,
    cause: str | None = None,
) -> list[DocumentEvent]:
    """The events that the changes of one document are, in the order of the changes.

    `live`: whether the wedding takes place right now. `cause`: the conflict or command from which the changes follow.
    Of a kind without schema there are no changes and so no events.
    """
    if len(changes.fields) == 1 and not changes.added and not changes.removed:  # nearly always
        return [_event_of(kind.name, document, changes.fields[0], actor, at, live=live, cause=cause)]
    added, removed = changes.added and set(changes.added), changes.removed and set(changes.removed)
    rows: dict[tuple[str, str], Changed] = {}
    for change in changes.fields:
        rows.setdefault((change.root, change.record), {})[change.key] = change
    for row in (*changes.added, *changes.removed):
        rows.setdefault(row, {})  # records without keys
    events = []
    for (root, record), changed in rows.items():
        on = On.ADDED if (root, record) in added else On.REMOVED if (root, record) in removed else On.CHANGED
        for type, keys in _types(_rules(kind.name, root, on, changed), on, changed).items():
            fields, before, after = _values(on, changed, keys)
            priority = _priority(type, after, live)
            event = DocumentEvent(type, priority, at, actor, document, root, record, fields, before, after, cause)
            events += [event, *_also(event)]
    return events


def _event_of(
    kind: str, document: str, change: Change, actor: Actor, at: str, *, live: bool, cause: str | None
) -> DocumentEvent:
    """The event of one key of a record that was there before and is there still."""
    root, record, key, before, after = change
    type = next(rule.type for rule in rules_about(kind, root, key) if rule.fits_key(change))
    priority = priority_of(type, live=live)
    if key is None:
        return DocumentEvent(type, priority, at, actor, document, root, record, (), before, after, cause)
    was = {} if before is None else {key: before}
    becomes = {} if after is None else {key: after}
    return DocumentEvent(type, priority, at, actor, document, root, record, (key,), was, becomes, cause)


def _rules(kind: str, root: str, on: On, changed: Changed) -> Rules:
    """Those that may fit."""
    if on is On.CHANGED and len(changed) == 1:  # nearly always
        return rules_about(kind, root, *changed)
    return RULES[kind, root]


def _types(rules: Rules, on: On, changed: Changed) -> dict[str, list[str | None]]:
    """The types of one row's changes, each with its keys."""
    if on is not On.CHANGED:
        for rule in rules:
            if rule.fits_row(on, changed):
                return {rule.type: list(changed)}
    types: dict[str, list[str | None]] = {}
    rest = dict(changed)
    for rule in rules:
        taken = rule.takes(rest)
        if taken:
            types.setdefault(rule.type, []).extend(taken)
            for key in taken:
                del rest[key]
            if not rest:
                break
    return types


def _values(on: On, changed: Changed, keys: list[str | None]) -> tuple[tuple[str, ...], Any, Any]:
    """The names of the keys, and what they were and are."""
    if None in changed:
        return (), changed[None].before, changed[None].after
    names = tuple(sorted(key for key in keys if key is not None))
    before, after = {}, {}
    for name in names:
        _, _, _, was, becomes = changed[name]
        if was is not None:
            before[name] = was
        if becomes is not None:
            after[name] = becomes
    return names, None if on is On.ADDED else before, None if on is On.REMOVED else after


def _priority(type: str, after: Any, live: bool) -> int:
    if type == "conflict.opened":
        return BY_SEVERITY.get(str(after.get("_severity")), priority_of(type))
    return priority_of(type, live=live)


def _also(event: DocumentEvent) -> Iterator[DocumentEvent]:
    """Other events of the same change, without its values."""
    if event.type == "conflict.opened" and event.after.get("_kind") == "B1":
        yield event._replace(type=OVER_LIMIT, priority=priority_of(OVER_LIMIT), fields=(), before=None, after=None)


def fold(events: Iterable[DocumentEvent | Mapping[str, Any]]) -> dict[str, RowsByRoot]:
    """The rows of each document after these events, as far as the events contain them.

    Events may come as they are or as JSON. Those of one document have to be in their order. Roots in which nothing has
    ever been are not there.
    """
    documents: dict[str, RowsByRoot] = {}
    for event in events:
        _fold(documents, event if isinstance(event, Mapping) else event.as_json())
    return documents


def _fold(documents: dict[str, RowsByRoot], event: Mapping[str, Any]) -> None:
    before, after, edits = event["before"], event["after"], event.get("edits")
    if before is None and after is None and not edits:
        return
    rows = documents.setdefault(event["document"], {}).setdefault(event["root"], {})
    if edits:
        _fold_text(rows, event)
    elif after is None:
        rows.pop(event["record"], None)
    elif event["fields"]:
        row = rows.setdefault(event["record"], {})
        for name in event["fields"]:
            row.pop(name, None)
        row.update(after)
    else:
        rows[event["record"]] = dict(after) if isinstance(after, dict) else after


def _fold_text(rows: dict[str, Any], event: Mapping[str, Any]) -> None:
    record, edits = event["record"], event["edits"]
    if not event["fields"]:
        rows[record] = apply_splices(rows.get(record, ""), edits)
        return
    (name,) = event["fields"]
    row = rows.setdefault(record, {})
    row[name] = apply_splices(row.get(name, ""), edits)


__all__ = ["TYPES", "Actor", "DocumentEvent", "Splice", "events_of", "fold", "priority_of"]
