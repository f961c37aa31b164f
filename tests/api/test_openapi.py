"""OpenAPI tells the truth: every call of it is made, with what it takes and with what it does not take."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.access.test_every_way import NAMES

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
SLOW = ("/stream",)
OF_PATHS = NAMES | {"wedding": "demo", "document": "timeline", "language": "de", "code": "forbidden"}
AFTER = {"wedding": "documented"}
"""What is changed is changed in a wedding of its own."""

Call = tuple[str, str, dict[str, Any]]


@pytest.fixture
async def description(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(client.base_url.join("/api/openapi.json"))).json()
    return found


def calls(description: dict[str, Any]) -> Iterator[Call]:
    for path, methods in description["paths"].items():
        for method, call in methods.items():
            yield method, path, call


def url_of(client: httpx.AsyncClient, method: str, path: str) -> httpx.URL:
    return client.base_url.join(path.format(**OF_PATHS | (AFTER if method != "get" else {})))


def needed(call: dict[str, Any]) -> list[str]:
    """The names of the parameters that a call cannot do without."""
    return [each["name"] for each in call.get("parameters", ()) if each["in"] == "query" and each.get("required")]


def resolved(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def faults(description: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """Where a value is not as a schema says: types, members that are needed, choices."""
    schema = resolved(description, schema)
    if "anyOf" in schema:
        if all(list(faults(description, each, value, at)) for each in schema["anyOf"]):
            yield f"{at}: none of the alternatives"
        return
    if schema.get("type") == "null":
        if value is not None:
            yield f"{at}: not null"
        return
    expected = TYPES.get(schema.get("type", ""))
    if expected is not None and (not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool)):
        yield f"{at}: {type(value).__name__} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if isinstance(value, dict):
        yield from (f"{at}/{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            if name in schema.get("properties", {}):
                yield from faults(description, schema["properties"][name], each, f"{at}/{name}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, each in enumerate(value):
            yield from faults(description, schema["items"], each, f"{at}/{index}")


def check(description: dict[str, Any], call: Call, answer: httpx.Response) -> None:
    """An answer is as its call says."""
    method, path, about = call
    declared = about["responses"].get(str(answer.status_code)) or about["responses"]["default"]
    where = f"{method} {path}: {answer.status_code} {answer.text[:200]}"
    assert answer.is_error or str(answer.status_code) in about["responses"], where
    assert answer.status_code < 500 or answer.status_code in (503, 507), where
    content = declared.get("content", {})
    if answer.status_code == 204 or not content:
        return
    media = answer.headers["content-type"].partition(";")[0]
    assert media in content, where
    if media.endswith("json"):
        assert list(faults(description, content[media].get("schema", {}), json.loads(answer.content))) == [], where


def test_the_check_finds_faults() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"b": {"type": "array", "items": {"type": "integer"}}}}
    assert list(faults({}, schema, {"a": None, "b": [1]})) == []
    assert list(faults({}, schema, {"b": [1, "2", True]})) == [
        "/a is missing", "/b/1: str is no integer", "/b/2: bool is no integer"
    ]  # fmt: skip
    assert list(faults({}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, 1)) == [": none of the alternatives"]


async def test_operations_have_short_ids_and_describe_refusals(description: dict[str, Any]) -> None:
    ids = Counter(call["operationId"] for _, _, call in calls(description))
    assert max(ids.values()) == 1
    assert max(map(len, ids)) < 40
    assert {"getEvents", "getThread", "getDocumentState", "postConflictResolve"} <= set(ids)
    for _, path, call in calls(description):
        assert "default" in call["responses"]
        refused = {status: answer for status, answer in call["responses"].items() if status >= "4"}
        media = "text/html" if path == "/api/unsubscribe" else "application/problem+json"
        assert all(media in answer["content"] for status, answer in refused.items() if status == "404"), path


async def test_all_calls_but_these_take_a_token(description: dict[str, Any]) -> None:
    scheme = description["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    without = {path for _, path, call in calls(description) if call.get("security", description["security"]) == []}
    probes = {"/healthz", "/readyz", "/metrics"}
    sessions = {"/api/sessions", "/api/sessions/refresh", "/api/unsubscribe"}
    assert without == probes | sessions | {"/api/errors/{code}", "/api/sentences/{language}"}


async def test_other_methods_are_answered_with_those_of_the_path(
    client: httpx.AsyncClient, description: dict[str, Any]
) -> None:
    for path, methods in description["paths"].items():
        answer = await client.request("TRACE", url_of(client, "get", path))
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} >= {method.upper() for method in methods}, path


async def test_every_call_answers_as_it_says(client: httpx.AsyncClient, description: dict[str, Any]) -> None:
    operation = {"op": "insert", "root": "items", "record": "i_1", "value": {"title": "Toast", "start": 900}}
    for wedding in ("demo", "documented"):
        answer = await client.post(f"/{wedding}/documents/timeline/ops", json={"operations": [operation]})
        assert answer.status_code in (200, 422)
    for call in calls(description):
        method, path, about = call
        if path.endswith(SLOW):
            continue
        url = url_of(client, method, path)
        query = dict.fromkeys(needed(about), "x")
        check(description, call, await client.request(method, url, params=query))
        if "requestBody" in about:
            check(description, call, await client.request(method, url, json={"nobody": "reads this"}))
        answer = await client.request(method, url, params=query | {"no_such_parameter": "1"})
        if path.startswith("/api"):
            assert (answer.status_code, answer.json()["field"]) == (400, "no_such_parameter"), (method, path)
        check(description, call, answer)


async def test_what_parameters_do_not_take_is_refused(client: httpx.AsyncClient, description: dict[str, Any]) -> None:
    tried = 0
    for call in calls(description):
        method, path, about = call
        for parameter in about.get("parameters", ()):
            schema = parameter["schema"]
            wrong = [each for each in schema.get("anyOf", [schema]) if each.get("type") in ("integer", "boolean")]
            if parameter["in"] != "query" or not wrong or path.endswith(SLOW):
                continue
            for value in ("many", str(wrong[0].get("maximum", 0) + 1) if "maximum" in wrong[0] else "many"):
                query = dict.fromkeys(needed(about), "x") | {parameter["name"]: value}
                answer = await client.request(method, url_of(client, method, path), params=query)
                assert (answer.status_code, answer.json()["field"]) == (400, parameter["name"]), (path, value)
                check(description, call, answer)
                tried += 1
    assert tried > 10
