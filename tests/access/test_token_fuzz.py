"""Fuzz of tokens: whatever stands in a header or in claims, and however a good token is cut and bent, nobody gets in
but the person that the signer named; nothing crashes, and no token costs more than one signature."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from crdt_server.access.access import Denied
from crdt_server.access.keys import KeySet, public_key, secret_key
from crdt_server.access.tokens import Claims, TokenRules, TokenVerifier
from tests.support.effort import EVERYTHING
from tests.support.tokens import SECRET, encoded, forged, private_key, public_pem, signed

NOW = 1_800_000_000.0
GOOD = {"sub": "ada", "wedding": "w", "role": "guest", "guest": "g_1", "exp": int(NOW) + 600}
ADA = Claims("ada", NOW + 600, "w", "guest", guest="g_1")
TRIES = 100_000 if EVERYTHING else 4_000
ALGORITHMS = ("RS256", "ES256", "EdDSA")

VALUES: list[object] = [
    *(None, True, False, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", "x", "\x00", "\ud800", "é" * 300),
    *("x" * 9_000, [], {}, [[]], ["couple"], {"a": {}}, "server", "couple", "w", "other", "none", "HS256", "RS256"),
    *("../../etc/passwd", "' OR 1=1 --", "https://attacker.test/jwks", int(NOW), int(NOW) + 10**6, str(NOW)),
]
HEADER_FIELDS = (
    "alg",
    "kid",
    "typ",
    "cty",
    "crit",
    "b64",
    "zip",
    "enc",
    "jku",
    "jwk",
    "x5u",
    "x5c",
    "x5t",
    "exp",
    "p2c",
)
CLAIM_FIELDS = (
    *(
        "sub",
        "wedding",
        "role",
        "vendor",
        "guest",
        "side",
        "name",
        "scope",
        "device",
        "exp",
        "nbf",
        "iat",
        "iss",
        "aud",
    ),
    *("jti", "user", "identity", "__class__"),
)
RAW = (
    b"",
    b"[",
    b"[" * 3_000,
    b'{"a":' * 1_000,
    b"\xff\xfe{}",
    b'{"alg":"HS256","alg":"none"}',
    b'{"exp":1e999}',
    b"{",
)


def keys() -> KeySet:
    return KeySet([secret_key(SECRET), *(public_key(public_pem(name), name) for name in ALGORITHMS)])


class Fuzzer:
    """Makes tokens, of which only those of ``good`` may let Ada in."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.good = {name: signed(GOOD, name, headers={"kid": name}) for name in ("HS256", *ALGORITHMS)}

    def token(self) -> str:
        makers: list[Callable[[], str]] = [
            self.strange_header,
            self.strange_claims,
            self.bent,
            self.spliced,
            self.wrong_key,
            self.raw,
        ]
        return self.random.choice(makers)()

    def _changed(self, base: dict[str, object], fields: tuple[str, ...]) -> dict[str, object]:
        changed = dict(base)
        for _ in range(self.random.randint(1, 3)):
            field = self.random.choice(fields)
            if self.random.random() < 0.2:
                changed.pop(field, None)
            else:
                changed[field] = self.random.choice(VALUES)
        return changed

    def _secret(self) -> bytes:
        return self.random.choice(
            [b"", b"x" * 32, public_pem("RS256"), public_pem("ES256").strip(), b"null", b"secret"]
        )

    def strange_header(self) -> str:
        """Any header, signed with what an attacker has."""
        return forged(self._changed({"alg": "HS256", "typ": "JWT"}, HEADER_FIELDS), GOOD, self._secret())

    def strange_claims(self) -> str:
        """Any claims, signed with what an attacker has."""
        header = {
            "alg": self.random.choice(["HS256", "none", *ALGORITHMS]),
            "kid": self.random.choice([*ALGORITHMS, "x"]),
        }
        return forged(header, self._changed(GOOD, CLAIM_FIELDS), self._secret())

    def bent(self) -> str:
        """A good token with some characters changed, removed or doubled."""
        text = list(self.random.choice(list(self.good.values())))
        for _ in range(self.random.randint(1, 4)):
            place = self.random.randrange(len(text))
            text[place] = self.random.choice(["", text[place] * 2, "A", "_", ".", "=", "é", "\n", "%"])
        return "".join(text)

    def spliced(self) -> str:
        """Parts of several good tokens, and of others."""
        parts = [self.random.choice(list(self.good.values())).split(".")[part] for part in range(3)]
        changed = self._changed(
            {"alg": "HS256"} if self.random.random() < 0.5 else GOOD, (*HEADER_FIELDS, *CLAIM_FIELDS)
        )
        parts[self.random.randrange(3)] = encoded(changed)
        return ".".join(parts[: self.random.randint(1, 3)])

    def wrong_key(self) -> str:
        """A sound token, signed by somebody else, with a key that it brings along."""
        name = self.random.choice(("ES256", "EdDSA"))
        headers = {
            "kid": self.random.choice([name, "RS256", "x"]),
            "jku": "https://attacker.test",
            "jwk": {"kty": "oct"},
        }
        return signed(GOOD, name, key=private_key(name, 1), headers=headers)

    def raw(self) -> str:
        """Bytes that are no JSON, or JSON of any size."""
        return forged(self.random.choice(RAW), self.random.choice(RAW), self._secret())


def test_nobody_gets_in_without_a_signature() -> None:
    verifier = TokenVerifier(keys(), TokenRules(), lambda: NOW)
    fuzzer = Fuzzer(1)
    good = set(fuzzer.good.values())
    inside = []
    for _ in range(TRIES):
        token = fuzzer.token()
        if not isinstance(verifier.verify(token, "w"), Denied) and token not in good:
            inside.append(token)
    assert inside == []
    assert verifier.verified <= TRIES, "the most that one token costs is one signature"
    assert all(verifier.verify(token, "w") == ADA for token in good)


def test_whatever_is_signed_gives_a_person_as_the_claims_name_or_nobody() -> None:
    """Claims of any type, under a valid signature: those of a provider that is not quite what we expect."""
    verifier = TokenVerifier(keys(), TokenRules(), lambda: NOW)
    fuzzer = Fuzzer(2)
    admitted = 0
    for _ in range(TRIES // 10):
        claims = fuzzer._changed(GOOD, CLAIM_FIELDS)
        found = verifier.verify(signed(json.dumps(claims).encode()), "w")
        if isinstance(found, Denied):
            continue
        assert isinstance(found, Claims)
        admitted += 1
        assert found.user == claims["sub"]
        assert (found.role, found.vendor, found.guest) == tuple(
            claims.get(name, "") for name in ("role", "vendor", "guest")
        )
        assert NOW < found.expires_at <= NOW + 86_410
        assert found.role in ("", "couple", "guest")
    assert admitted > 10
