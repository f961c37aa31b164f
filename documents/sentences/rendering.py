"""Sentences in words. Every value that a sentence holds gives a text: one of an unknown kind is `…`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, Final, TypeAlias

from documents.sentences import formats
from documents.sentences.catalogue import CATALOGUE, OTHERWISE, word
from documents.sentences.model import MAX_DEPTH, Sentence, of_json

MAX_CHARACTERS: Final = 500
"""Of a sentence; a longer one is cut."""

_UNKNOWN: Final = "…"

Names: TypeAlias = Mapping[str, str]
"""User -> name, of those whose name the sentence does not have."""

_NOBODY: Final[Names] = {}


def to_text(sentence: Sentence, language: str = OTHERWISE, names: Names = _NOBODY) -> str:
    """The sentence in a language, at most `MAX_CHARACTERS` long."""
    return cut(_sentence(sentence, language, names, 0))


def cut(text: str) -> str:
    """A text of at most `MAX_CHARACTERS`."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + _UNKNOWN


def _sentence(sentence: Sentence, language: str, names: Names, depth: int) -> str:
    texts = CATALOGUE[language]
    one = sentence.values.get("count") == 1
    template = texts.get(f"{sentence.id}.one") if one else None
    template = template or texts.get(sentence.id, _UNKNOWN)
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            value = sentence.values.get(name, "")
            text = _value(value, language, names, depth + 1)
            parts.append(_capital(text) if not "".join(parts) and _is_ours(value) else text)
    return "".join(parts)


def _is_ours(value: object) -> bool:
    """Whether the first letter of a value at the beginning of a sentence is for the catalogue to choose."""
    if not isinstance(value, Mapping):
        return False
    listed = value.get("all")
    return _is_ours(listed[0]) if isinstance(listed, list) and listed else "name" not in value


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _value(value: object, language: str, names: Names, depth: int) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if not isinstance(value, Mapping) or depth > MAX_DEPTH:
        return _UNKNOWN
    form = next((form for kind, form in _FORMS.items() if kind in value), None)
    try:
        return _UNKNOWN if form is None else form(value, language, names, depth)
    except (TypeError, ValueError, LookupError, OverflowError):  # not made by `documents.sentences.model`
        return _UNKNOWN


def _user(value: Mapping[str, Any], language: str, names: Names, _: int) -> str:
    role = f"role.{value.get('role', '')}"
    texts = CATALOGUE[language]
    return str(value.get("name") or names.get(value["user"]) or texts.get(role) or texts["somebody"])


def _field(value: Mapping[str, Any], language: str, names: Names, depth: int) -> str:
    texts = CATALOGUE[language]
    label = texts.get(f"field.{value['field']}", texts["field"])
    return f"{label} ({_value(value['of'], language, names, depth + 1)})" if "of" in value else label


def _all(value: Mapping[str, Any], language: str, names: Names, depth: int) -> str:
    texts = CATALOGUE[language]
    joint = texts.get(f"joint.{value.get('joint', '')}", ", ")
    text = joint.join(_value(each, language, names, depth + 1) for each in value["all"])
    return text + texts["more"].format(count=int(value["more"])) if value.get("more") else text


def _part(value: Mapping[str, Any], language: str, names: Names, depth: int) -> str:
    part = of_json({"id": value["say"], "values": value["values"]})
    return _UNKNOWN if part is None else _sentence(part, language, names, depth)


def _money(value: Mapping[str, Any], language: str, *_: object) -> str:
    return formats.amount(str(value["money"]), value["currency"], language)


def _unnamed(value: Mapping[str, Any], language: str, *_: object) -> str:
    texts = CATALOGUE[language]
    return texts.get(f"unnamed.{value['unnamed']}", texts["unnamed"])


_FORMS: Final[Mapping[str, Callable[[Mapping[str, Any], str, Names, int], str]]] = {
    "money": _money,
    "time": lambda value, *_: formats.time_of_day(value["time"]),
    "length": lambda value, *_: formats.length(value["length"]),
    "day": lambda value, language, *_: formats.day(value["day"], language),
    "moment": lambda value, language, *_: formats.typed_moment(value["moment"], value["zone"], language),
    "span": lambda value, language, *_: formats.span(value["span"][0], value["span"][1], value["zone"], language),
    "user": _user,
    "word": lambda value, language, *_: word(value["word"], language),
    "field": _field,
    "unnamed": _unnamed,
    "all": _all,
    "say": _part,
}
"""The member that says the kind of a value -> its words. A document does not keep the order of members."""
