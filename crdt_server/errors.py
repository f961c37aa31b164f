"""The one error tree of the server, and the one table from stable codes to WebSocket close codes.

An error carries a short stable `code` (for metrics, problem documents and tests) and a message, which goes to the log,
to HTTP clients (`detail`) and beside the close code. Neither contains document content.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

CLOSE_CODES: Mapping[str, int] = MappingProxyType(
    {
        "going_away": 1001,
        "frame_too_large": 1009,
        "restarting": 1012,
        "try_again": 1013,
        "malformed": 4400,
        "unauthenticated": 4401,
        "forbidden": 4403,
        "not_found": 4404,
        "violation": 4409,
        "erased": 4410,
        "schema_too_old": 4426,
        "admission": 4503,
        "rate_limited": 4529,
    }
)
"""Cause of a close -> close code. Stock clients never reconnect after 4400-4499 and retry after all others."""


class CrdtServerError(Exception):
    """Anything the server refuses or cannot do. `code` is stable; `close_code` is what the socket is closed with."""

    close_code: ClassVar[int] = CLOSE_CODES["try_again"]

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidField(NamedTuple):
    """The part of a request that is not acceptable. ``got``: JSON, cut; None: not to be shown."""

    field: str
    expected: str
    got: str | None = None


class ProtocolError(CrdtServerError):
    """Bytes that are not a well-formed message, update or state vector."""

    close_code = CLOSE_CODES["malformed"]


class InvalidRequestError(ProtocolError):
    """A parameter that is unknown, or has a value that it cannot have."""

    def __init__(self, message: str, fault: InvalidField) -> None:
        super().__init__("invalid_request", message)
        self.fault = fault


class ViolationError(CrdtServerError):
    """A well-formed update that the document cannot take; the client has to drop its copy and resync."""

    close_code = CLOSE_CODES["violation"]


class UnauthenticatedError(CrdtServerError):
    """No token, or none that is valid; the client has to get one."""

    close_code = CLOSE_CODES["unauthenticated"]


class ForbiddenError(CrdtServerError):
    """The identity is valid, and has no right to this."""

    close_code = CLOSE_CODES["forbidden"]


class NotFoundError(CrdtServerError):
    """No such wedding or document."""

    close_code = CLOSE_CODES["not_found"]


class AdmissionError(CrdtServerError):
    """A limit on sockets or rooms is reached; the client may try later."""

    close_code = CLOSE_CODES["admission"]


class RateLimitError(CrdtServerError):
    """Too much in too short a time; the client may try later."""

    close_code = CLOSE_CODES["rate_limited"]

    def __init__(self, code: str, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds
