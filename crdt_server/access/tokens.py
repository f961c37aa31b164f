"""Signed tokens (JSON Web Tokens): who a person is, and in which role of which wedding.

A token is data of a stranger until its signature is verified. Rules:
- The algorithm follows from the key. A token that names another one than its key has is refused, `none` included.
- Of the header only ``alg`` and ``kid`` are read: keys or their addresses in a token (``jwk``, ``jku``, ``x5u``) are
  ignored, and a header that must be understood (``crit``) refuses the token.
- Keys are prepared when they are read (`keys`): PyJWT would try for each token whether a secret is some certificate,
  and read header and base64 a second time. Its algorithms verify the signature.
- A reason names the rule that a token breaks, and nothing of its content or of the key.
- Verified tokens are remembered until they expire, so that a crowd that connects again costs little. A refused one is
  verified again each time: its sender is limited, see `SenderStrikes`.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import NamedTuple, NoReturn, TypeAlias

from jwt import PyJWS
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from crdt_server.access.access import Credentials, Denied
from crdt_server.access.identity import ROLES, SERVER, is_name
from crdt_server.access.keys import ALGORITHMS, LONGEST_ID, Found, Keys, TokenKey
from crdt_server.access.later import Later
from crdt_server.access.scopes import UnknownScope, parse_scope

LONGEST_TOKEN = 8192
CACHE_BYTES = 16 << 20  # of verified tokens
CACHE_ENTRY_BYTES = 700  # of one, beside its texts
CLOCK_SKEW_SECONDS = 10.0  # between the signer and this machine; an expiry has none
LONGEST_NUMBER = 1 << 53
SIDES = ("", "a", "b")

_ROLES = {role: role for role in ROLES}
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_JWS = PyJWS()
_SIGNATURES = {name: get_default_algorithms()[name] for name in ALGORITHMS}


class Claims(NamedTuple):
    """The content of a verified token. ``role`` "": the members of the wedding decide."""

    user: str
    expires_at: float
    """Seconds since 1970."""
    wedding: str = ""
    """The only wedding that it is for; "": any."""
    role: str = ""
    vendor: str = ""
    guest: str = ""
    side: str = ""
    name: str = ""
    scope: str = ""
    device: str = ""


Verified: TypeAlias = Claims | Denied


def token_of(credentials: Credentials) -> str:
    """The token of a request: that of the header ``Authorization: Bearer``, else that of the query; "" for none."""
    scheme, _, token = credentials.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else credentials.query.get("token", "")


class TokenRules(NamedTuple):
    """The expected issuer and audience, "" for none, and how far away an expiry may be."""

    issuer: str = ""
    audience: str = ""
    max_age_seconds: float = 86_400.0


class TokenVerifier:
    """Verifies tokens. ``now`` is the time of day, in seconds since 1970."""

    def __init__(self, keys: Keys, rules: TokenRules, now: Callable[[], float]) -> None:
        self._keys = keys
        self._rules = rules
        self._now = now
        self._cache: dict[bytes, Claims] = {}  # digest of the token -> claims; the oldest use first
        self._cached_bytes = 0
        self._cached_version = keys.version
        self.verified = 0
        """Signatures that were verified."""

    def verify_credentials(self, credentials: Credentials, wedding: str | None) -> Verified | Awaitable[Verified]:
        """`verify` of the token in the credentials of a request."""
        token = token_of(credentials)
        return self.verify(token, wedding) if token else _MISSING

    def verify(self, token: str, wedding: str | None) -> Verified | Awaitable[Verified]:
        """The content of a token that is valid for a wedding, None: for any; an awaitable where its key has to be
        fetched."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        claims = self._cached(digest)
        if claims is not None:
            return _of_wedding(claims, wedding)
        header = _header(token)
        if isinstance(header, Denied):
            return header

        def check(found: Found) -> Verified:
            if isinstance(found, Denied):
                return found
            verified = self._check(token, found)
            if isinstance(verified, Denied):
                return verified
            self._keep(digest, verified)
            return _of_wedding(verified, wedding)

        keys = self._keys.find(header.kid, header.algorithm)
        return check(keys) if isinstance(keys, (tuple, Denied)) else Later(keys, check)

    def _check(self, token: str, keys: tuple[TokenKey, ...]) -> Verified:
        if not keys:
            return _UNKNOWN_KEY
        signed, _, signature = token.rpartition(".")
        for key in keys:
            self.verified += 1
            try:
                valid = _SIGNATURES[key.algorithm].verify(signed.encode(), key.material, _decoded(signature))
                payload = _decoded(signed.partition(".")[2])
            except (PyJWTError, ValueError):
                continue
            if valid:
                return claims_of(payload, self._rules, self._now())
        return _BAD_SIGNATURE

    def _cached(self, digest: bytes) -> Claims | None:
        if self._cached_version != self._keys.version:
            self._cached_version = self._keys.version
            self._cache.clear()
            self._cached_bytes = 0
        claims = self._cache.pop(digest, None)
        if claims is None:
            return None
        if claims.expires_at <= self._now():
            self._cached_bytes -= _cached_size(claims)
            return None
        self._cache[digest] = claims
        return claims

    def _keep(self, digest: bytes, claims: Claims) -> None:
        if digest in self._cache:
            return
        self._cache[digest] = claims
        self._cached_bytes += _cached_size(claims)
        while self._cached_bytes > CACHE_BYTES:
            self._cached_bytes -= _cached_size(self._cache.pop(next(iter(self._cache))))


