"""Sessions for teams without an identity provider: a code gives a device an access token of 15 minutes, and a refresh
token that gives the next ones.

Neither is found by trying: a code has 78 bits, a token 256. So one that is valid counts whatever its neighbours of the
address have sent, which may be the Wi-Fi of a venue; only those that are not valid are limited, to spare the store.

A refresh token is used once. One that comes again was copied, by a thief or from one: its device is revoked, so neither
of both goes on. Access tokens name no role: the members of the wedding decide at every connection.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from crdt_server.access.identity import is_name
from crdt_server.access.limits import Strikes
from crdt_server.access.members import most_devices
from crdt_server.errors import CrdtServerError, ForbiddenError, RateLimitError, UnauthenticatedError
from crdt_server.services.entries import Changed, Now, audit_entry
from crdt_server.services.members import SEEN_WITHIN, digest_of_code, plain_code
from storage import BoundReached, NewAuditEntry, NewDevice, SignedIn, Storage, StoredDevice, StoredMember, TokenReused

ACCESS_SECONDS: Final = 900
LONGEST_CODE: Final = 64
LONGEST_REFRESH_TOKEN: Final = 128
MOST_BAD_CODES: Final = 10
"""Codes and refresh tokens of an address that are not valid, in a minute; the next ones of these are 429."""
_RETRY_SECONDS: Final = 60.0


class SessionClaims(NamedTuple):
    """The content of an access token. ``expires_at`` is in seconds since 1970."""

    user: str
    expires_at: float
    wedding: str
    device: str
    name: str


Sign = Callable[[SessionClaims], str]
"""Signs a token."""


class OpenedSession(NamedTuple):
    """The tokens of a device, and whose it is."""

    access_token: str
    refresh_token: str
    wedding: str
    device: str
    member: StoredMember


class SessionService:
    """See the head of the file. Without ``sign`` there are no sessions: the server has no key."""

    def __init__(self, storage: Storage, now: Now, changed: Changed, sign: Sign | None) -> None:
        self._storage = storage
        self._now = now
        self._changed = changed
        self._sign = sign
        self._bad_codes = Strikes(MOST_BAD_CODES)

    async def open(self, code: str, label: str, address: str) -> OpenedSession:
        """Use the code of an invitation. Raises UnauthenticatedError, RateLimitError for a further code of an address
        that is not valid either, and ForbiddenError where the member has too many devices, or the wedding too many
        members."""
        sign = self._require_signer()
        at, token, device = self._now(), secrets.token_urlsafe(32), f"d_{secrets.token_hex(8)}"

        def decide(member: StoredMember, used: int) -> NewAuditEntry:
            most = most_devices(member.role)
            if used >= most:
                raise ForbiddenError("too_many_devices", f"a person has at most {most} devices: revoke one")
            return audit_entry(at, member.user, "session.opened", device=device, address=address)

        found = None
        if len(code) <= LONGEST_CODE and is_name(label):
            new = NewDevice(device, label, digest_of_code(token))
            digest = digest_of_code(plain_code(code))
            try:
                found = await self._storage.accept(digest, new, decide, at, at - SEEN_WITHIN)
            except BoundReached as error:
                raise ForbiddenError("too_many_members", str(error)) from error
        if found is None:
            raise self._refused(address, "the code is not valid, or was used")
        self._changed(found.device.wedding)
        return self._opened(found, token, sign)

    async def refresh(self, token: str, address: str) -> OpenedSession:
        """Replace a refresh token. Raises as `open`."""
        sign = self._require_signer()
        at, following = self._now(), secrets.token_urlsafe(32)

        def reused(device: StoredDevice) -> NewAuditEntry:
            return audit_entry(at, device.user, "session.reused", device=device.device, address=address)

        found = None
        if len(token) <= LONGEST_REFRESH_TOKEN:
            digests = digest_of_code(token), digest_of_code(following)
            try:
                found = await self._storage.refresh(*digests, at, at - SEEN_WITHIN, reused)
            except TokenReused as error:
                self._changed(error.wedding)
        if found is None:
            raise self._refused(address, "the refresh token is not valid, or was used")
        return self._opened(found, following, sign)

    def _require_signer(self) -> Sign:
        if self._sign is None:
            raise CrdtServerError("no_signing_key", "the server has no secret to sign tokens with: --jwt-secret-file")
        return self._sign

    def _refused(self, address: str, reason: str) -> CrdtServerError:
        """Count a code or token that is not valid; the error that its sender gets."""
        now = self._now().timestamp()
        self._bad_codes.forget(now)
        if self._bad_codes.exceeded(address, now):
            return RateLimitError("rate_limited", "too many codes that are not valid", _RETRY_SECONDS)
        self._bad_codes.add(address, now)
        return UnauthenticatedError("unauthenticated", reason)

    def _opened(self, found: SignedIn, refresh_token: str, sign: Sign) -> OpenedSession:
        device, member = found
        expires = (self._now() + timedelta(seconds=ACCESS_SECONDS)).timestamp()
        token = sign(SessionClaims(member.user, expires, device.wedding, device.device, member.name))
        return OpenedSession(token, refresh_token, device.wedding, device.device, member)
