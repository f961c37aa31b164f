"""Why a person may or may not read and write a field: the lines of the policy and the rules that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from crdt_server.access.access import Action
from crdt_server.access.identity import Identity
from crdt_server.access.members import KnownThread
from crdt_server.access.policy import NO_OVERRIDES, Explanation, Overrides, Policy
from crdt_server.access.policy_access import decide, no_derived
from crdt_server.access.threads import decide_thread, thread_of
from documents.categories import POSITIONS, AccessCategory, category_of
from documents.derived import DerivedDocument
from documents.field_rules import OWN, RESERVED, STAMPED, FieldRule, is_stamp
from documents.kind import Kind, Root
from documents.registry import kind_of

NO_THREADS: Final[Mapping[str, KnownThread]] = MappingProxyType({})


class NothingToExplain(Exception):
    """There is no such document, or no such field in documents of its kind."""


def explain(
    policy: Policy,
    person: Identity,
    document: str,
    field: str,
    overrides: Overrides = NO_OVERRIDES,
    find_derived: Callable[[str], DerivedDocument | None] = no_derived,
    *,
    threads: Mapping[str, KnownThread] = NO_THREADS,
) -> Iterator[str]:
    """Lines for people. ``field``: `root.key`, or the root alone; ``threads``: those of the wedding. Raises
    NothingToExplain."""
    derived = find_derived(document) if "@" in document else None
    kind = kind_of(document if derived is None else derived.source)
    if kind is None:
        raise NothingToExplain(f"there can be no document {document!r}")
    root, key = _field(kind if derived is None else derived.kind, field)
    own = ", ".join(f"{name} {value}" for name, value in zip(_OWN, person[2:5], strict=True) if value)
    yield f"{person.user}: {person.role}{f' ({own})' if own else ''}"
    category = category_of(kind.name)
    reading = Action.READ_PART if derived is not None else _reading(policy, document)
    opened = decide(policy, person, Action.READ, document, find_derived, overrides)
    thread = threads.get(thread_of(document) or "")
    opened = decide_thread(policy, person, Action.READ, thread, opened, overrides)
    yield _line(f"read {document}", opened is None, policy.explain(person, category, reading, overrides))
    if thread is not None:
        yield f"  {person.user} takes {'' if person.user in thread.users else 'no '}part in this thread ({thread.type})"
    if opened is not None and derived is not None:
        yield f"  {opened.reason}"
    if reading is Action.WRITE:
        yield "  documents of this kind are read only by those who write them"
    if derived is None:
        written = list(_writing(policy, person, kind, root, key, overrides))
    else:
        written = list(_writing_derived(policy, person, derived, root, key, overrides))
    yield from written
    if opened is not None and ": allowed; " in written[0]:
        where = "a derived document" if thread_of(document) is None else "a thread that they take part in"
        yield f"  in {where}: this one they may not open"


_OWN = ("vendor", "guest", "side")


def _reading(policy: Policy, document: str) -> Action:
    rule = policy.document_rule(document)
    assert rule is not None
    return rule.read


def _field(kind: Kind, field: str) -> tuple[Root | None, str | None]:
    name, _, key = field.partition(".")
    if kind.free:
        return None, None
    root = kind.roots.get(name)
    if root is None:
        raise NothingToExplain(f"{kind.name} has no root {name!r}, but {', '.join(kind.roots)}")
    if key and (root.record is None or (root.key(key) is None and not key.startswith("x:"))):
        whole = "" if root.record is not None else f": its records are written whole, so give {name}"
        raise NothingToExplain(f"{kind.name}.{name} has no key {key!r}{whole}")
    return root, key or None


def _writing(
    policy: Policy, person: Identity, kind: Kind, root: Root | None, key: str | None, overrides: Overrides
) -> Iterator[str]:
    name = "" if root is None else root.name
    category = category_of(kind.name, name, key)
    what = "write " + (f"{name}.{key}" if key else name or "anything")
    explained = policy.explain(person, category, Action.WRITE, overrides)
    if root is not None and not root.clients_may_write(key):
        yield _line(what, False, explained._replace(why="only the server writes this"))
        return
    letter = _letter(policy, person, category, overrides)
    rule = _deciding_rule(person, letter, kind, name, key)
    allowed = letter == "W" if rule is None else person.role in rule.roles
    yield _line(what, allowed, explained)
    if rule is not None:
        yield f"  rule on {_fields_of(rule)}: {rule.text}"
    if allowed and root is not None and (is_stamp(root, key) or key == "by"):
        yield f"  {STAMPED}"
    if rule is None and letter == "O":
        yield "  no rule makes this one of their own things"


def _writing_derived(
    policy: Policy, person: Identity, derived: DerivedDocument, root: Root | None, key: str | None, overrides: Overrides
) -> Iterator[str]:
    """Explain a derived document: its writes go to its source, where not all that it shows is writable."""
    assert root is not None
    projection = derived.declaration.projections[root.name]
    kind = kind_of(projection.document)
    assert kind is not None
    if root.clients_may_write(key):
        yield from _writing(policy, person, kind, kind.roots[projection.source], key, overrides)
        return
    explained = policy.explain(person, category_of(kind.name, projection.source, key), Action.WRITE, overrides)
    what = f"write {root.name}.{key}" if key else f"write {root.name}"
    yield _line(what, False, explained._replace(why=f"{derived.name} shows it, to be read"))


def _letter(policy: Policy, person: Identity, category: AccessCategory, overrides: Overrides) -> str:
    if person.role not in policy.roles:
        return "-"
    return policy.rights_to_write(person.role, overrides)[POSITIONS[category]]


def _deciding_rule(person: Identity, letter: str, kind: Kind, root: str, key: str | None) -> FieldRule | None:
    if letter == "W":
        return next((rule for rule in RESERVED if rule.covers(kind.name, root, key)), None)
    for rule in OWN:
        if rule.covers(kind.name, root, key) and person.role in rule.roles and (letter == "O" or rule.any_letter):
            return rule
    return None


def _fields_of(rule: FieldRule) -> str:
    return f"{rule.kind or 'each kind'}.{rule.root or 'each root'}: {', '.join(sorted(rule.keys or ())) or 'all of it'}"


def _line(what: str, allowed: bool, explained: Explanation) -> str:
    return f"{what}: {'allowed' if allowed else 'forbidden'}; {explained.line}; {explained.why}"
