"""Mail over SMTP: text and HTML in one message, which whoever does not want it can end with one click (RFC 8058).

Connections are kept for a few seconds and used again; a kept one is tried with a command that does nothing first, so
that no message is lost, or sent twice, to a connection that the server has closed meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address
from email.message import Message
from email.policy import compat32
from email.utils import format_datetime, parseaddr
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import aiosmtplib

from crdt_server.services.messaging.channels.http import Now, client_tls
from crdt_server.services.messaging.model import Delivery, NotSent, Sent
from crdt_server.services.messaging.plain_text import cleaned, cut, one_line, unlinked
from crdt_server.services.messaging.texts import Rendered
from documents.sentences import language_of

KEPT_CONNECTIONS: Final = 4
KEPT_SECONDS: Final = 20.0
NAME_CHARACTERS: Final = 60
REASON_CHARACTERS: Final = 300
URL_CHARACTERS: Final = 900
"""Of the link that ends such mails: a line of a header has at most 998 characters."""

_Mail: TypeAlias = "Message[Header | str, Header | str]"
Security = Literal["smtp", "starttls", "smtps"]
PORTS: Final[dict[Security, int]] = {"smtp": 25, "starttls": 587, "smtps": 465}

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII).fullmatch
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII
).fullmatch
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}(?:\.[A-Za-z0-9_-]{1,100})*", re.ASCII).fullmatch
_PLAIN_WORDS: Final = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*", re.ASCII).fullmatch
_POLICY: Final = compat32.clone(linesep="\r\n")
_UTF8: Final = Charset("utf-8")
_UTF8.body_encoding = QP
_ADDRESSES: Final = re.compile(r"<?[^\s<>@]{1,200}@[^\s<>@]{1,200}>?")
# RFC 3463: no such mailbox, moved, disabled, no such domain, or one that takes no mail.
_GONE: Final = re.compile(r"\b5\.1\.(?:1|2|6|10)\b|\b5\.2\.1\b")
_PERMANENT: Final = 500


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, and in whose name."""

    host: str
    port: int
    security: Security
    user: str
    password: str = field(repr=False)
    sender: Address


def parse_sender(text: str) -> Address:
    """`Name <mailbox@host>` or `mailbox@host`. Raises ValueError."""
    name, mailbox = parseaddr(text)
    if "\n" in text or "\r" in text or not mailbox or fault_of_mailbox(mailbox) is not None:
        raise ValueError("no address like wedding@example.org or Name <wedding@example.org>")
    return Address(one_line(name), addr_spec=_ascii(mailbox))


def fault_of_mailbox(mailbox: str) -> str | None:
    """The reason why this is no address of a mailbox; None: it is one."""
    try:
        local, at, domain = _ascii(mailbox).rpartition("@")
    except ValueError:
        return "the name of the host of a mailbox cannot be read"
    if not at or not _LOCAL(local) or not _DOMAIN(domain) or len(local) > 64 or len(domain) > 253:
        return "an address of a mailbox is written as name@example.org"
    return None


def _ascii(mailbox: str) -> str:
    """The address with its host as DNS has it. Raises ValueError."""
    local, at, domain = mailbox.rpartition("@")
    return local + at + (domain if domain.isascii() else domain.encode("idna").decode())


