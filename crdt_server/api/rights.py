"""The rights that a call takes, declared with its endpoint: `authorize` checks them, and OpenAPI names their roles.

- A call with a ``{document}`` in its path reads the document, and writes it unless it is a GET.
- `requires`: a call about a category, as the members.
- `by_content`: a call about the wedding as a whole, for everybody who takes part in it; it decides piece by piece.
- `of_caller`: a call about no wedding, that lists what the caller takes part in. The endpoint identifies the caller.
- `public`: a call that asks for no token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from fastapi.routing import APIRoute, APIRouter

from crdt_server.access.access import Action, Target
from crdt_server.access.policy import DocumentRule, Policy
from documents.categories import AccessCategory, category_of
from documents.derived import DECLARATIONS

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

ROLES: Final = "x-roles"
"""In the description of a call: document or category (`*`: the wedding) -> the roles that may make it. A family of
documents ends in `.*`; of derived ones (`timeline@v.*`) each of a role may open their own."""
_DECLARED: Final = "declared_right"


class UndeclaredCall(Exception):
    """A call about neither a document nor anything that it declares."""


class Right(NamedTuple):
    """An action on a category. Without action: on the pieces of a wedding that the call finds, a public call, or one
    on the document of its path."""

    action: Action | None = None
    category: AccessCategory | None = None
    is_public: bool = False
    only: tuple[str, ...] = ()
    """The roles that it is for, of those with the right; none: all."""
    of_caller: bool = False


def requires(category: AccessCategory, action: Action, *, only: tuple[str, ...] = ()) -> Callable[[Endpoint], Endpoint]:
    """Declare that a call takes this right. To be put below the decorator of its route, as all of these. ``only``: the
    roles to which the call limits it."""
    return lambda endpoint: _declare(endpoint, Right(action, category, only=only))


def by_content(endpoint: Endpoint) -> Endpoint:
    """Declare that a call is for everybody in the wedding, and decides about each piece of what it reads or writes."""
    return _declare(endpoint, Right())


def of_caller(endpoint: Endpoint) -> Endpoint:
    """Declare that a call lists what the caller takes part in, whatever that is."""
    return _declare(endpoint, Right(of_caller=True))


def public(endpoint: Endpoint) -> Endpoint:
    """Declare that a call is for anybody."""
    return _declare(endpoint, Right(is_public=True))


def _declare(endpoint: Endpoint, right: Right) -> Endpoint:
    setattr(endpoint, _DECLARED, right)
    return endpoint


def required_by(endpoint: Callable[..., Any], method: str, document: str | None) -> Iterator[tuple[Action, Target]]:
    """The actions that a call takes, each with its target."""
    right: Right | None = getattr(endpoint, _DECLARED, None)
    if right is not None and right.action is not None:
        yield right.action, right.category
        return
    for action in _actions(method):
        yield action, document


def _actions(method: str) -> tuple[Action, ...]:
    return (Action.READ,) if method == "GET" else (Action.READ, Action.WRITE)


def describe_roles(description: dict[str, Any], routers: Iterable[APIRouter], policy: Policy) -> None:
    """Name the roles of every call in a description of OpenAPI. Raises UndeclaredCall."""
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                continue
            for method in route.methods or ():
                call = description["paths"][route.path][method.lower()]
                call[ROLES], sentence = _roles_of(route, method, policy)
                if not call[ROLES]:  # a public call
                    call["security"] = []
                call["description"] = "\n\n".join(filter(None, (call.get("description"), sentence)))


def _roles_of(route: APIRoute, method: str, policy: Policy) -> tuple[dict[str, list[str]], str]:
    right: Right | None = getattr(route.endpoint, _DECLARED, None)
    if right is None:
        if "{document}" not in route.path:
            raise UndeclaredCall(f"{method} {route.path} declares no right: see crdt_server.api.rights")
        found = {name: _of_document(rule, method, policy) for name, rule in policy.document_rules()}
        found |= _of_derived(policy)
        return found, f"Roles: those that may {_actions(method)[-1].value} the document."
    if right.is_public:
        return {}, "Roles: anybody, no token needed."
    if right.of_caller:
        return {"*": list(policy.roles)}, "Roles: anybody who is identified."
    if right.action is None or right.category is None:
        return {"*": list(policy.roles)}, "Roles: everybody in the wedding, each for what the role may read or write."
    roles = [
        role for role in policy.roles_that_may(right.category, right.action) if not right.only or role in right.only
    ]
    return {right.category.value: roles}, f"Roles: {', '.join(roles)}."


def _of_document(rule: DocumentRule, method: str, policy: Policy) -> list[str]:
    actions = [rule.read if action is Action.READ else action for action in _actions(method)]
    return [
        role for role in policy.roles if all(role in policy.roles_that_may(rule.category, each) for each in actions)
    ]


def _of_derived(policy: Policy) -> Iterator[tuple[str, list[str]]]:
    """The readers of each derived document. Its fields decide on what they may write."""
    for each in DECLARATIONS:
        readers = policy.roles_that_may(category_of(each.source), Action.READ_PART)
        yield f"{each.name}.*" if each.own else each.name, [role for role in readers if role in each.roles]
