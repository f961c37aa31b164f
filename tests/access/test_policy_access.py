"""`PolicyAccess`: who a token is in a wedding, and which documents are forbidden, not found, or open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable

import pytest

from crdt_server.access.access import Action, Credentials, Denied
from crdt_server.access.identity import SERVER, Authenticated, Identity
from crdt_server.access.members import KnownMember, WeddingRights
from crdt_server.access.policy import is_removed
from crdt_server.access.policy_access import PolicyAccess
from documents.categories import AccessCategory
from documents.registry import NAMES, kind_of
from tests.access.people import TableMembers, people, verify, verify_later
from tests.access.roles import CATEGORIES, ROLES, TABLE

DOCUMENTS = {"wedding": "wedding", **{name: name for name in ("timeline", "budget", "guests", "care", "seating")}}


class Part:
    """A derived document for the role, or for one vendor."""

    def __init__(self, source: str, role: str, vendor: str = "") -> None:
        self.source = source
        self._role, self._vendor = role, vendor

    def admits(self, role: str, vendor: str, guest: str, side: str) -> bool:
        return role == self._role and (not self._vendor or vendor == self._vendor)


PARTS = {
    "timeline@v.v_1": Part("timeline", "vendor", "v_1"),
    "timeline@v.v_2": Part("timeline", "vendor", "v_2"),
    "care@cater": Part("care", "caterer"),
    "budget@contrib": Part("budget", "family"),
}


def asked(access: PolicyAccess, token: str, wedding: str = "w") -> object:
    found = access.identify(Credentials({"token": token}, {}), wedding)
    if not isawaitable(found):
        return found

    async def wait() -> object:
        return await found

    return asyncio.run(wait())


def proven(identity: Identity, device: str = "", *, by_members: bool = False) -> Authenticated:
    return Authenticated(identity, 2_000_000_000.0, device, by_members)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("verifier", [verify, verify_later])
@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("t_vendor", proven(Identity("u_vendor", "vendor", "v_1", "g_1", "a", "--O----OO"))),
        ("t_member", proven(Identity("u_member", "planner", rights="W" * 9, name="Mia"), "d_1", by_members=True)),
        ("t_elsewhere", "forbidden"),
        ("t_removed", "forbidden"),
        ("t_unknown", "forbidden"),
        ("t_server", "forbidden"),
        ("t_no_such_role", "forbidden"),
        ("t_expired", "unauthenticated"),
        ("", "unauthenticated"),
    ],
)
def test_tokens(slow: bool, verifier: Callable[..., object], token: str, found: Authenticated | str) -> None:
    answer = asked(people(slow=slow, verifier=verifier)[0], token)
    assert (answer.code if isinstance(answer, Denied) else answer) == found


def test_a_revoked_device_and_a_removed_member_stay_out() -> None:
    access, members = people()
    members.revoked_devices.add("d_1")
    assert asked(access, "t_member") == Denied("unauthenticated", "this device was revoked")
    members.revoked_devices.clear()
    del members.members["u_member"]
    assert asked(access, "t_member") == Denied("forbidden", "not a member of this wedding")


@pytest.mark.parametrize(
    ("member_role", "token_role", "out"),
    [("guest", "couple", False), ("couple", "couple", True), ("guest", "planner", True), ("planner", "", True)],
)
def test_a_planner_does_not_remove_the_couple_by_making_them_guests_first(
    member_role: str, token_role: str, out: bool
) -> None:
    access, _ = people()
    removed = WeddingRights(1, {"u_mia": KnownMember("u_mia", member_role, removed=True)})
    mia = Identity("u_mia", token_role or member_role, rights="W" * 9)
    held = Authenticated(mia, None, "", by_members=not token_role)
    assert isinstance(access.recheck(held, "w", removed), Denied) is out
    assert is_removed(member_role, token_role) is out


def test_other_weddings_answer_alike_whether_or_not_they_exist() -> None:
    access, _ = people()
    assert asked(access, "t_couple", "elsewhere") == asked(access, "t_unknown", "w")


@pytest.fixture
def access() -> PolicyAccess:
    return PolicyAccess(verify, find_derived=PARTS.get)


def person(role: str, vendor: str = "v_1") -> Identity:
    return Identity(f"u_{role}", role, vendor, "g_1", "a")


def code(access: PolicyAccess, identity: Identity, document: str, action: Action = Action.READ) -> str:
    denied = access.may(identity, action, "w", document)
    return "" if denied is None else denied.code


@pytest.mark.parametrize("role", ROLES)
def test_whole_documents(access: PolicyAccess, role: str) -> None:
    assert set(DOCUMENTS) == NAMES
    for document, category in DOCUMENTS.items():
        rights = TABLE[role][CATEGORIES.index(AccessCategory(category))]
        assert (code(access, person(role), document) == "") == (rights in "RWA"), document
        assert (code(access, person(role), document, Action.WRITE) == "") == (rights in "WA"), document
    for family, category in (("seating", "seating"), ("thread", "messages")):
        may = TABLE[role][CATEGORIES.index(AccessCategory(category))] == "W"
        assert code(access, person(role), f"{family}.x") == ("" if may else "not_found")
    plans = TABLE[role][0] == "W"
    for action in (Action.READ, Action.WRITE):
        assert code(access, person(role), "notes.x", action) == ("" if plans else "not_found")


def test_a_document_that_may_be_known_is_forbidden_and_another_one_is_not_found(access: PolicyAccess) -> None:
    assert code(access, person("guest"), "budget") == "forbidden"
    assert code(access, person("guest"), "guests") == "forbidden"
    hidden = access.may(person("guest"), Action.READ, "w", "thread.t_1")
    assert hidden == access.may(person("guest"), Action.READ, "w", "no_such_document.x")
    assert code(access, person("family"), "wedding", Action.WRITE) == "forbidden"


def test_derived_documents(access: PolicyAccess) -> None:
    assert code(access, person("vendor"), "timeline@v.v_1") == ""
    assert code(access, person("vendor"), "timeline@v.v_1", Action.WRITE) == ""
    assert code(access, person("vendor"), "timeline@v.v_1", Action.ADMINISTER) == "not_found"
    assert code(access, person("vendor"), "timeline@v.v_2") == "not_found"
    assert code(access, person("vendor"), "timeline@v.v_3") == "not_found"
    assert code(access, person("vendor"), "care@cater") == "forbidden"
    assert code(access, person("caterer"), "care@cater") == ""
    assert code(access, person("couple"), "timeline@v.v_1") == "not_found"


def test_overrides_close_derived_documents_too() -> None:
    _, members = people()
    access = PolicyAccess(verify, members, find_derived=PARTS.get)
    members.set_overrides["w"] = {("vendor", "timeline"): "N", ("caterer", "care"): "N", ("planner", "budget"): "R"}
    assert code(access, person("vendor"), "timeline@v.v_1") == "not_found"
    assert code(access, person("caterer"), "care@cater") == "forbidden"
    assert code(access, person("planner"), "budget", Action.WRITE) == "forbidden"
    assert code(access, person("planner"), "budget") == ""


def test_the_wedding_as_a_whole_is_for_its_members(access: PolicyAccess) -> None:
    assert all(access.may(person(role), Action.WRITE, "w", None) is None for role in ROLES)
    assert access.may(person("admin"), Action.READ, "w", None) is not None
    assert access.may(person("planner"), Action.ADMINISTER, "w", AccessCategory.MEMBERS) is None
    assert access.may(person("guest"), Action.READ, "w", AccessCategory.MEMBERS) is not None
    assert access.may(SERVER, Action.WRITE, "w", "budget") is None


def test_a_grant_opens_one_document_to_one_person_to_be_read() -> None:
    access, members = people()
    coordinator, other = Identity("u_kit", "coordinator"), Identity("u_2", "coordinator")
    assert isinstance(access.may(coordinator, Action.READ, "w", "guests"), Denied)
    members.grants.add(("w", "u_kit", "guests"))
    assert access.may(coordinator, Action.READ, "w", "guests") is None
    for identity, action, wedding, document in (
        (coordinator, Action.WRITE, "w", "guests"),
        (coordinator, Action.READ, "w_2", "guests"),
        (coordinator, Action.READ, "w", "budget"),
        (other, Action.READ, "w", "guests"),
        (coordinator._replace(role="vendor", vendor="v_1"), Action.READ, "w", "guests"),
    ):
        assert isinstance(access.may(identity, action, wedding, document), Denied)


def test_somebody_who_is_connected_is_decided_about_again_by_newer_rights() -> None:
    access, _ = people()
    mia = Identity("u_mia", "planner", rights="W" * 9)
    held = Authenticated(mia, None, "d_1", by_members=True)
    caterer = {"u_mia": KnownMember("u_mia", "caterer", vendor="v_1", name="Mia")}
    current = access.recheck(held, "w", WeddingRights(1, caterer))
    assert isinstance(current, Identity)
    assert current == Identity("u_mia", "caterer", "v_1", rights=access.policy.rights_to_write("caterer"), name="Mia")
    overrides = {("planner", "budget"): "R"}
    current = access.recheck(held, "w", WeddingRights(1, overrides=overrides))
    assert isinstance(current, Identity)
    assert current.rights == access.policy.rights_to_write("planner", overrides)
    removed = {"u_mia": KnownMember("u_mia", "planner", removed=True)}
    assert isinstance(access.recheck(held, "w", WeddingRights(1, removed)), Denied)
    assert isinstance(
        access.recheck(held._replace(identity=mia._replace(role="florist")), "w", WeddingRights()), Denied
    )


def test_the_root_members_of_a_wedding_may_be_read_by_all_who_read_the_rest() -> None:
    """Family and wedding party receive it: what it holds is for display, and no client writes it."""
    kind = kind_of("wedding")
    assert kind is not None
    root = kind.roots["members"]
    assert root.keys.keys() == {"role", "name", "vendor", "guest", "side"}
    assert not root.families
    assert not any(root.clients_may_write(key) for key in (None, *root.keys))
    access = PolicyAccess(verify, TableMembers())
    for role in ("family", "wedding_party"):
        assert access.may(person(role), Action.READ, "w", "wedding") is None
        assert isinstance(access.may(person(role), Action.READ, "w", AccessCategory.MEMBERS), Denied)
