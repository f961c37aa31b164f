"""Tokens: what lets a person in, and everything that does not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from jwt import PyJWS
from jwt.exceptions import PyJWTError

from crdt_server.access.access import Action, Credentials, Denied
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.keys import Found, Keys, KeySet, TokenKey, public_key, secret_key
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.access.token_access import TokenOrDevAccess
from crdt_server.access.tokens import (
    CACHE_BYTES,
    CLOCK_SKEW_SECONDS,
    LONGEST_TOKEN,
    ROLES,
    SIDES,
    Claims,
    TokenRules,
    TokenVerifier,
    _cached_size,
    sign,
    token_of,
)
from documents import wedding
from tests.support.tokens import SECRET, claims, encoded, forged, private_key, public_pem, signed

NOW = 1_800_000_000.0
EXP = int(NOW) + 600
KEYS = KeySet(
    [
        secret_key(SECRET),
        *(public_key(public_pem(name), f"{name}-key") for name in ("RS256", "ES256", "EdDSA")),
    ]
)
ADA = Claims("ada", EXP, "w", "couple")


class Clock:
    """The time of day, as the test says."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verify(clock: Clock) -> Callable[..., Claims | Denied]:
    def call(token: str, wedding: str = "w", keys: Keys = KEYS, **rules: object) -> Claims | Denied:
        verifier = TokenVerifier(keys, TokenRules(**rules), clock)  # type: ignore[arg-type]
        found = verifier.verify(token, wedding)
        assert isinstance(found, (Claims, Denied))
        return found

    return call


def token(**changed: object) -> str:
    return signed(claims(**{"exp": EXP, **changed}))


Verify = Callable[..., Claims | Denied]


def test_a_token_names_a_person_in_a_role_of_a_wedding(verify: Verify) -> None:
    assert verify(token()) == ADA
    everything = {"vendor": "v_1", "guest": "g_1", "side": "a", "name": "Zoë 🌿", "scope": "care:read", "device": "d_1"}
    assert verify(token(**everything)) == ADA._replace(**everything)  # type: ignore[arg-type]
    assert verify(token(wedding=None, role=None)) == Claims("ada", EXP), "the members of the wedding decide"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_each_algorithm(verify: Verify, algorithm: str) -> None:
    named = signed(claims(exp=EXP), algorithm, headers={"kid": f"{algorithm}-key"})
    assert verify(named) == ADA
    assert verify(signed(claims(exp=EXP), algorithm)) == ADA, "the only key of its algorithm"
    other = signed(claims(exp=EXP), algorithm, key=private_key(algorithm, 1), headers={"kid": f"{algorithm}-key"})
    assert verify(other) == Denied("unauthenticated", "the signature of the token is not valid", hostile=True)


def test_a_token_of_another_wedding_is_forbidden(verify: Verify) -> None:
    refused = verify(token(), wedding="other")
    assert isinstance(refused, Denied)
    assert (refused.code, refused.hostile) == ("forbidden", False)


HMAC = {"alg": "HS256", "typ": "JWT"}
GOOD = {"sub": "ada", "wedding": "w", "role": "couple", "exp": EXP}