class MailSender:
    """The channel of mail. `Delivery.address` is that of a mailbox."""

    def __init__(
        self,
        server: MailServer,
        render: Callable[[Delivery], Rendered],
        now: Now,
        *,
        seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._render = render
        self._now = now
        self._seconds = seconds
        self._tls = tls or client_tls()
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        """Hand the message over."""
        fault = fault_of_mailbox(delivery.address)
        if fault is not None:
            return NotSent(fault, permanent=True)
        message = self.compose(delivery)
        recipient = _ascii(delivery.address)
        connection: aiosmtplib.SMTP | None = None
        try:
            async with asyncio.timeout(self._seconds):
                connection = await self._connected()
                content = message.as_bytes()
                _, answer = await connection.sendmail(self._server.sender.addr_spec, recipient, content)
            self._keep(connection)
            connection = None
            return Sent(_harmless(answer))
        except TimeoutError:
            return NotSent(f"the mail server did not answer within {self._seconds:g} s")
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refused(error.recipients[0])
        except aiosmtplib.SMTPAuthenticationError as error:  # its text may have the user in it
            return NotSent(f"the mail server refuses the credentials ({error.code})")
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            return _refused(error)
        except aiosmtplib.SMTPResponseException as error:
            return NotSent(_harmless(f"the mail server answers {error.code} {error.message}"))
        except (aiosmtplib.SMTPException, OSError) as error:
            return NotSent(f"no connection to the mail server: {type(error).__name__}")
        finally:
            if connection is not None:
                connection.close()

    def compose(self, delivery: Delivery) -> _Mail:
        """The message that is sent.

        `Header` encodes the texts in headers as they are. `EmailMessage` would decode what looks like an encoded word
        (RFC 2047) in them first: the name `=?utf-8?q?=0ABcc:_…?=` became a header of its own.
        """
        rendered = self._render(delivery)
        message: _Mail = Message(policy=_POLICY)
        sender = self._server.sender
        name = cut(one_line(unlinked(cleaned(delivery.name))), NAME_CHARACTERS)
        message["From"] = _mailbox("From", sender.display_name, sender.addr_spec)
        message["To"] = _mailbox("To", name, _ascii(delivery.address))
        message["Subject"] = _text("Subject", rendered.subject)
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = f"<{_message_id(delivery.id)}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = language_of(delivery.language)
        if _is_https(delivery.unsubscribe):
            message["List-Unsubscribe"] = f"<{delivery.unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["MIME-Version"] = "1.0"
        message["Content-Type"] = "multipart/alternative"
        message.attach(_part("plain", rendered.text))
        message.attach(_part("html", rendered.html))
        return message

    async def _connected(self) -> aiosmtplib.SMTP:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if now - since < KEPT_SECONDS and connection.is_connected:
                with suppress(aiosmtplib.SMTPException, OSError):
                    await connection.noop()
                    return connection
            connection.close()
        return await self._connect()

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "smtps",
            start_tls=server.security == "starttls",
            username=server.user or None,
            password=server.password or None,
            local_hostname=server.sender.domain,
            timeout=self._seconds,
            tls_context=self._tls,
        )
        await connection.connect()
        return connection

    def _keep(self, connection: aiosmtplib.SMTP) -> None:
        if len(self._idle) < KEPT_CONNECTIONS:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.close()

    async def close(self) -> None:
        """Close what is open."""
        while self._idle:
            self._idle.pop()[0].close()


def _part(subtype: str, text: str) -> Message:
    part: Message = Message(policy=_POLICY)
    part["Content-Type"] = f"text/{subtype}"
    part.set_payload(text, _UTF8)
    return part


def _mailbox(header: str, name: str, mailbox: str) -> Header:
    """A mailbox with the name of whose it is, in a header of this name."""
    value = Header(header_name=header)
    if name:
        value.append(name, _charset_of(name))
    value.append(f"<{mailbox}>" if name else mailbox, "us-ascii")
    return value


def _text(header: str, text: str) -> Header:
    """A text in a header of this name."""
    return Header(text, _charset_of(text), header_name=header)


def _charset_of(text: str) -> str:
    """With `utf-8` a text is encoded, whatever is in it; plain words stay readable."""
    return "us-ascii" if _PLAIN_WORDS(text) else "utf-8"


def _message_id(id_: str) -> str:
    return id_ if _ID(id_) else sha256(id_.encode("utf-8", "replace")).hexdigest()


def _is_https(url: str) -> bool:
    """Whether this is a URL for a header: RFC 8058 takes https only."""
    return (
        len(url) <= URL_CHARACTERS
        and url.startswith("https://")
        and url.isascii()
        and url.isprintable()
        and not any(character in url for character in ' "<>,')
    )


def _refused(error: aiosmtplib.SMTPResponseException) -> NotSent:
    is_final = error.code >= _PERMANENT
    reason = _harmless(f"the mail server answers {error.code} {error.message}")
    about_mailbox = isinstance(error, aiosmtplib.SMTPRecipientRefused)
    return NotSent(reason, permanent=is_final, gone=is_final and about_mailbox and bool(_GONE.search(error.message)))


def _harmless(text: str) -> str:
    """An answer of a server in one line, without the addresses that it repeats."""
    return cut(one_line(_ADDRESSES.sub("<…>", cleaned(text))), REASON_CHARACTERS)
