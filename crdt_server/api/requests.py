"""What is read from a request in one way everywhere: whom it is from, what it is about, its body."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from crdt_server.access.identity import DevAccess, Identity
from crdt_server.api.problems import PayloadTooLargeError
from crdt_server.errors import NotFoundError, ProtocolError
from crdt_server.transport.gate import WEDDING, document_address
from storage import DocumentKey

Model = TypeVar("Model", bound=BaseModel)

_access = DevAccess()


def identity_of(request: Request) -> Identity:
    """Who asks."""
    return _access.identify(request.query_params)


def peer(request: Request) -> str:
    """The address of the other end."""
    return request.client.host if request.client else "unknown"


def document_key(wedding: str, document: str) -> DocumentKey:
    """A document by its names in a URL. Raises NotFoundError."""
    address = document_address(wedding, document)
    if address is None:
        raise NotFoundError("not_found", "no such wedding or document")
    return DocumentKey(*address)


def wedding_name(wedding: str) -> str:
    """A wedding by its name in a URL. Raises NotFoundError."""
    if not WEDDING.fullmatch(wedding):
        raise NotFoundError("not_found", "no such wedding")
    return wedding


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises PayloadTooLargeError where it has more than ``limit`` bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise PayloadTooLargeError("body_too_large", f"the body is larger than {limit} bytes")
    return bytes(body)


async def read_json(request: Request, model: type[Model], limit: int) -> Model:
    """The body as a model: strictly JSON, so no NaN and no half of a surrogate pair.

    Raises PayloadTooLargeError, ProtocolError and RequestValidationError.
    """
    body = await read_body(request, limit)
    try:
        return model.model_validate(from_json(body, allow_inf_nan=False))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    except ValueError as error:
        raise ProtocolError("invalid_request", "the body is no JSON") from error


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """What the description of the API says of a body that `read_json` reads: one schema without references."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(definitions[part["$ref"].rpartition("/")[2]])
        return {name: inline(each) for name, each in part.items() if name != "discriminator"}

    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inline(schema)}}}}
