from __future__ import annotations

import pytest

from crdt_server.access.access import Action, Credentials, Decision, Denied, DevAccess, denial, require
from crdt_server.access.identity import Identity
from crdt_server.errors import CrdtServerError, ForbiddenError, InvalidRequestError, NotFoundError, UnauthenticatedError

ADA = Identity("ada", "couple")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, Identity("anonymous", "couple")),
        ({"user": "", "role": ""}, Identity("anonymous", "couple")),
        ({"user": "ada", "role": "planner"}, Identity("ada", "planner")),
        ({"user": "tim", "role": "vendor", "vendor": "v_1"}, Identity("tim", "vendor", "v_1")),
        ({"user": "bob", "role": "guest", "guest": "g_1"}, Identity("bob", "guest", "", "g_1")),
        (dict.fromkeys(("user", "vendor", "guest"), "x" * 1000), Identity("x" * 64, "couple", "x" * 64, "x" * 64)),
        ({"user": "server"}, Identity("anonymous", "couple")),
    ],
)
def test_in_dev_mode_everybody_is_as_the_query_names_them(query: dict[str, str], expected: Identity) -> None:
    assert DevAccess().identify(Credentials(query, {}), "w") == expected


@pytest.mark.parametrize("role", ["admin", "server", "Couple", "x" * 1000])
def test_a_role_that_there_is_not_is_refused(role: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        DevAccess().identify(Credentials({"role": role}, {}), "w")
    assert (refused.value.code, refused.value.fault.field) == ("invalid_request", "role")
    assert refused.value.fault.expected.startswith("couple, planner, ")


@pytest.mark.parametrize("action", Action)
def test_in_dev_mode_everybody_may_do_everything(action: Action) -> None:
    assert DevAccess().may(ADA, action, "w", "guests") is None
    require(DevAccess(), ADA, action, "w", None)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("unauthenticated", UnauthenticatedError),
        ("forbidden", ForbiddenError),
        ("not_found", NotFoundError),
        ("something_else", CrdtServerError),
    ],
)
def test_a_negative_decision_is_an_error_with_its_code(code: str, error: type[CrdtServerError]) -> None:
    found = denial(Denied(code, "no"))
    assert (type(found), found.code, str(found)) == (error, code, "no")


class ReadOnly(DevAccess):
    """Nobody writes."""

    def may(self, identity: Identity, action: Action, wedding: str, document: str | None) -> Decision:
        return None if action is Action.READ else Denied("forbidden", "read only")


def test_a_right_that_is_missing_raises() -> None:
    require(ReadOnly(), ADA, Action.READ, "w", "guests")
    with pytest.raises(ForbiddenError):
        require(ReadOnly(), ADA, Action.WRITE, "w", "guests")
