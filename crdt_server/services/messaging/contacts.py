"""Validation of the address of a person, on each channel. Nothing in it can become a header or a second address."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from crdt_server.services.messaging.model import Channel

LONGEST_ADDRESS: Final = 2000
_LONGEST_MAIL: Final = 254  # RFC 5321, with the angle brackets 256

_MAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,10}[A-Za-z][A-Za-z0-9-]{1,62}"
)
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
_DEVICE: Final = re.compile(r"[A-Za-z0-9:_-]{20,1000}")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")


def fault_of(channel: str, address: str) -> str | None:
    """Why nothing could be sent to an address on a channel."""
    match channel:
        case Channel.MAIL if len(address) > _LONGEST_MAIL or not _MAIL.fullmatch(address):
            return "this is no mail address: name@example.org"
        case Channel.SMS if not _PHONE.fullmatch(address):
            return "this is no telephone number: +64211234567"
        case Channel.PUSH if not (_DEVICE.fullmatch(address) or is_endpoint(address)):
            return "this is neither the endpoint of a push service, https://…, nor the token of a device"
    return None


def is_endpoint(address: str) -> bool:
    """Whether an address is the URL of a push service; mail addresses and numbers of phones are none."""
    if len(address) > LONGEST_ADDRESS or not _PRINTABLE.fullmatch(address):
        return False
    try:
        url = urlsplit(address)
        url.port  # noqa: B018 - raises ValueError where it is none
    except ValueError:
        return False
    return url.scheme == "https" and bool(url.hostname) and "@" not in url.netloc


def id_of(channel: str, address: str) -> str:
    """The id of an address of a person."""
    return sha256(f"{channel}\n{address}".encode()).hexdigest()
