"""Who the clients are: persons with names, or with tokens, whose secret the servers get as a file."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from crdt_server.access.keys import secret_key
from crdt_server.access.tokens import Claims, TokenRules, sign

SECRET = b"a secret of benchmarks: thirty-two bytes, and more"
TTL_SECONDS = 6 * 3600
Query = Callable[[str, int], str]
"""The query of the URL of a client, by its wedding and number."""


def flags(directory: Path) -> tuple[str, ...]:
    """The options of a server that verifies these tokens; the file of the secret is written to its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "token-secret"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    return ("--jwt-secret-file", str(file))


def token_query(wedding: str, number: int) -> str:
    """A person in the role of the couple; another one for each number."""
    return f"token={couple_token(wedding, number)}"


def named_query(_wedding: str, number: int) -> str:
    """The same person, as --dev takes them at their word."""
    return f"user=user-{number}&role=couple"


def couple_token(wedding: str, number: int) -> str:
    """Of the person of `token_query`."""
    return _signed(Claims(f"user-{number}", _expiry(), wedding, "couple"))


def member_token(wedding: str, user: str) -> str:
    """Somebody whose role is decided by the members of the wedding."""
    return _signed(Claims(user, _expiry(), wedding))


def role_token(wedding: str, user: str, role: str) -> str:
    """A person in a role."""
    return _signed(Claims(user, _expiry(), wedding, role))


@cache
def _expiry() -> float:
    return time.time() + TTL_SECONDS


def _signed(claims: Claims) -> str:
    return sign(claims, TokenRules(), secret_key(SECRET))
