"""Threads: who opens them, who makes one of which type, and who may add whom.

Pure. A role with W in messages opens every thread but those of a closed type, which are for those alone who take part.
A role with O opens the threads that it takes part in.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from crdt_server.access.access import Action, Decision, Denied
from crdt_server.access.identity import Identity
from crdt_server.access.members import COUPLE, VENDOR_ROLES, KnownThread
from crdt_server.access.policy import NO_OVERRIDES, Decides, Overrides, Policy
from crdt_server.access.scopes import in_scope, outside_scope, scope_decision
from documents.categories import AccessCategory

TYPES: Final = ("general", "vendor", "planning", "emergency", "family")
CLOSED_TYPES: Final = ("family",)
"""Threads for those alone who take part."""

CLOSED: Final = KnownThread(CLOSED_TYPES[0], frozenset())
"""A thread that nobody opens."""

ORGANIZERS: Final = (COUPLE, "planner", "coordinator")
FAMILY: Final = ("family", "wedding_party")
THREAD: Final = "thread."
"""The beginning of the names of documents with the messages of a thread."""

NOT_FOUND: Final = Denied("not_found", "no such wedding or document")


def thread_of(document: str) -> str | None:
    """The thread whose messages a document has; None: of none."""
    return document.removeprefix(THREAD) if document.startswith(THREAD) else None


def document_of(thread: str) -> str:
    """The document with the messages of a thread."""
    return THREAD + thread


def decide_thread(
    policy: Policy,
    identity: Identity,
    action: Action,
    thread: KnownThread | None,
    denied: Decision,
    overrides: Overrides = NO_OVERRIDES,
) -> Decision:
    """The decision about the document of a thread. ``denied``: that of the policy about documents of threads;
    ``thread`` None: there is none, and the policy decides."""
    if thread is None:
        return denied
    if identity.user not in thread.users:
        return denied if thread.type not in CLOSED_TYPES else NOT_FOUND
    if denied is None or identity.role not in policy.roles or action is Action.ADMINISTER:
        return denied
    cell = policy.cell(identity.role, AccessCategory.MESSAGES, overrides)
    if not cell.allows(Action.WRITE_OWN):
        return denied
    if not in_scope(identity.scope, AccessCategory.MESSAGES, action):
        readable = in_scope(identity.scope, AccessCategory.MESSAGES, Action.READ)
        return outside_scope(AccessCategory.MESSAGES) if readable else NOT_FOUND
    return None


class ThreadPowers(NamedTuple):
    """The rights of a person over the threads of a wedding."""

    takes_part: Decision
    """Whether they may take part in any."""
    opens_all: bool
    """Whether they open all threads that are not closed."""
    organizes: bool
    """Whether they change these, too."""
    raises: bool
    """Whether they may raise emergencies."""


def powers(access: Decides, actor: Identity, wedding: str) -> ThreadPowers:
    """The rights of a person over the threads of a wedding."""
    messages = AccessCategory.MESSAGES
    return ThreadPowers(
        access.may(actor, Action.WRITE_OWN, wedding, messages),
        access.may(actor, Action.READ, wedding, messages) is None,
        access.may(actor, Action.WRITE, wedding, messages) is None,
        access.may(actor, Action.WRITE_OWN, wedding, AccessCategory.DAY) is None,
    )


def may_make(actor: Identity, type_: str, *, organizes: bool, raises: bool) -> Decision:
    """Whether somebody who takes part in threads may make one of a type: see `ThreadPowers`. A person without
    `Identity.rights` may: nobody holds them to the policy."""
    if not actor.rights or type_ in _types_of(actor.role, organizes=organizes, raises=raises):
        return None
    return Denied("forbidden", f"the role {actor.role} may not make a thread of the type {type_}")


def _types_of(role: str, *, organizes: bool, raises: bool) -> list[str]:
    """The types of which a role may make threads."""
    allowed = {
        "general": True,
        "vendor": organizes or role in VENDOR_ROLES,
        "planning": organizes,
        "emergency": organizes or raises,
        "family": role == COUPLE or role in FAMILY,
    }
    return [type_ for type_ in TYPES if allowed[type_]]


def types_left(policy: Policy, person: Identity, overrides: Overrides = NO_OVERRIDES) -> list[str]:
    """The types of threads in which somebody who is given a role takes part no more: those of which this role may make
    none. Organizers may add the person again."""

    def may(action: Action, category: AccessCategory) -> bool:
        return policy.may(person, category, action, overrides) is None

    if not may(Action.WRITE_OWN, AccessCategory.MESSAGES):
        return [*TYPES]
    organizes = may(Action.WRITE, AccessCategory.MESSAGES)
    kept = _types_of(person.role, organizes=organizes, raises=may(Action.WRITE_OWN, AccessCategory.DAY))
    return [type_ for type_ in TYPES if type_ not in kept]


def may_add(actor: Identity, role: str, *, organizes: bool) -> Decision:
    """Whether somebody may add a person in a role ("": not known) to a thread: organizers everybody, others organizers,
    and family and wedding party one another."""
    both_family = actor.role in FAMILY and role in FAMILY
    if organizes or not actor.rights or role in ORGANIZERS or both_family:
        return None
    return Denied("forbidden", f"the role {actor.role} may not add this person")


def may_change(actor: Identity, created_by: str, *, organizes: bool) -> Decision:
    """Whether somebody who has opened a thread may change it and who takes part."""
    if organizes or not actor.rights or actor.user == created_by:
        return None
    return Denied("forbidden", "only organizers and the person who made a thread may change it")


def may_mark(actor: Identity) -> Decision:
    """Whether somebody may note how far they have read, and mute a thread: everybody who opens it, but for the scope of
    a token."""
    return scope_decision(actor.scope, AccessCategory.MESSAGES, Action.WRITE)


def may_delete_file(actor: Identity, *, is_own: bool, organizes: bool) -> Decision:
    """Whether somebody who may write in a thread may delete a file of it."""
    if organizes or not actor.rights or is_own:
        return None
    return Denied("forbidden", "only organizers and the person who sent a file may delete it")
