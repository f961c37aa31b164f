"""Mail to a real SMTP server, and what that server finds in it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.headerregistry import Address
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.services.messaging.channels.mail import (
    MailSender,
    MailServer,
    Security,
    fault_of_mailbox,
    parse_sender,
)
from crdt_server.services.messaging.model import Channel, NotSent, Sent
from crdt_server.services.messaging.texts import VALUES, render
from tests.support.deliveries import AT, delivery, notice
from tests.support.sinks import MailSink, certificate, mail_sink

SENDER = Address("Wedding", addr_spec="wedding@example.org")
SECONDS = 5.0
WORD, WRONG = "p√ss", "wr√ng"


@asynccontextmanager
async def sender_to(
    sink: MailSink,
    security: Security = "smtp",
    *,
    user: str = "",
    password: str = "",
    tls: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> AsyncIterator[MailSender]:
    server = MailServer("127.0.0.1", sink.port, security, user, password, SENDER)
    sender = MailSender(server, render, lambda: AT, seconds=seconds, tls=tls)
    try:
        yield sender
    finally:
        await sender.close()


async def test_a_mail_is_text_and_html_with_a_way_to_end_it() -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        assert isinstance(await sender.send(delivery()), Sent)
        (mail,) = sink.mail
    assert sink.recipients == ["anna@example.org"]
    assert sink.senders == ["wedding@example.org"]
    assert mail["From"] == "Wedding <wedding@example.org>"
    assert mail["To"] == "Anna <anna@example.org>"
    assert mail["Subject"] == "Mária: Flowers"
    assert mail["Message-ID"] == "<d_1@example.org>"
    assert mail["Date"].datetime == AT
    assert mail["List-Unsubscribe"] == "<https://wed.example/api/unsubscribe?token=t1>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "Shall we meet at noon?" in text.get_content()
    assert "Shall we meet at noon?" in html.get_content()


PIECES = st.sampled_from(
    [
        *("a", "ü", "🌳", " ", "שלום", "x.y", "=?utf-8?q?a=0D=0ABcc:_eve@evil.example?=", "=?utf-8?b?Cg==?=", ",", '"'),
        *(
            "<",
            ">",
            "(",
            "long" * 20,
            "é ",
            "👨‍👩‍👧‍👦",
            "-",
            "_",
            "?",
            "=",
            ";",
            "a@b.example",
            "\n",
            "\r\nBcc: eve@evil.example",
        ),
    ]
)


@given(typed=st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=80))
def test_headers_say_what_was_typed_and_nothing_else(typed: str) -> None:
    """Without a server: each example would be a connection."""
    server = MailServer("127.0.0.1", 25, "smtp", "", "", SENDER)
    sender = MailSender(server, render, lambda: AT, seconds=SECONDS)
    told = delivery(Channel.MAIL, "a@b.example", notice(actor=typed, title=typed, text=typed), name=typed)
    content = sender.compose(told).as_bytes()
    mail = message_from_bytes(content, policy=default)
    assert mail.keys() == sender.compose(delivery()).keys()
    assert mail["Subject"] == render(told).subject
    (recipient,) = mail["To"].addresses
    assert recipient.addr_spec == "a@b.example"
    assert not set(recipient.display_name) & set("\r\n")
    assert mail.defects == []
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")


@pytest.mark.parametrize("word", ["=?utf-8?q?a=0D=0ABcc:_eve@evil.example?=", "=?utf-8?b?YQ0KQmNjOiBl?="])
async def test_what_looks_like_an_encoded_word_is_text(word: str) -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        await sender.send(delivery(Channel.MAIL, "a@b.example", notice(actor=word, title="x"), name=word))
    (mail,) = sink.mail
    assert mail["Bcc"] is None
    assert mail["To"].addresses[0].display_name.startswith("=?utf-8?")
    assert mail["Subject"].startswith("=?utf-8?")


async def test_each_attempt_has_the_same_id() -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        for _ in range(2):
            await sender.send(delivery(id_="w|7|u_anna|mail"))
            await sender.send(delivery(id_="a\r\nBcc: eve@example.org"))
    ids = [mail["Message-ID"] for mail in sink.mail]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2
    assert sink.recipients == ["anna@example.org"] * 4


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85", "\0"])
async def test_no_field_makes_a_header(end: str) -> None:
    evil = f"Hi{end}Bcc: eve@example.org{end}{end}<h1>Body</h1>{end}.{end}MAIL FROM:<x@y>"
    told = notice("timeline.item.moved", **dict.fromkeys(VALUES, evil))
    given = delivery(
        Channel.MAIL, "anna@example.org", told, name=evil, title=evil, unsubscribe=f"https://x{end}Bcc: e@x"
    )
    async with mail_sink() as sink, sender_to(sink) as sender:
        assert isinstance(await sender.send(given), Sent)
        assert isinstance(await sender.send(delivery()), Sent)
    mail, plain = sink.mail
    headers = set(plain.keys()) - {"List-Unsubscribe", "List-Unsubscribe-Post"}
    assert set(mail.keys()) == headers
    assert len(list(mail.iter_parts())) == 2
    assert sink.recipients == ["anna@example.org"] * 2
    assert sink.connections == 1


@pytest.mark.parametrize("body", ["ü" * 4_000, "🌳" * 4_000, "שלום " * 800, ".\r\n" * 1_000, "x" * 4_000])
async def test_long_bodies_arrive_whole_in_short_lines(body: str) -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        assert isinstance(await sender.send(delivery(Channel.MAIL, "a@b.example", notice(text=body))), Sent)
    (mail,), (content,) = sink.mail, sink.content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()
    text = next(mail.iter_parts()).get_content()
    assert "".join(body.split()).strip(".") in "".join(text.split())
    assert text.count(body[0]) >= body.count(body[0])


async def test_a_connection_is_used_again() -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        for _ in range(5):
            assert isinstance(await sender.send(delivery()), Sent)
        assert sink.connections == 1
        await asyncio.gather(*(sender.send(delivery()) for _ in range(8)))
        assert sink.connections == 8
    assert len(sink.mail) == 13


async def test_a_connection_that_was_closed_meanwhile_loses_nothing() -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        await sender.send(delivery())
        sender._idle[0][0].transport.abort()  # type: ignore[union-attr]
        assert isinstance(await sender.send(delivery()), Sent)
        assert (len(sink.mail), sink.connections) == (2, 2)
        sink.noop_answer = "421 4.4.2 idle for too long"
        assert isinstance(await sender.send(delivery()), Sent)
    assert (len(sink.mail), sink.connections) == (3, 3)


@pytest.mark.parametrize("security", ["starttls", "smtps"])
async def test_credentials_go_through_tls(security: Security, tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    async with mail_sink(tls=server, starttls=security == "starttls", auth=True) as sink:
        sink.password = WORD
        async with sender_to(sink, security, user="wed", password=WORD, tls=client) as sender:
            assert isinstance(await sender.send(delivery()), Sent)
        assert sink.logins == [("wed", WORD)]
        async with sender_to(sink, security, user="wed", password=WRONG, tls=client) as sender:
            refused = await sender.send(delivery())
        assert refused == NotSent("the mail server refuses the credentials (535)")
        async with sender_to(sink, security, user="wed", password=WORD) as sender:  # an unknown authority
            unknown = await sender.send(delivery())
        assert isinstance(unknown, NotSent)
        assert not unknown.permanent
    assert len(sink.mail) == 1


async def test_starttls_is_required_where_it_is_configured() -> None:
    async with mail_sink() as sink, sender_to(sink, "starttls", user="wed", password=WORD) as sender:
        refused = await sender.send(delivery())
    assert isinstance(refused, NotSent)
    assert (sink.logins, sink.mail) == ([], [])


@pytest.mark.parametrize(
    ("answer", "permanent", "gone"),
    [
        ("550 5.1.1 <anna@example.org>: no such user here", True, True),
        ("550 5.7.1 anna@example.org is not allowed", True, False),
        ("451 4.7.1 Greylisted, anna@example.org", False, False),
        ("450 5.1.1 odd", False, False),
    ],
)
async def test_refused_recipients(answer: str, permanent: bool, gone: bool) -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        sink.refusals["anna@example.org"] = answer
        refused = await sender.send(delivery())
        assert isinstance(refused, NotSent)
        assert (refused.permanent, refused.gone) == (permanent, gone)
        assert "anna" not in refused.reason
        assert answer[:3] in refused.reason
        sink.refusals.clear()
        assert isinstance(await sender.send(delivery()), Sent)


@pytest.mark.parametrize(("answer", "permanent"), [("554 5.7.1 Spam", True), ("452 4.3.1 Disk full", False)])
async def test_refused_content(answer: str, permanent: bool) -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        sink.data_answer = answer
        refused = await sender.send(delivery())
    assert isinstance(refused, NotSent)
    assert (refused.permanent, refused.gone) == (permanent, False)


async def test_servers_that_are_silent_or_away() -> None:
    async with mail_sink() as sink, sender_to(sink, seconds=0.2) as sender:
        sink.silent = True
        assert await sender.send(delivery()) == NotSent("the mail server did not answer within 0.2 s")
    async with sender_to(sink) as sender:  # nobody listens any more
        away = await sender.send(delivery())
    assert isinstance(away, NotSent)
    assert not away.permanent


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            "anna",
            "@example.org",
            "anna@",
            "a b@example.org",
            "anna@exa mple.org",
            "anna@example.org\r\nRCPT TO:<e@x>",
        ),
        *(
            "<anna@example.org>",
            "anna@example.org,eve@example.org",
            "anna@-x.org",
            "änna@example.org",
            "a" * 65 + "@x.org",
        ),
        *('"a b"@example.org', "anna@[127.0.0.1]", "anna@x..org", "anna@\u2028", "a@" + "x" * 64 + ".org", "a@\udc00"),
    ],
)
async def test_what_is_no_mailbox_is_refused(address: str) -> None:
    assert fault_of_mailbox(address) is not None
    async with mail_sink() as sink, sender_to(sink) as sender:
        refused = await sender.send(delivery(Channel.MAIL, address))
    assert isinstance(refused, NotSent)
    assert refused.permanent
    assert sink.connections == 0


async def test_a_host_with_letters_of_its_own_is_reached_by_its_name_in_dns() -> None:
    async with mail_sink() as sink, sender_to(sink) as sender:
        assert isinstance(
            await sender.send(delivery(Channel.MAIL, "anna@bücher.example", name="Zoë “Z” <y>, Ltd")), Sent
        )
    assert sink.recipients == ["anna@xn--bcher-kva.example"]
    (address,) = sink.mail[0]["To"].addresses
    assert address.addr_spec == "anna@xn--bcher-kva.example"
    assert address.display_name == "Zoë “Z” <y>, Ltd"


def test_senders() -> None:
    assert parse_sender("Our Wedding <w@example.org>") == Address("Our Wedding", addr_spec="w@example.org")
    assert parse_sender("w@example.org").addr_spec == "w@example.org"
    for wrong in ("", "Wedding", "a@b@c", "w@example.org\r\nBcc: x@y", "Name <>"):
        with pytest.raises(ValueError, match="no address"):
            parse_sender(wrong)


def test_no_password_is_in_a_representation() -> None:
    assert "hunter2" not in repr(MailServer("h", 25, "smtp", "u", "hunter2", SENDER))
