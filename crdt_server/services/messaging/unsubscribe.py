"""Links that end messages of one kind to one person, without a session (RFC 8058).

The token of a link is encrypted and signed (Fernet: AES-128-CBC with HMAC-SHA-256): it shows neither wedding nor
person, nobody else can make one, and it switches one group off on one channel. Its keys are derived from the secrets of
the server: the first one makes links, and each is good for links that were sent before.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.preferences import GROUPS, PERSONAL, group_of
from storage import StoredMessage
from storage.outbox import CONFIRMATION

PATH: Final = "/api/unsubscribe"
LONGEST_TOKEN: Final = 4096

UNREMITTING: Final = "emergencies"
"""The group whose messages have no such link."""

_PURPOSE: Final = b"crdt-server unsubscribe 1"


class LinkTarget(NamedTuple):
    """The subscription that a link ends: messages about a group to a person on a channel."""

    wedding: str
    user: str
    channel: str
    group: str


class UnsubscribeLinks:
    """See the head of the file. Without secrets or a `public_url` there are no links."""

    def __init__(self, secrets: Sequence[bytes], public_url: str) -> None:
        self._keys = MultiFernet([Fernet(_key_of(each)) for each in secrets]) if secrets else None
        self._public_url = public_url.rstrip("/")

    def url(self, target: LinkTarget) -> str:
        """The link; empty where there is none."""
        sendable = target.channel in PERSONAL and target.group != UNREMITTING
        if self._keys is None or not self._public_url or not sendable:
            return ""
        content = json.dumps(target, ensure_ascii=False, separators=(",", ":"))
        token = self._keys.encrypt(content.encode()).decode()
        return f"{self._public_url}{PATH}?token={quote(token, safe='=')}"

    def of_message(self, message: StoredMessage) -> str:
        """The link in a message of the outbox; empty where there is none."""
        if message.type == CONFIRMATION:
            return ""
        return self.url(LinkTarget(message.wedding, message.user, message.channel, group_of(message.type)))

    def read(self, token: str) -> LinkTarget | None:
        """The target of a token; None where this server has not made it."""
        if self._keys is None or len(token) > LONGEST_TOKEN:
            return None
        try:
            content = self._keys.decrypt(token)
        except (InvalidToken, ValueError):  # ValueError: not ASCII
            return None
        found = LinkTarget(*json.loads(content))
        return found if found.channel in set(Channel) and found.group in GROUPS else None


def _key_of(secret: bytes) -> bytes:
    return urlsafe_b64encode(HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret))