FORGERIES = {
    "nothing": "",
    "one part": "abc",
    "two parts": "abc.def",
    "four parts": forged(HMAC, GOOD) + ".abc",
    "padding": forged(HMAC, GOOD) + "==",
    "spaces": forged(HMAC, GOOD) + " ",
    "other characters": forged(HMAC, GOOD).replace(".", "é.", 1),
    "half a character": "\ud800.\ud800.\ud800",
    "not UTF-8": forged(b"\xff\xfe", GOOD),
    "no object": forged([1], GOOD),
    "deep header": forged(b"[" * 5_000, GOOD),
    "deep payload": forged(HMAC, b"[" * 5_000),
    "a number without end": forged(b'{"alg": ' + b"9" * 5_000 + b"}", GOOD),
    "no algorithm": forged({"typ": "JWT"}, GOOD),
    "none": f"{encoded({'alg': 'none'})}.{encoded(GOOD)}.",
    "None": f"{encoded({'alg': 'None'})}.{encoded(GOOD)}.",
    "none with a signature": forged({"alg": "none"}, GOOD),
    "algorithm of another type": forged({"alg": ["HS256"]}, GOOD),
    "algorithm in small letters": forged({"alg": "hs256"}, GOOD),
    "HMAC of the public key": forged(HMAC, GOOD, public_pem("RS256")),
    "HMAC of the public key, named": forged({**HMAC, "kid": "RS256-key"}, GOOD, public_pem("RS256")),
    "a secret for a public key": forged({"alg": "RS256", "kid": "RS256-key"}, GOOD),
    "an algorithm that its key has not": signed(GOOD, "EdDSA", headers={"kid": "ES256-key"}),
    "another secret": forged(HMAC, GOOD, b"x" * 32),
    "an empty secret": forged(HMAC, GOOD, b""),
    "a path for a key": forged({**HMAC, "kid": "../../../dev/null"}, GOOD, b""),
    "an injection for a key": forged({**HMAC, "kid": "x' UNION SELECT 'key"}, GOOD, b"key"),
    "an empty key id": forged({**HMAC, "kid": ""}, GOOD),
    "a huge key id": forged({**HMAC, "kid": "k" * 257}, GOOD),
    "a number for a key id": forged({**HMAC, "kid": 1}, GOOD),
    "a list for a key id": forged({**HMAC, "kid": ["RS256-key"]}, GOOD),
    "what must be understood": forged({**HMAC, "crit": ["exp"], "exp": 1}, GOOD),
    "a detached payload": forged({**HMAC, "b64": False, "crit": ["b64"]}, GOOD),
    "no signature": forged(HMAC, GOOD).rpartition(".")[0] + ".",
    "a shorter signature": forged(HMAC, GOOD)[:-8],
    "another payload": forged(HMAC, GOOD).replace(encoded(GOOD), encoded({**GOOD, "role": "planner"})),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_lets_nobody_in_and_counts_against_its_address(verify: Verify, name: str) -> None:
    refused = verify(FORGERIES[name])
    assert isinstance(refused, Denied)
    assert refused.code == "unauthenticated"
    unknown_key = "no key is known" in refused.reason
    assert refused.hostile != (unknown_key or name == "deep payload"), refused


@pytest.mark.parametrize("where", ["jwk", "jku", "x5u", "x5c"])
def test_keys_that_a_token_brings_along_are_ignored(verify: Verify, where: str) -> None:
    from jwt.algorithms import RSAAlgorithm

    own = private_key("RS256", 1)
    value = RSAAlgorithm.to_jwk(own.public_key(), as_dict=True) if where == "jwk" else "https://attacker.test/keys"  # type: ignore[arg-type]
    for kid in ({"kid": "RS256-key"}, {}):
        refused = verify(signed(GOOD, "RS256", key=own, headers={where: value, **kid}))
        assert isinstance(refused, Denied)
        assert refused.reason == "the signature of the token is not valid"


def test_a_token_that_is_too_large(verify: Verify) -> None:
    assert isinstance(verify(token(name="x" * 200, more="x" * (LONGEST_TOKEN // 2))), Claims)
    assert isinstance(verify(token(more="x" * LONGEST_TOKEN)), Denied)


@pytest.mark.parametrize(
    "changed",
    [
        *({"exp": None}, {"exp": int(NOW)}, {"exp": NOW - 1000}, {"exp": str(EXP)}, {"exp": True}, {"exp": -1}),
        *({"exp": 10**400}, {"exp": 86_400 * 2 + EXP}, {"exp": [EXP]}, {"exp": {}}),
        *({"nbf": NOW + CLOCK_SKEW_SECONDS + 1}, {"nbf": "soon"}, {"iat": NOW + 1000}, {"iat": False}),
        *({"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "server"}, {"sub": "x" * 256}, {"sub": "a\x00"}),
        *({"role": "server"}, {"role": "admin"}, {"role": ["couple"]}, {"role": "Couple"}, {"wedding": None}),
        *({"wedding": ["w"]}, {"side": "c"}, {"vendor": 1}, {"guest": {}}, {"name": "\ud800"}, {"device": "\n"}),
        *({"scope": ["read"]}, {"aud": "somebody else"}),
    ],
    ids=str,
)
def test_claims_that_let_nobody_in(verify: Verify, changed: dict[str, object]) -> None:
    refused = verify(token(**changed))
    assert isinstance(refused, Denied)
    assert (refused.code, refused.hostile) == ("unauthenticated", False), "its signature is valid"


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b'{"exp": NaN}', b'{"exp": Infinity}', b"\xff", b'"x"', b"null"])
def test_a_payload_that_is_no_object(verify: Verify, payload: bytes) -> None:
    assert isinstance(verify(signed(payload)), Denied)
    assert isinstance(verify(signed(json.dumps({**GOOD, "exp": 0}).replace("0}", "1e400}").encode())), Denied)


def test_clocks_may_differ_a_little(verify: Verify) -> None:
    assert verify(token(nbf=NOW + CLOCK_SKEW_SECONDS, iat=NOW + 5)) == ADA
    assert isinstance(verify(token(exp=NOW + 86_400)), Claims)


def test_issuer_and_audience(verify: Verify) -> None:
    rules = {"issuer": "https://id.test", "audience": "weddings"}
    good = {"iss": "https://id.test", "aud": ["planner", "weddings"]}
    assert verify(token(**good), **rules) == ADA
    assert verify(token(**good | {"aud": "weddings"}), **rules) == ADA
    for wrong in (
        {"iss": None},
        {"iss": "https://id.test/"},
        {"aud": None},
        {"aud": "wedding"},
        {"aud": []},
        {"iss": []},
    ):
        assert isinstance(verify(token(**good | wrong), **rules), Denied), wrong


def test_no_reason_has_anything_of_the_token_or_the_key(verify: Verify) -> None:
    secrets = {
        "sub": "s-u-b",
        "wedding": "w-w-w",
        "role": "r-o-l-e",
        "vendor": "v-v-v",
        "iss": "i-s-s",
        "name": "n-n-n",
    }
    for rules in ({}, {"issuer": "x"}, {"audience": "x"}):
        for text in (token(**secrets), token(**secrets | {"role": "couple"}), token(**secrets, exp=1)):
            refused = verify(text, **rules)
            assert isinstance(refused, Denied)
            assert not any(each in refused.reason for each in (*secrets.values(), SECRET.decode(), text))


# -- what is remembered


def test_a_token_is_verified_once_until_it_expires(clock: Clock) -> None:
    verifier = TokenVerifier(KEYS, TokenRules(), clock)
    for _ in range(1000):
        assert verifier.verify(token(), "w") == ADA
        assert isinstance(verifier.verify(token(), "other"), Denied)
    assert verifier.verified == 1
    clock.now = EXP - 0.1
    assert verifier.verify(token(), "w") == ADA
    clock.now = EXP
    assert verifier.verify(token(), "w") == Denied("unauthenticated", "the token has expired")


def test_a_refused_token_is_not_remembered(clock: Clock) -> None:
    verifier = TokenVerifier(KEYS, TokenRules(), clock)
    clock.now = EXP
    assert isinstance(verifier.verify(token(), "w"), Denied)
    clock.now = NOW
    assert verifier.verify(token(), "w") == ADA


def test_what_is_remembered_is_bounded_and_the_oldest_goes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdt_server.access.tokens.CACHE_BYTES", 10_000)
    verifier = TokenVerifier(KEYS, TokenRules(), clock)
    tokens = [token(sub=f"u{number}") for number in range(20)]
    for each in tokens:
        assert isinstance(verifier.verify(each, "w"), Claims)
        assert isinstance(verifier.verify(tokens[0], "w"), Claims)
    assert verifier.verified == 20, "the first one is in use"
    assert verifier._cached_bytes == sum(map(_cached_size, verifier._cache.values())) <= 10_000
    assert isinstance(verifier.verify(tokens[1], "w"), Claims)
    assert verifier.verified == 21
    assert CACHE_BYTES > 10_000


class Provider:
    """Keys that the test changes, and that have to be waited for."""

    def __init__(self) -> None:
        self.version = 0
        self.keys: tuple[TokenKey, ...] = (secret_key(SECRET),)
        self.waits: list[asyncio.Future[Found]] = []

    def find(self, kid: str | None, algorithm: str) -> Found | asyncio.Future[Found]:
        if kid is None:
            return self.keys
        self.waits.append(asyncio.get_running_loop().create_future())
        return self.waits[-1]


def test_a_key_that_has_gone_lets_nobody_in_any_more(clock: Clock) -> None:
    provider = Provider()
    verifier = TokenVerifier(provider, TokenRules(), clock)
    assert verifier.verify(token(), "w") == ADA
    provider.keys = ()
    provider.version += 1
    assert isinstance(verifier.verify(token(), "w"), Denied)


async def test_a_key_may_have_to_be_waited_for(clock: Clock) -> None:
    provider = Provider()
    verifier = TokenVerifier(provider, TokenRules(), clock)
    later = signed(claims(exp=EXP), headers={"kid": "new"})
    waiting = [verifier.verify(later, wedding) for wedding in ("w", "other")]
    assert not any(isinstance(each, (Claims, Denied)) for each in waiting)
    for wait in provider.waits:
        wait.set_result(provider.keys)
    found = [await each for each in waiting]  # type: ignore[misc]
    assert found[0] == ADA
    assert isinstance(found[1], Denied)
    assert verifier.verify(later, "w") == ADA, "without waiting"


# -- the commands and the access object


def test_a_signed_token_is_verified(verify: Verify) -> None:
    whole = Claims("ada", EXP, "w", "family", "v_1", "g_1", "b", "Ada", "guests:read", "d_1")
    rules = TokenRules("issuer", "audience")
    assert verify(sign(whole, rules, secret_key(SECRET)), issuer="issuer", audience="audience") == whole


def test_roles_and_sides_are_those_of_the_documents() -> None:
    assert list(ROLES) == list(wedding.ROLES.values)
    assert SIDES == ("", "a", "b")


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ({}, {}, ""),
        ({"token": "q"}, {}, "q"),
        ({"token": "q"}, {"Authorization": "Bearer h"}, "h"),
        ({}, {"Authorization": "bearer  h "}, "h"),
        ({"token": "q"}, {"Authorization": "Basic h"}, "q"),
    ],
)
def test_where_a_token_may_be(query: dict[str, str], headers: dict[str, str], expected: str) -> None:
    assert token_of(Credentials(query, headers)) == expected


async def test_access_by_tokens(clock: Clock) -> None:
    provider = Provider()
    access = PolicyAccess(TokenVerifier(provider, TokenRules(), clock).verify_credentials)

    def identify(*, wedding: str = "w", **query: str) -> object:
        return access.identify(Credentials(query, {}), wedding)

    text = token(role="guest", guest="g_1", side="a", name="Ada", device="d_1")
    ada = identify(token=text)
    assert isinstance(ada, Authenticated)
    assert (ada.expires_at, ada.device) == (EXP, "d_1")
    assert ada.identity == Identity("ada", "guest", "", "g_1", "a", ada.identity.rights, "Ada")
    for refused, code in (
        (identify(user="ada", role="couple"), "unauthenticated"),
        (identify(**{"token": "nonsense"}), "unauthenticated"),
        (identify(token=text, wedding="other"), "forbidden"),
        (identify(token=token(wedding=None, role=None)), "forbidden"),
    ):
        assert isinstance(refused, Denied)
        assert refused.code == code
    later = identify(token=signed(claims(exp=EXP), headers={"kid": "new"}))
    provider.waits[0].set_result(Denied("admission", "later"))
    assert await later == Denied("admission", "later")  # type: ignore[misc]


def test_beside_dev_mode_a_token_still_counts(clock: Clock) -> None:
    access = TokenOrDevAccess(PolicyAccess(TokenVerifier(KEYS, TokenRules(), clock).verify_credentials))
    anybody = access.identify(Credentials({"role": "planner"}, {}), "w")
    assert anybody == Identity("anonymous", "planner")
    assert access.may(anybody, Action.WRITE, "w", "budget") is None
    assert isinstance(access.identify(Credentials({"token": "nonsense", "role": "planner"}, {}), "w"), Denied)
    guest = access.identify(Credentials({"token": token(role="guest")}, {}), "w")
    assert isinstance(guest, Authenticated)
    assert isinstance(access.may(guest.identity, Action.READ, "w", "budget"), Denied)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_no_token_counts_that_the_library_refuses(verify: Verify, algorithm: str) -> None:
    good = signed(claims(exp=EXP), algorithm, headers=None if algorithm == "HS256" else {"kid": f"{algorithm}-key"})
    key = SECRET if algorithm == "HS256" else public_pem(algorithm)
    bent = [good[:place] + letter + good[place + 1 :] for place in range(0, len(good), 3) for letter in "A_"]
    for text in (good, *bent, *(good + more for more in ("A", "=", "==", ".", ".A", "\n")), good[:-1]):
        try:
            PyJWS().decode(text, key, algorithms=[algorithm])
        except PyJWTError:
            assert isinstance(verify(text), Denied), text
    assert verify(good) == ADA


def test_a_token_costs_few_steps_besides_its_signature(clock: Clock) -> None:
    verifier, calls = TokenVerifier(KEYS, TokenRules(), clock), Counter[str]()
    text = token()
    sys.setprofile(lambda frame, event, _: calls.update([event]))
    try:
        verifier.verify(text, "w")
    finally:
        sys.setprofile(None)
    assert calls["call"] < 100
