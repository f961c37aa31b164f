"""The keys that verify tokens. Each has one algorithm, which follows from the key and never from a token:

- a secret shared with a team's own backend: HS256;
- the public key of an identity provider: RS256 (RSA), ES256 (P-256) or EdDSA (Ed25519).

A key may have an id (``kid``), the name that tokens call it by; one without an id is tried for every token that names
no key, or none that is known.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError, PyJWTError

from crdt_server.access.access import Denied

ALGORITHMS = frozenset(("HS256", "RS256", "ES256", "EdDSA"))
SHORTEST_SECRET_BYTES = 32  # RFC 7518: at least as long as the hash
SMALLEST_RSA_BITS, LARGEST_RSA_BITS = 2048, 8192  # a larger one takes milliseconds for each token
MOST_KEYS = 100  # of one set
LONGEST_ID = 256

Material: TypeAlias = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class UnusableKeyError(ValueError):
    """A key that cannot be used; the message says why, and has nothing of the key."""


class TokenKey(NamedTuple):
    """One key. ``kid`` None: it has no id."""

    algorithm: str
    material: Material
    """As the algorithm takes it: its checks are done when the key is read."""
    kid: str | None = None


Found: TypeAlias = tuple[TokenKey, ...] | Denied
"""The keys that may have signed a token, or the reason why they are not known at present."""


class Keys(Protocol):
    """Where a verifier finds keys."""

    @property
    def version(self) -> int:
        """Another number whenever a key has gone."""

    def find(self, kid: str | None, algorithm: str) -> Found | Awaitable[Found]:
        """The keys of an algorithm that may have signed a token with this ``kid``."""


class KeySet:
    """Keys that do not change."""

    version = 0

    def __init__(self, keys: Iterable[TokenKey]) -> None:
        self._keys = tuple(keys)
        self._ids = {key.kid for key in self._keys} - {None}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __iter__(self) -> Iterator[TokenKey]:
        return iter(self._keys)

    def knows(self, kid: str | None, algorithm: str) -> bool:
        """Whether a newer set could have no other answer for this id."""
        return kid in self._ids or bool(self.find(kid, algorithm))

    def find(self, kid: str | None, algorithm: str) -> tuple[TokenKey, ...]:
        """See `Keys.find`."""
        fitting = tuple(key for key in self._keys if key.algorithm == algorithm)
        if kid is None and len(fitting) == 1:
            return fitting
        return tuple(key for key in fitting if key.kid == (kid if kid in self._ids else None))


def secret_key(content: bytes) -> TokenKey:
    """The secret in a file, without the line end. Raises UnusableKeyError."""
    secret = content.rstrip(b"\r\n")
    if len(secret) < SHORTEST_SECRET_BYTES:
        raise UnusableKeyError(f"has {len(secret)} bytes: a secret has at least {SHORTEST_SECRET_BYTES}")
    if secret.startswith(b"-----BEGIN "):
        raise UnusableKeyError("is a PEM file, no secret: a public key would be known to everybody")
    try:
        return TokenKey("HS256", HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret))
    except InvalidKeyError as error:
        raise UnusableKeyError("is a key or a certificate, no secret: it would be known to everybody") from error


def public_key(content: bytes, kid: str | None = None) -> TokenKey:
    """The public key in a PEM file. Raises UnusableKeyError."""
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKeyError("is no public key (PEM)") from error
    return _key(key, kid)


def keys_of_set(content: bytes) -> list[TokenKey]:
    """The usable keys of a JSON Web Key Set; those for other purposes or algorithms are left out. Raises
    UnusableKeyError where there is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnusableKeyError("is no JSON") from error
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise UnusableKeyError("is no JSON Web Key Set")
    if len(entries) > MOST_KEYS:
        raise UnusableKeyError(f"has {len(entries)} keys, more than {MOST_KEYS}")
    keys = [key for key in map(_key_of_entry, entries) if key is not None]
    if not keys:
        raise UnusableKeyError("has no key for RS256, ES256 or EdDSA")
    return keys


def _key_of_entry(entry: object) -> TokenKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kid = entry.get("kid")
    if kid is not None and (not isinstance(kid, str) or not kid or len(kid) > LONGEST_ID):
        return None
    try:
        key = _key(_public_part(entry), kid)
    except (PyJWTError, UnusableKeyError, ValueError, TypeError, KeyError):
        return None
    return key if entry.get("alg", key.algorithm) == key.algorithm else None


def _public_part(entry: Mapping[str, object]) -> object:
    """The public key of an entry; what is private in it is not read."""
    match entry.get("kty"):
        case "RSA":
            return RSAAlgorithm.from_jwk({name: entry[name] for name in ("kty", "n", "e")})
        case "EC":
            return ECAlgorithm.from_jwk({name: entry[name] for name in ("kty", "crv", "x", "y")})
        case "OKP":
            return OKPAlgorithm.from_jwk({name: entry[name] for name in ("kty", "crv", "x")})
    raise UnusableKeyError("is of a type for which there is no algorithm")


def _key(key: object, kid: str | None) -> TokenKey:
    match key:
        case RSAPublicKey():
            if not SMALLEST_RSA_BITS <= key.key_size <= LARGEST_RSA_BITS:
                raise UnusableKeyError(
                    f"has {key.key_size} bits: a key of RSA has {SMALLEST_RSA_BITS} to {LARGEST_RSA_BITS}"
                )
            return TokenKey("RS256", key, kid)
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return TokenKey("ES256", key, kid)
        case Ed25519PublicKey():
            return TokenKey("EdDSA", key, kid)
    raise UnusableKeyError("is a key for none of RS256, ES256 (P-256) and EdDSA (Ed25519)")
