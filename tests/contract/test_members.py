"""What every backend of `storage` does with members, invitations, devices and grants."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from storage import (
    BoundReached,
    DerivedRecords,
    DocumentKey,
    GrantChange,
    MemberChange,
    NewAuditEntry,
    NewDevice,
    NewEvent,
    PolicyOverride,
    RoutingOverride,
    Storage,
    StoredDevice,
    StoredGrant,
    StoredInvitation,
    StoredMember,
    TokenReused,
    ValuesRefused,
)

NOW = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=30)
EVENT = NewEvent("grant.asked", "2026-06-20T13:30:00Z", "g_1", "{}")


def entry(action: str, actor: str = "u_aroha") -> NewAuditEntry:
    return NewAuditEntry("2026-06-20T13:30:00Z", actor, action, "{}")


def member(user: str, role: str = "guest", *, removed_at: datetime | None = None) -> StoredMember:
    return StoredMember(user, role, "", "g_1" if role == "guest" else "", "", "Chloé", "u_aroha", NOW, removed_at)


async def put(store: Storage, wedding: str, wanted: StoredMember) -> int:
    _, version = await store.change_member(wedding, wanted.user, lambda *_: MemberChange(wanted, entry("member")))
    return version


def invitation(user: str = "u_chloe", *, expires: datetime = NOW + timedelta(days=7)) -> StoredInvitation:
    return StoredInvitation("i_1", user, "guest", "", "g_1", "", "Chloé", "u_aroha", NOW, expires)


async def sign_in(store: Storage, code: str = "code", device: str = "d_1", *, most: int = 5) -> StoredMember | None:
    def decide(found: StoredMember, used: int) -> NewAuditEntry:
        if used >= most:
            raise ValuesRefused("too many devices")
        return entry("session.opened", found.user)

    new = NewDevice(device, "phone", f"token of {device}")
    signed_in = await store.accept(code, new, decide, NOW, LONG_AGO)
    return None if signed_in is None else signed_in.member


async def test_what_changes_nothing_is_not_written(store: Storage) -> None:
    """Each was an entry of the audit log, another version of the rights, and a look at every open room."""
    assert await put(store, "w_1", member("u_chloe")) == 1
    assert await put(store, "w_1", member("u_chloe")._replace(at=NOW + timedelta(days=1))) == 0
    assert await put(store, "w_1", member("u_chloe", "planner")) == 2
    cell = PolicyOverride("guest", "timeline", "R", "u_aroha", NOW)
    assert await store.set_override("w_1", cell, entry("policy")) == 3
    assert await store.set_override("w_1", cell, entry("policy")) == 0
    assert await store.set_override("w_1", cell, entry("policy"), keep=False) == 4
    assert await store.set_override("w_1", cell, entry("policy"), keep=False) == 0
    rule = RoutingOverride("booking", "{}", "u_aroha", NOW)
    assert await store.set_routing_override("w_1", rule, entry("routing"))
    assert not await store.set_routing_override("w_1", rule._replace(at=NOW + timedelta(days=1)), entry("routing"))
    assert await store.set_routing_override("w_1", rule, entry("routing"), keep=False)
    assert not await store.set_routing_override("w_1", rule, entry("routing"), keep=False)
    actions = [each.action for each in await store.audit("w_1")]
    assert actions == ["member", "member", "policy", "policy", "routing", "routing"]


async def test_members_of_a_wedding_are_bounded(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.members.MOST_MEMBERS", 2)
    for user in ("u_ada", "u_bob"):
        await put(store, "w_1", member(user))
    await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
    with pytest.raises(BoundReached, match="at most 2 members"):
        await put(store, "w_1", member("u_cat"))
    with pytest.raises(BoundReached):
        await sign_in(store)
    await put(store, "w_1", member("u_ada", "planner"))
    await put(store, "w_1", member("u_bob", removed_at=NOW))
    await put(store, "w_1", member("u_bob"))  # comes back
    await put(store, "w_2", member("u_cat"))


def reused(device: StoredDevice) -> NewAuditEntry:
    return entry("session.reused", device.user)


async def actions(store: Storage, wedding: str = "w_1") -> list[str]:
    return [each.action for each in await store.audit(wedding)]


class TestMembers:
    async def test_the_weddings_of_a_user_are_those_of_which_it_is_a_member(self, store: Storage) -> None:
        for wedding in ("w_3", "w_1", "w_2", "w_10"):
            await put(store, wedding, member("u_mia", "planner"))
        await put(store, "w_2", member("u_mia", "planner", removed_at=NOW))
        await put(store, "w_9", member("u_ada", "couple"))
        assert await store.weddings_of("u_mia", "", 5) == ["w_1", "w_10", "w_3"]
        assert await store.weddings_of("u_mia", "w_1", 1) == ["w_10"]
        assert await store.weddings_of("u_mia", "w_3", 5) == await store.weddings_of("u_nobody", "", 5) == []

    async def test_are_kept_as_they_were_put(self, store: Storage) -> None:
        assert await store.members("w_1") == []
        assert await put(store, "w_1", member("u_chloe")) == 1
        assert await put(store, "w_1", member("u_aroha", "couple")) == 2
        assert await put(store, "w_2", member("u_chloe", "planner")) == 1
        assert await store.members("w_1") == [member("u_aroha", "couple"), member("u_chloe")]
        assert await put(store, "w_1", member("u_chloe", removed_at=NOW)) == 3
        assert (await store.members("w_1"))[1].removed_at == NOW
        assert await actions(store) == ["member"] * 3

    async def test_come_in_pages(self, store: Storage) -> None:
        for user in ("u_b", "u_a", "u_d", "u_c"):
            await put(store, "w_1", member(user, removed_at=NOW if user == "u_c" else None))
        await put(store, "w_2", member("u_e"))
        pages = [await store.members_behind("w_1", after, 2) for after in ("", "u_b", "u_d")]
        assert [[each.user for each in page] for page in pages] == [["u_a", "u_b"], ["u_d"], []]

    async def test_a_decision_counts_on_what_is_stored(self, store: Storage) -> None:
        seen: list[tuple[StoredMember | None, int]] = []

        def decide(before: StoredMember | None, others: int) -> MemberChange:
            seen.append((before, others))
            raise ValuesRefused("no")

        await put(store, "w_1", member("u_aroha", "couple"))
        await put(store, "w_1", member("u_ben", "couple"))
        await put(store, "w_1", member("u_finn", "couple", removed_at=NOW))
        for user in ("u_aroha", "u_new"):
            with pytest.raises(ValuesRefused, match="no"):
                await store.change_member("w_1", user, decide)
        assert seen == [(member("u_aroha", "couple"), 1), (None, 0)]
        assert await store.rights_versions(["w_1", "w_2"]) == {"w_1": 3}

    async def test_changes_at_the_same_time_follow_one_another(self, store: Storage) -> None:
        versions = await asyncio.gather(*(put(store, "w_1", member(f"u_{n}")) for n in range(8)))
        assert sorted(versions) == list(range(1, 9))
        assert (await store.check_audit("w_1"))[1] is None
        assert (await store.audit_head("w_1")).seq == 8


class TestInvitations:
    async def test_make_a_member_once(self, store: Storage) -> None:
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        assert await store.invitations("w_1", NOW) == [invitation()]
        assert await store.rights_versions(["w_1"]) == {"w_1": 0}
        both = await asyncio.gather(sign_in(store, device="d_1"), sign_in(store, device="d_2"))
        assert [each for each in both if each is not None] == [member("u_chloe")]
        assert await store.members("w_1") == [member("u_chloe")]
        assert await store.invitations("w_1", NOW) == []
        assert await store.rights_versions(["w_1"]) == {"w_1": 1}
        assert await actions(store) == ["invitation", "session.opened"]

    async def test_end_with_their_time_or_when_they_are_withdrawn(self, store: Storage) -> None:
        await store.invite("w_1", "old", invitation(expires=NOW), 10, entry("invitation"))
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        assert await sign_in(store, "old") is None
        assert await store.withdraw("w_1", "i_1", lambda _: entry("withdrawn"))
        assert not await store.withdraw("w_1", "i_1", lambda _: entry("withdrawn"))
        assert await sign_in(store) is None
        assert await sign_in(store, "other") is None

    async def test_are_bounded(self, store: Storage) -> None:
        await store.invite("w_1", "old", invitation(expires=NOW), 1, entry("invitation"))
        await store.invite("w_1", "code", invitation(), 1, entry("invitation"))
        with pytest.raises(ValuesRefused, match="1 invitations"):
            await store.invite("w_1", "more", invitation(), 1, entry("invitation"))

    async def test_of_one_person_are_bounded_below_those_of_all(self, store: Storage) -> None:
        async def invite(code: str, by: str) -> None:
            made = invitation()._replace(id=code, invited_by=by)
            await store.invite("w_1", code, made, 3, entry("invitation"), most_of_person=2)

        for code, by in (("a", "u_paul"), ("b", "u_paul"), ("c", "u_mia")):
            await invite(code, by)
        await store.withdraw("w_1", "c", lambda _: entry("withdrawn"))
        with pytest.raises(BoundReached, match="2 invitations") as own:
            await invite("d", "u_paul")
        await invite("e", "u_mia")
        with pytest.raises(BoundReached, match="3 invitations") as of_all:
            await invite("f", "u_mia")
        assert (own.value.of_person, of_all.value.of_person) == (True, False)

    async def test_bring_a_removed_member_back_but_give_no_other_role(self, store: Storage) -> None:
        await put(store, "w_1", member("u_chloe", "planner"))
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        assert await sign_in(store) is None
        await put(store, "w_1", member("u_chloe", "planner", removed_at=NOW))
        await store.invite("w_1", "again", invitation(), 10, entry("invitation"))
        assert await sign_in(store, "again", "d_2") == member("u_chloe")

    async def test_those_of_a_removed_member_are_gone(self, store: Storage) -> None:
        await put(store, "w_1", member("u_chloe"))
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        await put(store, "w_1", member("u_chloe", removed_at=NOW))
        assert await sign_in(store) is None

    @pytest.mark.parametrize("role", ["planner", "guest"])
    async def test_end_with_the_role_of_whoever_made_them(self, store: Storage, role: str) -> None:
        await put(store, "w_1", member("u_mia", "planner"))
        for code, by in (("code", "u_mia"), ("other", "u_aroha")):
            made = invitation(f"u_{code}")._replace(id=f"i_{code}", invited_by=by)
            await store.invite("w_1", code, made, 10, entry("invitation"))
        await put(store, "w_1", member("u_mia", role, removed_at=NOW if role == "planner" else None))
        assert [each.id for each in await store.invitations("w_1", NOW)] == ["i_other"]
        assert await sign_in(store) is None


class TestDevices:
    async def test_are_counted_and_a_refused_one_leaves_the_invitation(self, store: Storage) -> None:
        for number in range(3):
            await store.invite("w_1", f"code {number}", invitation(), 10, entry("invitation"))
        await sign_in(store, "code 0", "d_0", most=2)
        await sign_in(store, "code 1", "d_1", most=2)
        with pytest.raises(ValuesRefused, match="too many devices"):
            await sign_in(store, "code 2", "d_2", most=2)
        assert [each.device for each in await store.devices("w_1", "u_chloe", LONG_AGO)] == ["d_0", "d_1"]
        assert await store.devices("w_1", "u_aroha", LONG_AGO) == []
        assert await store.revoke_device("w_1", "d_0", lambda *_: entry("device.revoked"), NOW)
        assert not await store.revoke_device("w_2", "d_1", lambda *_: entry("device.revoked"), NOW)
        await sign_in(store, "code 2", "d_2", most=2)
        assert (await store.rights("w_1", NOW)).revoked_devices == ["d_0"]

    async def test_a_token_is_replaced_and_one_that_was_used_ends_all(self, store: Storage) -> None:
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        await sign_in(store)
        for old, new in (("token of d_1", "second"), ("second", "third")):
            signed_in = await store.refresh(old, new, NOW, LONG_AGO, reused)
            assert signed_in is not None
            assert signed_in.member == member("u_chloe")
        with pytest.raises(TokenReused, match="u_chloe"):
            await store.refresh("second", "stolen", NOW, LONG_AGO, reused)
        assert await store.refresh("third", "fourth", NOW, LONG_AGO, reused) is None
        assert await store.refresh("stolen", "fourth", NOW, LONG_AGO, reused) is None
        assert (await store.rights("w_1", NOW)).revoked_devices == ["d_1"]
        assert await store.rights_versions(["w_1"]) == {"w_1": 2}
        assert await actions(store) == ["invitation", "session.opened", "session.reused"]

    async def test_of_two_uses_of_one_token_at_a_time_one_is_the_second(self, store: Storage) -> None:
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        await sign_in(store)
        uses = (store.refresh("token of d_1", f"new {n}", NOW, LONG_AGO, reused) for n in range(2))
        results = await asyncio.gather(*uses, return_exceptions=True)
        assert sorted(type(each).__name__ for each in results) == ["SignedIn", "TokenReused"]

    async def test_those_not_seen_for_long_and_those_of_removed_members_end(self, store: Storage) -> None:
        await store.invite("w_1", "code", invitation(), 10, entry("invitation"))
        await sign_in(store)
        assert await store.refresh("token of d_1", "new", NOW + timedelta(days=31), NOW, reused) is None
        await put(store, "w_1", member("u_chloe", removed_at=NOW))
        assert await store.refresh("token of d_1", "new", NOW, LONG_AGO, reused) is None
        assert (await store.rights("w_1", NOW)).revoked_devices == ["d_1"]


class TestGrants:
    def grant(self, **changes: object) -> StoredGrant:
        grant = StoredGrant("g_1", "u_kit", "guests@phones", "the bus is late", 14_400, NOW)
        return grant._replace(**changes)  # type: ignore[arg-type]

    async def put(self, store: Storage, grant: StoredGrant, most: int = 10) -> tuple[int, int]:
        return await store.change_grant("w_1", grant.id, lambda _: GrantChange(grant, entry("grant"), EVENT), most)

    async def test_hold_from_when_they_are_given_until_they_end(self, store: Storage) -> None:
        until = NOW + timedelta(hours=4)
        assert await self.put(store, self.grant()) == (1, 1)
        assert (await store.rights("w_1", NOW)).grants == []
        given = self.grant(given_by="u_aroha", given_at=NOW, until=until)
        assert await self.put(store, given) == (2, 2)
        assert (await store.rights("w_1", NOW)).grants == [given]
        assert (await store.rights("w_1", until)).grants == []
        await self.put(store, given._replace(ended_at=NOW))
        assert (await store.rights("w_1", NOW)).grants == []
        assert await store.grants("w_1", 10) == [given._replace(ended_at=NOW)]
        assert [(each.seq, each.document) for each in await store.events("w_1")] == [(n, "wedding") for n in (1, 2, 3)]

    async def test_their_events_and_those_of_documents_are_numbered_together(self, store: Storage) -> None:
        derived = [DerivedRecords(DocumentKey("w_1", "guests"), events=[EVENT], audit=[entry("reverted")])]
        several = [self.put(store, self.grant(id=f"g_{n}")) for n in range(4)]
        await asyncio.gather(*several, *(store.append([], derived) for _ in range(4)))
        assert [each.seq for each in await store.events("w_1")] == list(range(1, 9))
        assert [each.seq for each in await store.audit("w_1")] == list(range(1, 9))
        assert (await store.check_audit("w_1"))[1] is None

    async def test_are_bounded(self, store: Storage) -> None:
        await self.put(store, self.grant(), 1)
        with pytest.raises(ValuesRefused, match="1 grants"):
            await self.put(store, self.grant(id="g_2"), 1)
        await self.put(store, self.grant(ended_at=NOW), 1)
        await self.put(store, self.grant(id="g_2"), 1)

    async def test_of_one_person_are_bounded_below_those_of_all(self, store: Storage) -> None:
        async def ask(id_: str, user: str) -> None:
            change = GrantChange(self.grant(id=id_, user=user), entry("grant"), EVENT)
            await store.change_grant("w_1", id_, lambda _: change, 3, 2)

        for id_, user in (("g_1", "u_kit"), ("g_2", "u_kit"), ("g_3", "u_zoe")):
            await ask(id_, user)
        await ask("g_1", "u_kit")  # a change of one that is there
        with pytest.raises(BoundReached, match="3 grants") as of_all:
            await ask("g_4", "u_zoe")
        await self.put(store, self.grant(id="g_3", user="u_zoe", ended_at=NOW))
        with pytest.raises(BoundReached, match="2 grants") as own:
            await ask("g_4", "u_kit")
        await ask("g_4", "u_zoe")
        assert (own.value.of_person, of_all.value.of_person) == (True, False)


async def test_overrides_replace_one_another(store: Storage) -> None:
    first = PolicyOverride("planner", "budget", "R", "u_aroha", NOW)
    assert await store.set_override("w_1", first, entry("policy")) == 1
    assert await store.set_override("w_1", first._replace(rights="N"), entry("policy")) == 2
    await store.set_override("w_1", first._replace(category="care"), entry("policy"))
    await store.set_override("w_1", first._replace(category="care"), entry("policy"), keep=False)
    assert await store.overrides("w_1") == [first._replace(rights="N")]
    assert (await store.rights("w_1", NOW)).version == 4
