"""Keys: the algorithm follows from each, and what is no key for one of them is refused when it is read."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from crdt_server.access.keys import (
    MOST_KEYS,
    KeySet,
    TokenKey,
    UnusableKeyError,
    keys_of_set,
    public_key,
    secret_key,
)
from tests.support.tokens import SECRET, entry, key_set, private_pem, public_pem

ALGORITHMS = ("RS256", "ES256", "EdDSA")


def public_der(algorithm: str) -> bytes:
    key = load_pem_public_key(public_pem(algorithm))
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_secret_is_read_without_its_line_end() -> None:
    assert secret_key(SECRET + b"\r\n") == TokenKey("HS256", SECRET)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 31 + b"\n\n\n", public_pem("ES256"), public_der("RS256")])
def test_what_is_no_secret(content: bytes) -> None:
    with pytest.raises(UnusableKeyError) as refused:
        secret_key(content)
    assert "x" * 8 not in str(refused.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_algorithm_of_a_public_key_follows_from_it(algorithm: str) -> None:
    key = public_key(public_pem(algorithm), "k")
    assert (key.algorithm, key.kid) == (algorithm, "k")
    (listed,) = keys_of_set(key_set(entry(algorithm, "k")))
    assert (listed.algorithm, listed.kid) == (algorithm, "k")


def pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed448.Ed448PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"nonsense", SECRET, private_pem("ES256")),
        pem(rsa.generate_private_key(65537, 1024).public_key()),  # noqa: S505 - that is what is tested
        pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        pem(ed448.Ed448PrivateKey.generate().public_key()),
    ],
    ids=["nothing", "nonsense", "a secret", "a private key", "RSA of 1024 bits", "P-384", "Ed448"],
)
def test_what_is_no_public_key(content: bytes) -> None:
    with pytest.raises(UnusableKeyError):
        public_key(content)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, b"\xff", b'{"keys": [1, null, "a"]}'),
        key_set(*[entry("ES256", "k")] * (MOST_KEYS + 1)),
        key_set({"kty": "oct", "k": "c2VjcmV0", "kid": "k"}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": 1}),
    ],
)
def test_what_is_no_set_of_keys(content: bytes) -> None:
    with pytest.raises(UnusableKeyError):
        keys_of_set(content)


def test_entries_of_a_set_that_are_for_something_else_are_left_out() -> None:
    entries = [
        entry("RS256", "encrypts", use="enc"),
        entry("RS256", "other", alg="RS512"),
        entry("ES256", ""),
        entry("ES256", "k" * 257),
        entry("EdDSA", None) | {"kid": 1},
        entry("ES256", "good", use="sig", alg="ES256"),
    ]
    assert [key.kid for key in keys_of_set(key_set(*entries))] == ["good"]


def test_private_parts_of_an_entry_are_not_read() -> None:
    (key,) = keys_of_set(key_set(entry("ES256", "k", d="AAAA")))
    assert type(key.material).__name__ == "ECPublicKey"


def test_a_key_is_found_by_its_id_and_algorithm() -> None:
    one, two = (public_key(public_pem("ES256", number), kid) for number, kid in enumerate(("one", "two")))
    other, secret = public_key(public_pem("EdDSA"), "other"), secret_key(SECRET)
    keys = KeySet([one, two, other, secret])
    assert keys.find("one", "ES256") == (one,)
    assert keys.find("one", "EdDSA") == keys.find("one", "HS256") == keys.find("one", "none") == ()
    assert keys.find("three", "ES256") == keys.find(None, "ES256") == (), "either could be it"
    assert keys.find(None, "EdDSA") == (other,)
    assert keys.find(None, "HS256") == keys.find("anything", "HS256") == (secret,), "a key without an id"
