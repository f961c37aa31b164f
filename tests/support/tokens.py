"""Keys and tokens for tests. The keys are made once: a key of RSA takes long."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt import PyJWS
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET = b"a secret of tests: thirty-two bytes, and more"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def private_key(algorithm: str, number: int = 0) -> PrivateKey:
    """A key for RS256, ES256 or EdDSA; another one for each number."""
    return _private_key(algorithm, number)


@cache
def _private_key(algorithm: str, number: int) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_pem(algorithm: str, number: int = 0) -> bytes:
    public = private_key(algorithm, number).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(algorithm: str, number: int = 0) -> bytes:
    return private_key(algorithm, number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def entry(algorithm: str, kid: str | None, number: int = 0, **more: object) -> dict[str, object]:
    """The public key as an entry of a JSON Web Key Set."""
    kinds: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    found: dict[str, object] = kinds[algorithm].to_jwk(private_key(algorithm, number).public_key(), as_dict=True)
    found.pop("key_ops", None)
    return found | ({} if kid is None else {"kid": kid}) | more


def key_set(*entries: Mapping[str, object]) -> bytes:
    return json.dumps({"keys": entries}).encode()


def claims(**changed: object) -> dict[str, object]:
    """Claims of Ada, of the couple of wedding ``w``; a value of None leaves one out."""
    found = {"sub": "ada", "wedding": "w", "role": "couple", "exp": int(time.time()) + 600} | changed
    return {name: value for name, value in found.items() if value is not None}


def signed(
    payload: Mapping[str, object] | bytes,
    algorithm: str = "HS256",
    *,
    key: Any = None,
    headers: dict[str, Any] | None = None,
) -> str:
    """A token with this payload. ``key``: by default the secret, or the first private key of the algorithm."""
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    chosen = key or (SECRET if algorithm == "HS256" else private_key(algorithm))
    return PyJWS().encode(content, chosen, algorithm, headers)


def token(**changed: object) -> str:
    """A token of Ada, signed with the secret."""
    return signed(claims(**changed))


def encoded(part: object) -> str:
    """A part of a token: bytes as they are, all else as JSON."""
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forged(header: object, payload: object, secret: bytes = SECRET) -> str:
    """A token with any header, signed with HMAC whatever the header says."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), hashlib.sha256))}"
