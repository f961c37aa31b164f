"""Servers that take messages: SMTP, and HTTP that answers as the test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Received(NamedTuple):
    """A request. Names of headers are in lower case."""

    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A whole answer. `Retry_After` is the header `Retry-After`."""

    async def write(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return write


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """No answer at all."""


async def break_off(writer: asyncio.StreamWriter) -> None:
    """The beginning of a head."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def break_off_in_body(writer: asyncio.StreamWriter) -> None:
    """A head, and less of a body than it announces."""
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{"sid": "SM1')


async def silent(writer: asyncio.StreamWriter) -> None:
    """Nothing, without end."""
    await asyncio.get_running_loop().create_future()


async def dripping(writer: asyncio.StreamWriter) -> None:
    """A head without end: a header whenever the reader has taken the last."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def endless_head_slowly(writer: asyncio.StreamWriter) -> None:
    """The first bytes of a head, and no more."""
    writer.write(b"HTTP/1.1 200 OK\r\nX")
    await silent(writer)


async def huge(writer: asyncio.StreamWriter) -> None:
    """Ten megabytes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
    for _ in range(160):
        writer.write(bytes(65_536))
        await writer.drain()


class HttpSink:
    """Keeps what it receives, and answers with the next of `answers`, or the last. `left`: a client went during one."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = [answer(200)]
        self._arrived = asyncio.Event()
        self.left = asyncio.Event()
        self.port = 0
        self.connections = 0

    async def arrivals(self, count: int) -> None:
        """Wait until so many requests were received."""
        while len(self.received) < count:
            self._arrived.clear()
            await self._arrived.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                pairs = (line.split(":", 1) for line in lines)
                headers = {name.lower(): value.strip() for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.received.append(Received(first.split(" ")[1], headers, body))
                self._arrived.set()
                respond = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                try:
                    await respond(writer)
                except OSError:
                    self.left.set()
                    break
                if respond in (hang_up, break_off, break_off_in_body):
                    break
        writer.close()


@asynccontextmanager
async def http_sink(tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpSink]:
    """An HTTP sink on a free port."""
    sink = HttpSink()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await sink.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class MailSink:
    """Keeps mail. `refusals`: recipient -> answer; `data_answer` is given to the content."""

    def __init__(self) -> None:
        self.mail: list[EmailMessage] = []
        self.content: list[bytes] = []
        self.recipients: list[str] = []
        self.senders: list[str] = []
        self.refusals: dict[str, str] = {}
        self.data_answer = "250 OK"
        self.logins: list[tuple[str, str]] = []
        self.password = ""
        self.connections = 0
        self.port = 0
        self.silent = False
        self.noop_answer = "250 OK"

    async def handle_NOOP(self, server: SMTP, session: Session, envelope: Envelope, arg: str) -> str:
        return self.noop_answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.silent:
            await asyncio.get_running_loop().create_future()
        if self.data_answer.startswith("250"):
            content = cast("bytes", envelope.original_content)
            self.content.append(content)
            self.mail.append(cast("EmailMessage", message_from_bytes(content, policy=default)))
            self.recipients += envelope.rcpt_tos
            self.senders.append(str(envelope.mail_from))
        return self.data_answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == self.password, handled=False)


@asynccontextmanager
async def mail_sink(
    *, tls: ssl.SSLContext | None = None, starttls: bool = False, auth: bool = False
) -> AsyncIterator[MailSink]:
    """An SMTP server on a free port: plain, behind TLS, or with STARTTLS."""
    sink = MailSink()
    loop = asyncio.get_running_loop()

    def connected() -> SMTP:
        sink.connections += 1
        return SMTP(
            sink,
            hostname="sink.test",
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=sink.authenticate if auth else None,
            auth_required=auth and starttls,
            auth_require_tls=starttls,
            loop=loop,
        )

    server = await loop.create_server(connected, "127.0.0.1", 0, ssl=None if starttls else tls)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server on 127.0.0.1 and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    pem = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + signed.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cafile=pem)
    return server, client
