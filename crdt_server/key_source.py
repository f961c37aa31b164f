"""Where the keys that verify tokens come from: files, which are read once, and the address of an identity provider.

Keys of a provider are kept. They are fetched again when they are old, while no request waits for it, and when a token
names a key that is not known: then the sender of that token waits. Never two fetches at once, never one sooner than
RETRY_SECONDS after the last; while the provider is away the keys that were fetched before are used on.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from crdt_server.access.access import Denied
from crdt_server.access.keys import Found, KeySet, TokenKey, UnusableKeyError, keys_of_set, public_key, secret_key
from crdt_server.access.later import Later
from crdt_server.fetch import FetchError, fetch, parse_url
from crdt_server.settings import Settings

log = structlog.get_logger(__name__)
T = TypeVar("T")

RETRY_SECONDS = 30.0
REFRESH_SECONDS = 600.0  # a key that a provider has withdrawn is trusted no longer than this, while it answers
FETCH_SECONDS = 5.0
ANSWER_BYTES = 256 * 1024

_NOT_NOW = Denied("admission", "the key of the token is not known at present, try later")


class KeyFileError(Exception):
    """A file of keys that cannot be used, or an address that is none; the message is one line."""


def open_keys(settings: Settings) -> KeySet | FetchedKeys | None:
    """The keys that the settings name; None where they name none. Raises KeyFileError."""
    keys: list[TokenKey] = []
    if settings.jwt_secret_file:
        keys.append(read_secret(settings.jwt_secret_file))
    for name in filter(None, map(str.strip, settings.jwt_public_key.split(","))):
        kid, _, path = name.rpartition("=")
        keys.append(_from_file("--jwt-public-key", path, partial(public_key, kid=kid or None)))
    if settings.jwks_file:
        keys += _from_file("--jwks-file", settings.jwks_file, keys_of_set)
    if settings.jwks_url:
        try:
            return FetchedKeys(settings.jwks_url, keys)
        except ValueError as error:
            raise KeyFileError(f"--jwks-url: {error}") from error
    return KeySet(keys) if keys else None


def read_secret(path: str, setting: str = "--jwt-secret-file") -> TokenKey:
    """The secret in a file. Raises KeyFileError."""
    return _from_file(setting, path, secret_key)


def read_link_secrets(settings: Settings) -> list[bytes]:
    """The secrets for links in messages, the newest first; none where the settings name none. Raises KeyFileError."""
    paths = [path.strip() for path in settings.link_secret_files.split(",") if path.strip()]
    keys = [read_secret(path, "--link-secret-files") for path in paths]
    if not keys and settings.jwt_secret_file:
        keys = [read_secret(settings.jwt_secret_file)]
    return [key.material for key in keys if isinstance(key.material, bytes)]


def _from_file(setting: str, path: str, read: Callable[[bytes], T]) -> T:
    try:
        with Path(path).open("rb") as file:
            return read(file.read(ANSWER_BYTES))
    except OSError as error:
        raise KeyFileError(f"{setting}: {path}: {error.strerror}") from error
    except UnusableKeyError as error:
        raise KeyFileError(f"{setting}: {path} {error}") from error


class FetchedKeys:
    """`Keys` of an identity provider at a URL, and ``own`` ones. ``now`` is any monotonic clock, in seconds. Raises
    ValueError where the URL is none."""

    def __init__(self, url: str, own: Iterable[TokenKey] = (), now: Callable[[], float] = time.monotonic) -> None:
        self._address = parse_url(url)
        self._tls = ssl.create_default_context()
        self._own = tuple(own)
        self._now = now
        self._keys = KeySet(self._own)
        self._fetching: asyncio.Task[None] | None = None
        self._started_at: float | None = None  # the newest fetch
        self._succeeded = False  # whether it did
        self._content = b""
        self.version = 0
        self.fetches = 0

    def find(self, kid: str | None, algorithm: str) -> Found | Awaitable[Found]:
        """See `Keys.find`."""
        known = self._keys.knows(kid, algorithm)
        if self._age >= (REFRESH_SECONDS if known and self._succeeded else RETRY_SECONDS):
            self.refresh()
        if known:
            return self._keys.find(kid, algorithm)
        if self._fetching is None:
            return _NOT_NOW
        # Shielded: one of those that wait may give up.
        return Later(asyncio.shield(self._fetching), lambda _: self._found(kid, algorithm))

    def refresh(self) -> None:
        """Begin to fetch the keys, unless that goes on."""
        if self._fetching is None:
            self._started_at = self._now()
            self.fetches += 1
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())

    def stop(self) -> None:
        """Fetch no more."""
        if self._fetching is not None:
            self._fetching.cancel()

    @property
    def _age(self) -> float:
        return float("inf") if self._started_at is None else self._now() - self._started_at

    def _found(self, kid: str | None, algorithm: str) -> Found:
        return self._keys.find(kid, algorithm) if self._succeeded else _NOT_NOW

    async def _fetch(self) -> None:
        try:
            content = await fetch(self._address, self._tls, seconds=FETCH_SECONDS, most_bytes=ANSWER_BYTES)
            if content != self._content:
                self._keys = KeySet([*self._own, *keys_of_set(content)])
                self._content = content
                self.version += 1
            self._succeeded = True
        except (FetchError, UnusableKeyError) as error:
            self._succeeded = False
            log.warning("keys_not_fetched", host=self._address.host, error=str(error))
        finally:
            self._fetching = None
