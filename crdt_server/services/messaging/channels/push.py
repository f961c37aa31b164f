"""Push messages: Web Push (RFC 8030, 8291, 8292) to browsers, and a service shaped like FCM to apps.

`Delivery.address` is the URL of a push service, with the keys of the browser in `Delivery.secret`, or else the token of
an app. The URL comes from whoever registered it, so the guard of `addresses` is before it. A message to a browser is
encrypted: the push service cannot read it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crdt_server.services.messaging.channels.http import Answer, HttpClient, Now, retry_after
from crdt_server.services.messaging.model import Delivery, NotSent, Priority, Sent
from crdt_server.services.messaging.push_hosts import EVERY_HOST, PushHosts
from crdt_server.services.messaging.texts import Rendered
from crdt_server.services.messaging.urls import ANY, fault_of_url

TTL_SECONDS: Final = 24 * 3600
"""For which a push service keeps a message for a device that is off."""

_PROOF_SECONDS: Final = 12 * 3600
_EARLY_SECONDS: Final = 60
_URGENCY: Final = {Priority.EMERGENCY: "high", Priority.URGENT: "high", Priority.NOTIFY: "normal"}
_APP_TOKEN: Final = re.compile(r"[A-Za-z0-9_:-]{1,1000}", re.ASCII).fullmatch
_POINT_BYTES: Final = 65
_AUTH_BYTES: Final = 16
_SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_UNREGISTERED: Final = b'"UNREGISTERED"'
_MALFORMED, _UNAUTHORIZED, _TOO_LARGE = 400, 401, 413
_GONE: Final = (404, 410)
# Not 401 and 403: these are about the keys of the server, and may succeed when the operator has mended them.
_REFUSED: Final = (_MALFORMED, _TOO_LARGE)


@dataclass(frozen=True, slots=True)
class VapidKey:
    """The key of this server towards push services, and how they reach its operator (`mailto:` or `https:`)."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    contact: str

    @property
    def public(self) -> str:
        """As browsers take it for `applicationServerKey`."""
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return _base64url(point)


@dataclass(frozen=True, slots=True)
class AppService:
    """A service shaped like FCM, and the account that may use it."""

    url: str
    account: str
    private_key: str = field(repr=False)
    token_url: str


class UnusableSubscription(ValueError):
    """The keys of a browser cannot be used."""


def encrypted(
    secret: str, message: bytes, private: ec.EllipticCurvePrivateKey | None = None, salt: bytes | None = None
) -> bytes:
    """A message for a browser with these keys (JSON: `p256dh`, `auth`). Key and salt are of this message only: without
    them they are made. Raises UnusableSubscription."""
    try:
        keys = json.loads(secret)
        point, auth = _unbase64url(keys["p256dh"]), _unbase64url(keys["auth"])
        if len(point) != _POINT_BYTES or len(auth) != _AUTH_BYTES:
            raise ValueError
        ephemeral = private or ec.generate_private_key(ec.SECP256R1())
        body: bytes = http_ece.encrypt(
            message, salt=salt, private_key=ephemeral, dh=point, auth_secret=auth, version="aes128gcm"
        )
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, RecursionError) as error:
        raise UnusableSubscription("the keys of the browser cannot be used") from error
    return body


class PushSender:
    """The channel of push messages. `open_client` sends to push services, `client` to the service of apps."""

    def __init__(
        self,
        key: VapidKey | None,
        apps: AppSender | None,
        open_client: HttpClient,
        render: Callable[[Delivery], Rendered],
        now: Now,
        *,
        schemes: tuple[str, ...] = ANY,
        hosts: PushHosts = EVERY_HOST,
    ) -> None:
        self._schemes = schemes
        self._hosts = hosts
        self._key = key
        self._apps = apps
        self._client = open_client
        self._render = render
        self._now = now

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        """Hand the message over."""
        rendered = self._render(delivery)
        if not delivery.address.startswith(("https://", "http://")):
            if self._apps is None:
                return NotSent("there is no push service for apps", permanent=True)
            return await self._apps.send(delivery, rendered)
        if self._key is None:
            return NotSent("there is no key for web push", permanent=True)
        fault = fault_of_url(delivery.address, self._schemes)
        if fault is not None:
            return NotSent(fault, permanent=True)
        if not self._hosts.allow(delivery.address):  # entered when the setting was another one
            return NotSent("the host is none of the push services of --push-hosts", permanent=True)
        try:
            body = encrypted(delivery.secret, _message(delivery, rendered))
        except UnusableSubscription as error:
            return NotSent(str(error), permanent=True, gone=True)
        answer = await self._client.post(delivery.address, self._headers(delivery, self._key), body)
        if isinstance(answer, NotSent):
            return answer
        if answer.status in _GONE:
            return NotSent(f"the push service answers {answer.status}", permanent=True, gone=True)
        return _outcome(answer, self._now, is_final=answer.status in _REFUSED)

    def _headers(self, delivery: Delivery, key: VapidKey) -> dict[str, str]:
        parts = urlsplit(delivery.address)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int(self._now().timestamp()) + _PROOF_SECONDS,
            "sub": key.contact,
        }
        proof = jwt.encode(claims, key.private, algorithm="ES256")
        return {
            "Authorization": f"vapid t={proof}, k={key.public}",
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(TTL_SECONDS),
            "Urgency": _URGENCY.get(Priority(delivery.notices[0].priority), "low"),
        }

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()
        if self._apps is not None:
            await self._apps.close()


