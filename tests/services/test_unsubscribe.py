"""Links that unsubscribe: what they disclose, who can make one, and keys that are replaced."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from crdt_server.services.messaging.unsubscribe import LONGEST_TOKEN, LinkTarget, UnsubscribeLinks
from storage import StoredMessage

OLD, NEW, OTHER = (letter * 32 for letter in (b"o", b"n", b"x"))
URL = "https://wedding.test/"
CHLOE = LinkTarget("w_moana", "u_chloe", "mail", "guests")


def token_of(url: str) -> str:
    (token,) = parse_qs(urlsplit(url).query)["token"]
    return token


def test_a_link_holds_what_it_ends() -> None:
    links = UnsubscribeLinks([NEW], URL)
    url = links.url(CHLOE)
    assert url.startswith("https://wedding.test/api/unsubscribe?token=")
    assert links.read(token_of(url)) == CHLOE
    longest = LinkTarget("w" * 255, "😀" * 255, "push", "messages")
    assert len(links.url(longest)) < LONGEST_TOKEN
    assert links.read(token_of(links.url(longest))) == longest


def test_it_discloses_nothing() -> None:
    token = token_of(UnsubscribeLinks([NEW], URL).url(CHLOE))
    content = base64.urlsafe_b64decode(token)
    for name in (*CHLOE, NEW.decode()):
        assert name not in token
        assert name.encode() not in content


def test_nobody_else_can_make_or_change_one() -> None:
    links = UnsubscribeLinks([NEW], URL)
    token = token_of(links.url(CHLOE))
    assert UnsubscribeLinks([OTHER], URL).read(token) is None
    content = base64.urlsafe_b64decode(token)
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        assert links.read(base64.urlsafe_b64encode(changed).decode()) is None
    for wrong in ("", "x", token[:-4], token + "AAAA", "é" * 80, "A" * (LONGEST_TOKEN + 1), "\0", "\ud800"):
        assert links.read(wrong) is None


def test_links_of_older_keys_are_good_until_those_are_gone() -> None:
    old = token_of(UnsubscribeLinks([OLD], URL).url(CHLOE))
    both = UnsubscribeLinks([NEW, OLD], URL)
    assert both.read(old) == CHLOE
    new = token_of(both.url(CHLOE))
    assert UnsubscribeLinks([NEW], URL).read(new) == CHLOE
    assert UnsubscribeLinks([NEW], URL).read(old) is None
    assert UnsubscribeLinks([OLD], URL).read(new) is None


@pytest.mark.parametrize(
    "links", [UnsubscribeLinks([], URL), UnsubscribeLinks([NEW], "")], ids=["no secret", "no address"]
)
def test_without_a_secret_or_an_address_there_are_none(links: UnsubscribeLinks) -> None:
    assert links.url(CHLOE) == ""
    assert links.read("gAAAA") is None


@pytest.mark.parametrize(("channel", "group"), [("in-app", "guests"), ("webhook", "guests"), ("mail", "emergencies")])
def test_messages_that_nobody_ends_have_none(channel: str, group: str) -> None:
    assert UnsubscribeLinks([NEW], URL).url(LinkTarget("w", "u_1", channel, group)) == ""


def test_a_message_of_the_outbox_has_the_link_of_its_group() -> None:
    at = datetime(2026, 6, 20, tzinfo=UTC)
    links = UnsubscribeLinks([NEW], URL)

    def target(type_: str, channel: str = "mail") -> LinkTarget | None:
        about = (7, type_, 3, "guests", "g_1", "{}", 1)
        message = StoredMessage(1, "key", "w", "u_1", channel, "", *about, "sending", 0, at, at, "", None, "", None)
        url = links.of_message(message)
        return links.read(token_of(url)) if url else None

    assert target("guest.rsvp") == LinkTarget("w", "u_1", "mail", "guests")
    assert target("digest") == LinkTarget("w", "u_1", "mail", "digest")
    assert target("message.sent", "push") == LinkTarget("w", "u_1", "push", "messages")
    assert target("emergency.raised") is None
    assert target("guest.rsvp", "webhook") is None


def test_a_secret_signs_nothing_else() -> None:
    """The secret of the tokens of sessions makes other keys than itself."""
    from cryptography.fernet import Fernet, InvalidToken

    token = token_of(UnsubscribeLinks([NEW], URL).url(CHLOE))
    with pytest.raises(InvalidToken):
        Fernet(base64.urlsafe_b64encode(NEW)).decrypt(token)
