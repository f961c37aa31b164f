"""Members, invitations, devices, policy and grants over HTTP. `services` decides and stores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Protocol, TypeAlias

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from crdt_server.access.access import Action, require_allowed
from crdt_server.access.identity import NAME_LENGTH, Identity, is_name
from crdt_server.access.policy import OVERRIDERS
from crdt_server.api.requests import Authorized, StrictBody, describe_body, document_key, read_json, wedding_name
from crdt_server.api.rights import by_content, requires
from crdt_server.errors import ProtocolError
from crdt_server.services.grants import LONGEST_SECONDS, GrantService
from crdt_server.services.members import LISTED, LONGEST_INVITATION_SECONDS, MemberService
from documents.categories import AccessCategory

MAX_BODY_BYTES = 8 * 1024
WEEK_SECONDS = 7 * 86_400

router = APIRouter(prefix="/api/weddings/{wedding}", tags=["members"])

Name = Annotated[str, Field(max_length=255)]


Row: TypeAlias = dict[str, Any]
"""A stored thing as JSON, or a part of an answer."""


class _Stored(Protocol):
    def _asdict(self) -> Row: ...


def _row(stored: _Stored) -> Row:
    return stored._asdict()


def _rows(stored: Iterable[_Stored]) -> list[Row]:
    return [each._asdict() for each in stored]


class RoleFields(StrictBody):
    """A role, and what belongs to it: a vendor, a guest, or a side of the couple, `a` or `b`."""

    role: Name
    vendor: Name = ""
    guest: Name = ""
    side: Name = ""
    name: Name = Field("", description="The name that other people see")

    def person(self, user: str) -> Identity:
        return Identity(user, self.role, self.vendor, self.guest, self.side, name=self.name)


class NewMember(RoleFields):
    """A member to be added."""

    user: Name = Field(min_length=1)


class ChangedMember(StrictBody):
    """The fields to change. Another role begins without the vendor, guest and side of the one before."""

    role: Name | None = None
    vendor: Name | None = None
    guest: Name | None = None
    side: Name | None = None
    name: Name | None = None


class NewInvitation(RoleFields):
    """A person to be invited. Without `user`, the server makes one up."""

    user: Name = ""
    seconds: Annotated[int, Field(ge=60, le=LONGEST_INVITATION_SECONDS)] = WEEK_SECONDS


class PolicyCell(StrictBody):
    """The rights of a role in a category, as in the policy: `W`, `P+O`."""

    rights: Annotated[str, Field(max_length=20, pattern=r"^[A-Z](\+[A-Z])*$")]


class NewGrant(StrictBody):
    """A request for rights that the role has not."""

    what: Annotated[str, Field(min_length=1, max_length=255, description="A document, to be read")]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    seconds: Annotated[int, Field(ge=60, le=LONGEST_SECONDS)] = 4 * 3600


def _members(request: Request) -> MemberService:
    service: MemberService = request.app.state.members
    return service


def _grants(request: Request) -> GrantService:
    service: GrantService = request.app.state.grants
    return service


Members = Annotated[MemberService, Depends(_members)]
Grants = Annotated[GrantService, Depends(_grants)]


@router.get("/members")
@requires(AccessCategory.MEMBERS, Action.READ)
async def get_members(
    members: Members,
    caller: Authorized,
    wedding: str,
    *,
    after: Annotated[str, Query(max_length=NAME_LENGTH, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=LISTED)] = LISTED,
) -> Row:
    """The members of the wedding, by their users. `next` is what `after` is for the next page; null: there is none."""
    if not is_name(after):
        raise ProtocolError("invalid_request", "this is not the name of a user")
    page, following = await members.page(wedding_name(wedding), caller.identity, after, limit)
    return {"members": _rows(page), "next": following}


@router.post("/members", status_code=201, openapi_extra=describe_body(NewMember))
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def post_member(request: Request, members: Members, caller: Authorized, wedding: str) -> Row:
    """Add a member: the couple anybody, a planner anybody but the couple. 409 `member_exists`, or
    `too_many_members`."""
    body = await read_json(request, NewMember, MAX_BODY_BYTES)
    return _row(await members.add(wedding_name(wedding), caller.identity, body.person(body.user)))


@router.patch("/members/{user}", openapi_extra=describe_body(ChangedMember))
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def patch_member(request: Request, members: Members, caller: Authorized, wedding: str, user: str) -> Row:
    """Change the role or the name of a member; open sockets of the member follow. In another role
    the member loses the invitations that it has made. 409 `last_of_couple`."""
    body = await read_json(request, ChangedMember, MAX_BODY_BYTES)
    fields = body.model_dump(exclude_none=True)
    return _row(await members.change(wedding_name(wedding), caller.identity, user, fields))


@router.delete("/members/{user}", status_code=204, response_class=Response)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def delete_member(members: Members, caller: Authorized, wedding: str, user: str) -> Response:
    """Remove a member with all devices, invitations (also those that it has made) and grants; open sockets are
    closed. 409 `last_of_couple`."""
    await members.remove(wedding_name(wedding), caller.identity, user)
    return Response(status_code=204)


@router.get("/invitations")
@requires(AccessCategory.MEMBERS, Action.READ)
async def get_invitations(members: Members, caller: Authorized, wedding: str) -> dict[str, list[Row]]:
    """The invitations that nobody has used, without their codes."""
    return {"invitations": _rows(await members.invitations(wedding_name(wedding), caller.identity))}


@router.post("/invitations", status_code=201, openapi_extra=describe_body(NewInvitation))
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def post_invitation(request: Request, members: Members, caller: Authorized, wedding: str) -> Row:
    """Invite a person: the `code` is shown this one time, and can be used once (`POST /api/sessions`). 409
    `too_many_invitations`, `too_many_own_invitations`."""
    body = await read_json(request, NewInvitation, MAX_BODY_BYTES)
    invited = await members.invite(wedding_name(wedding), caller.identity, body.person(body.user), body.seconds)
    return {"invitation": _row(invited.invitation), "code": invited.code}


@router.delete("/invitations/{invitation}", status_code=204, response_class=Response)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER)
async def delete_invitation(members: Members, caller: Authorized, wedding: str, invitation: str) -> Response:
    """Withdraw an invitation."""
    await members.withdraw(wedding_name(wedding), caller.identity, invitation)
    return Response(status_code=204)


@router.get("/devices")
@by_content
async def get_devices(members: Members, caller: Authorized, wedding: str) -> dict[str, list[Row]]:
    """The devices that are signed in: those of all members, or one's own."""
    return {"devices": _rows(await members.devices(wedding_name(wedding), caller.identity))}