class AppSender:
    """Messages to apps. An access token is fetched when it is needed, and kept until it expires."""

    def __init__(self, service: AppService, client: HttpClient, now: Now) -> None:
        self._service = service
        self._client = client
        self._now = now
        self._token = ""
        self._valid_until = 0.0
        self._fetching = asyncio.Lock()

    async def send(self, delivery: Delivery, rendered: Rendered) -> Sent | NotSent:
        """Hand the message over."""
        if not _APP_TOKEN(delivery.address):
            return NotSent("this is no token of an app", permanent=True, gone=True)
        token = await self._access_token()
        if isinstance(token, NotSent):
            return token
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = await self._client.post(self._service.url, headers, _app_message(delivery, rendered))
        if isinstance(answer, NotSent):
            return answer
        if answer.status == _UNAUTHORIZED:
            self._valid_until = 0.0
        if _UNREGISTERED in answer.body and not answer.ok:
            return NotSent("the app is not registered any more", permanent=True, gone=True)
        return _outcome(answer, self._now, is_final=answer.status == _MALFORMED)

    async def _access_token(self) -> str | NotSent:
        async with self._fetching:
            now = self._now().timestamp()
            if now < self._valid_until - _EARLY_SECONDS:
                return self._token
            claims = {"iss": self._service.account, "scope": _SCOPE, "aud": self._service.token_url}
            moments = {"iat": int(now), "exp": int(now) + 3600}
            assertion = jwt.encode(claims | moments, self._service.private_key, algorithm="RS256")
            form = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._client.post(self._service.token_url, headers, form)
            if isinstance(answer, NotSent):
                return answer
            return self._take_token(answer, now)

    def _take_token(self, answer: Answer, now: float) -> str | NotSent:
        try:
            parsed = json.loads(answer.body)
            token, seconds = parsed["access_token"], float(parsed["expires_in"])
        except (ValueError, TypeError, KeyError, RecursionError):
            token, seconds = "", 0.0
        if not answer.ok or not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            return NotSent(f"no access token: the answer has the status {answer.status}")
        self._token, self._valid_until = token, now + seconds
        return token

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()


def _outcome(answer: Answer, now: Now, *, is_final: bool) -> Sent | NotSent:
    if answer.ok:
        return Sent(answer.headers.get("location", "")[:500])
    reason = f"the push service answers {answer.status}"
    return NotSent(reason, permanent=is_final, retry_after=retry_after(answer, now))


def _message(delivery: Delivery, rendered: Rendered) -> bytes:
    """At most 3,993 bytes: what a push service has to take."""
    first = delivery.notices[0]
    message = {
        "id": delivery.id,
        "title": rendered.subject,
        "body": rendered.body,
        "wedding": first.wedding,
        "type": first.type,
        "priority": int(first.priority),
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _app_message(delivery: Delivery, rendered: Rendered) -> bytes:
    first = delivery.notices[0]
    urgent = first.priority <= Priority.URGENT
    message: dict[str, Any] = {
        "token": delivery.address,
        "notification": {"title": rendered.subject, "body": rendered.body},
        "data": {"id": delivery.id, "wedding": first.wedding, "type": first.type},
        "android": {"priority": "high" if urgent else "normal", "ttl": f"{TTL_SECONDS}s"},
    }
    return json.dumps({"message": message}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _unbase64url(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
