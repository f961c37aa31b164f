"""Keys of an identity provider: a real HTTP server, that answers, hangs, lies or is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crdt_server import key_source
from crdt_server.access.access import Denied
from crdt_server.access.keys import KeySet
from crdt_server.access.tokens import Claims, TokenRules, TokenVerifier
from crdt_server.key_source import ANSWER_BYTES, REFRESH_SECONDS, RETRY_SECONDS, FetchedKeys, KeyFileError, open_keys
from crdt_server.settings import Settings
from tests.support.gate import until
from tests.support.tokens import SECRET, claims, entry, key_set, private_key, public_pem, signed, token

NOT_NOW = "the key of the token is not known at present, try later"


class IdentityProvider:
    """Publishes keys, and counts who reads them."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.content = key_set(entry("ES256", "k1"))
        self.answer: Callable[[bytes], bytes] = ok
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        await self.may_answer.wait()
        writer.write(self.answer(self.content))
        writer.close()


def ok(content: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


def chunked(content: bytes) -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:10], content[10:]))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"


def until_the_end(content: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + content


@asynccontextmanager
async def publishing() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys?tenant=1"
    async with server:
        yield provider
        provider.may_answer.set()


class Clock:
    """Monotonic seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with publishing() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(provider: IdentityProvider, clock: Clock) -> AsyncIterator[FetchedKeys]:
    found = FetchedKeys(provider.url, now=clock)
    yield found
    found.stop()


def named(kid: str, number: int = 0) -> str:
    return signed(claims(), "ES256", key=private_key("ES256", number), headers={"kid": kid})


async def verified(keys: FetchedKeys, text: str) -> Claims | str:
    """The claims, or why not."""
    found = TokenVerifier(keys, TokenRules(), time.time).verify(text, "w")
    found = found if isinstance(found, (Claims, Denied)) else await found
    return found.reason if isinstance(found, Denied) else found


@pytest.mark.parametrize("answer", [ok, chunked, until_the_end])
async def test_a_token_waits_for_its_key(
    provider: IdentityProvider, keys: FetchedKeys, answer: Callable[[bytes], bytes]
) -> None:
    provider.answer = answer
    assert isinstance(await verified(keys, named("k1")), Claims)
    assert provider.requests[0].startswith(b"GET /keys?tenant=1 HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_many_wait_for_one_fetch(provider: IdentityProvider, keys: FetchedKeys) -> None:
    provider.may_answer.clear()
    waiting = [asyncio.create_task(verified(keys, named("k1"))) for _ in range(50)]
    await until(lambda: bool(provider.requests))
    waiting[0].cancel()
    provider.may_answer.set()
    found = await asyncio.gather(*waiting[1:])
    assert all(isinstance(each, Claims) for each in found)
    assert len(provider.requests) == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(
    provider: IdentityProvider, keys: FetchedKeys, clock: Clock
) -> None:
    assert isinstance(await verified(keys, named("k1")), Claims)
    provider.content = key_set(entry("ES256", "k1"), entry("ES256", "k2", 1))
    assert await verified(keys, named("k2", 1)) == NOT_NOW, "not so soon again"
    clock.now += RETRY_SECONDS
    assert isinstance(await verified(keys, named("k2", 1)), Claims)
    assert len(provider.requests) == 2


async def test_unknown_keys_cause_a_fetch_every_thirty_seconds(
    provider: IdentityProvider, keys: FetchedKeys, clock: Clock
) -> None:
    for second in range(91):
        clock.now = 1000.0 + second
        await verified(keys, named(f"unknown-{second}"))
    assert len(provider.requests) == keys.fetches == 4


async def test_known_keys_do_not_wait_and_are_read_again_when_they_are_old(
    provider: IdentityProvider, keys: FetchedKeys, clock: Clock
) -> None:
    assert isinstance(await verified(keys, named("k1")), Claims)
    clock.now += REFRESH_SECONDS
    provider.content = key_set(entry("ES256", "k2", 1))
    provider.may_answer.clear()
    version = keys.version
    assert isinstance(keys.find("k1", "ES256"), tuple), "at once, while the fetch goes on"
    provider.may_answer.set()
    await until(lambda: keys.version > version)
    assert await verified(keys, named("k1")) == NOT_NOW, "it was withdrawn"
    assert isinstance(await verified(keys, named("k2", 1)), Claims)


async def test_while_the_provider_is_away_the_known_keys_are_used(clock: Clock) -> None:
    async with publishing() as provider:
        keys = FetchedKeys(provider.url, now=clock)
        assert isinstance(await verified(keys, named("k1")), Claims)
    for _ in range(3):
        clock.now += REFRESH_SECONDS
        assert isinstance(await verified(keys, named("k1")), Claims)
        assert await verified(keys, named("k2", 1)) == NOT_NOW, "perhaps it is good: the client comes again"
    assert keys.fetches == 4


def status(code: int) -> Callable[[bytes], bytes]:
    return lambda content: ok(content).replace(b"200 OK", b"%d X\r\nLocation: http://127.0.0.1:1/" % code)


@pytest.mark.parametrize(
    "answer",
    [
        *(status(404), status(302), lambda _: b"", lambda _: b"nonsense\r\n\r\n", lambda _: ok(b"{}")),
        lambda content: ok(content[:-9]),
        lambda content: ok(content + b" " * ANSWER_BYTES),
        lambda content: b"HTTP/1.1 200 OK\r\nX: " + b"x" * ANSWER_BYTES,
        lambda content: ok(content).replace(b"Content-Length: ", b"Content-Length: 9"),
    ],
    ids=["404", "302", "nothing", "no HTTP", "no keys", "cut", "too large", "endless headers", "too short"],
)
async def test_an_answer_that_cannot_be_used_changes_nothing(
    provider: IdentityProvider, keys: FetchedKeys, clock: Clock, answer: Callable[[bytes], bytes]
) -> None:
    assert isinstance(await verified(keys, named("k1")), Claims)
    provider.answer, provider.content = answer, key_set(entry("ES256", "k2", 1))
    clock.now += RETRY_SECONDS
    assert await verified(keys, named("k2", 1)) == NOT_NOW
    assert isinstance(await verified(keys, named("k1")), Claims)
    assert keys.version == 1


async def test_a_provider_that_never_answers(
    provider: IdentityProvider, keys: FetchedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_source, "FETCH_SECONDS", 0.1)
    provider.may_answer.clear()
    assert await verified(keys, named("k1")) == NOT_NOW
    assert len(provider.requests) == 1


async def test_own_keys_are_there_as_well(provider: IdentityProvider, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    keys = open_keys(Settings(jwt_secret_file=f"{tmp_path}/secret", jwks_url=provider.url))
    assert isinstance(keys, FetchedKeys)
    assert isinstance(await verified(keys, token()), Claims)
    assert isinstance(await verified(keys, named("k1")), Claims)
    assert isinstance(await verified(keys, signed(claims(), headers={"kid": "any"})), Claims)
    keys.stop()


# -- files


def test_keys_of_files(tmp_path: Path) -> None:
    for name in ("RS256", "ES256"):
        (tmp_path / name).write_bytes(public_pem(name))
    (tmp_path / "set").write_bytes(key_set(entry("EdDSA", "e1")))
    (tmp_path / "secret").write_bytes(SECRET)
    settings = Settings(
        jwt_secret_file=f"{tmp_path}/secret",
        jwt_public_key=f"{tmp_path}/RS256, k=1={tmp_path}/ES256",
        jwks_file=f"{tmp_path}/set",
    )
    keys = open_keys(settings)
    assert isinstance(keys, KeySet)
    assert [(key.algorithm, key.kid) for key in keys] == [
        ("HS256", None), ("RS256", None), ("ES256", "k=1"), ("EdDSA", "e1"),
    ]  # fmt: skip
    assert open_keys(Settings()) is None


@pytest.mark.parametrize(
    "settings",
    [
        *({"jwt_secret_file": "{}/missing"}, {"jwt_secret_file": "{}"}, {"jwt_secret_file": "{}/short"}),
        *({"jwt_public_key": "{}/short"}, {"jwt_public_key": "a={}/missing"}, {"jwks_file": "{}/short"}),
        *({"jwks_url": "file:///etc/passwd"}, {"jwks_url": "https://"}, {"jwks_url": "keys"}),
        *({"jwks_url": "https://user:password@id.test/"}, {"jwks_url": "https://id.test/a b"}),
        *(
            {"jwks_url": "https://id.test/\r\nX: y"},
            {"jwks_url": "https://id.test:port/"},
            {"jwks_url": "ftp://id.test"},
        ),
    ],
    ids=str,
)
def test_what_names_no_key_is_one_line(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"too short")
    with pytest.raises(KeyFileError) as refused:
        open_keys(Settings(**{name: value.format(tmp_path) for name, value in settings.items()}))  # type: ignore[arg-type]
    message = str(refused.value)
    assert message.startswith("--jw")
    assert "\n" not in message
    assert "too short" not in message.replace("is no", "")
    assert "password" not in message
