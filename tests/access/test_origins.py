"""Origins of pages: a browser names the page, and no page can change that."""

from __future__ import annotations

import pytest

from crdt_server.access.origins import AllowedOrigins

LISTED = "https://app.test, http://localhost:5173/ ,HTTPS://Other.Test"


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        *((None, True), ("https://app.test", True), ("https://APP.test", True), ("http://localhost:5173", True)),
        *(("https://other.test", True), ("https://sync.test:8000", True), ("http://sync.test:8000", True)),
        *(("https://attacker.test", False), ("null", False), ("", False), ("https://app.test.attacker.test", False)),
        *(("http://app.test", False), ("https://app.test:444", False), ("https://sync.test", False)),
    ],
)
def test_pages_that_may_connect(origin: str | None, admitted: bool) -> None:
    headers = {"Host": "sync.test:8000"} | ({} if origin is None else {"Origin": origin})
    assert AllowedOrigins(LISTED).admit(headers) == admitted
    assert AllowedOrigins("").admit(headers), "nothing is checked"
    assert AllowedOrigins("https://app.test,*").admit(headers)


def test_without_a_host_nothing_is_the_same_host() -> None:
    assert not AllowedOrigins(LISTED).admit({"Origin": "https://"})
    assert not AllowedOrigins(LISTED).admit({"Origin": "nonsense"})