@router.delete("/devices/{device}", status_code=204, response_class=Response)
@by_content
async def delete_device(members: Members, caller: Authorized, wedding: str, device: str) -> Response:
    """Revoke a device: its tokens are not valid any more, its open sockets are closed."""
    await members.revoke(wedding_name(wedding), caller.identity, device)
    return Response(status_code=204)


@router.get("/policy")
@requires(AccessCategory.MEMBERS, Action.READ)
async def get_policy(members: Members, caller: Authorized, wedding: str) -> dict[str, list[dict[str, str]]]:
    """The cells of the policy that the couple has changed."""
    found = await members.overrides(wedding_name(wedding), caller.identity)
    return {"overrides": [{"role": each.role, "category": each.category, "rights": each.rights} for each in found]}


@router.put(
    "/policy/{role}/{category}", status_code=204, response_class=Response, openapi_extra=describe_body(PolicyCell)
)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER, only=OVERRIDERS)
async def put_policy(
    request: Request, members: Members, caller: Authorized, wedding: str, role: str, category: str
) -> Response:
    """Change the rights of a role in a category for this wedding. Only the couple may."""
    require_allowed((await members.rights_in(wedding_name(wedding))).may_override(caller.identity))
    body = await read_json(request, PolicyCell, MAX_BODY_BYTES)
    await members.override(wedding_name(wedding), caller.identity, role, category, body.rights)
    return Response(status_code=204)


@router.delete("/policy/{role}/{category}", status_code=204, response_class=Response)
@requires(AccessCategory.MEMBERS, Action.ADMINISTER, only=OVERRIDERS)
async def delete_policy(members: Members, caller: Authorized, wedding: str, role: str, category: str) -> Response:
    """Undo a change of the policy. Only the couple may."""
    await members.override(wedding_name(wedding), caller.identity, role, category, None)
    return Response(status_code=204)


@router.get("/grants")
@by_content
async def get_grants(grants: Grants, caller: Authorized, wedding: str) -> dict[str, list[Row]]:
    """The newest grants, also those that were only asked for or have ended; to other roles, one's own."""
    return {"grants": _rows(await grants.newest(wedding_name(wedding), caller.identity))}


@router.post("/grants", status_code=201, openapi_extra=describe_body(NewGrant))
@by_content
async def post_grant(request: Request, grants: Grants, caller: Authorized, wedding: str) -> Row:
    """Request a right for a time, with a reason. It holds when the couple gives it, or at once on the live day. 409
    `too_many_grants`, `too_many_own_grants`."""
    body = await read_json(request, NewGrant, MAX_BODY_BYTES)
    document_key(wedding, body.what)
    return _row(await grants.request(wedding_name(wedding), caller.identity, body.what, body.reason, body.seconds))


@router.post("/grants/{grant}/give")
@requires(AccessCategory.MEMBERS, Action.ADMINISTER, only=OVERRIDERS)
async def give_grant(grants: Grants, caller: Authorized, wedding: str, grant: str) -> Row:
    """Give what was asked for, from now on. Only the couple may."""
    return _row(await grants.give(wedding_name(wedding), caller.identity, grant))


@router.delete("/grants/{grant}", status_code=204, response_class=Response)
@by_content
async def delete_grant(grants: Grants, caller: Authorized, wedding: str, grant: str) -> Response:
    """End or refuse a grant: the couple every one, others their own."""
    await grants.end(wedding_name(wedding), caller.identity, grant)
    return Response(status_code=204)