def _cached_size(claims: Claims) -> int:
    """The bytes that remembered claims take: four for each character, as some take."""
    return CACHE_ENTRY_BYTES + 4 * sum(len(each) for each in claims if type(each) is str)


def sign(claims: Claims, rules: TokenRules, secret: TokenKey) -> str:
    """A token with these claims, signed with a secret."""
    payload = {_TEXTS[name]: value for name, value in claims._asdict().items() if name in _TEXTS and value}
    payload |= {"exp": int(claims.expires_at)}
    payload |= {name: value for name, value in (("iss", rules.issuer), ("aud", rules.audience)) if value}
    assert isinstance(secret.material, bytes)
    return _JWS.encode(json.dumps(payload).encode(), secret.material, secret.algorithm)


class _Header(NamedTuple):
    algorithm: str
    kid: str | None


def _refused(reason: str, *, hostile: bool = False) -> Denied:
    return Denied("unauthenticated", reason, hostile)


_MISSING = _refused("no token: send one as query parameter token, or as Authorization: Bearer")
_NO_TOKEN = _refused("this is no token", hostile=True)
_NO_ALGORITHM = _refused("the token has an algorithm that no key has", hostile=True)
_BAD_SIGNATURE = _refused("the signature of the token is not valid", hostile=True)
_UNKNOWN_KEY = _refused("no key is known that may have signed the token")
_EXPIRED = _refused("the token has expired")


def _header(token: str) -> _Header | Denied:
    compact = _COMPACT.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if compact is None:
        return _NO_TOKEN
    try:
        header = _parsed(_decoded(compact[1]))
    except ValueError:
        return _NO_TOKEN
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        return _NO_ALGORITHM
    if not (kid is None or (isinstance(kid, str) and 0 < len(kid) <= LONGEST_ID)):
        return _NO_TOKEN
    if "crit" in header or "b64" in header:
        return _refused("the header of the token asks for what is not supported", hostile=True)
    return _Header(algorithm, kid)


def _decoded(part: str) -> bytes:
    """A part of a token. There is one way to write it: no bit is left over. Raises ValueError."""
    found = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(found).rstrip(b"=") != part.encode():
        raise ValueError("not as base64url writes it")
    return found


def _parsed(text: bytes) -> Mapping[str, object]:
    """A JSON object. Raises ValueError."""
    try:
        found = _JSON.decode(text.decode())
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _of_wedding(claims: Claims, wedding: str | None) -> Verified:
    if wedding is None or claims.wedding in ("", wedding):
        return claims
    return Denied("forbidden", "the token is for another wedding")


def claims_of(payload: bytes, rules: TokenRules, now: float) -> Verified:
    """The claims in the payload of a token whose signature is valid, or the rule that they break."""
    try:
        claims = _parsed(payload)
        expires_at = _time(claims, "exp")
        starts_at = max(_time(claims, name) or 0.0 for name in ("nbf", "iat"))
        texts = {name: _text(claims, claim) for name, claim in _TEXTS.items()}
    except ValueError as error:
        return _refused(str(error))
    if expires_at is None:
        return _refused("the token has no exp")
    if expires_at <= now:
        return _EXPIRED
    if expires_at > now + rules.max_age_seconds + CLOCK_SKEW_SECONDS:
        return _refused("the token expires too late: see --jwt-max-age")
    if starts_at > now + CLOCK_SKEW_SECONDS:
        return _refused("the token is not valid yet")
    if claims.get("scope") == "":
        return _refused("scope of the token is empty")
    texts["role"] = _ROLES.get(texts["role"], texts["role"])  # one text for all that have it
    found = Claims(expires_at=expires_at, **texts)
    fault = _fault_of_source(claims, rules) or _fault_of_person(found)
    return found if fault is None else _refused(fault)


_TEXTS = {
    "user": "sub",
    **{name: name for name in ("wedding", "role", "vendor", "guest", "side", "name", "scope", "device")},
}


def _time(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} of the token is no number")
    if not 0 <= value <= LONGEST_NUMBER:  # nor is it "not a number"
        raise ValueError(f"{name} of the token is out of range")
    return float(value)


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name, "")
    if value == "":
        return ""
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"{name} of the token is no text of at most 255 characters without control characters")
    return value


def _fault_of_source(claims: Mapping[str, object], rules: TokenRules) -> str | None:
    if rules.issuer and claims.get("iss") != rules.issuer:
        return "the token has another issuer"
    audience = claims.get("aud")
    if not rules.audience:
        return None if audience is None else "the token is for an audience: see --jwt-audience"
    named = audience if isinstance(audience, list) else [audience]
    return None if rules.audience in named else "the token is for another audience"


def _fault_of_person(claims: Claims) -> str | None:
    if not claims.user or claims.user == SERVER.user:
        return "the token has no sub"
    if claims.role and claims.role not in ROLES:
        return "role of the token is none of this server"
    if claims.role and not claims.wedding:
        return "the token has a role, and no wedding"
    if claims.scope:
        try:
            parse_scope(claims.scope)
        except UnknownScope as error:
            return str(error)
    if claims.side not in SIDES:
        return "side of the token is neither a nor b"
    return None
