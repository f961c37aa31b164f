"""The text of a message, from the templates of its types of events and the language of its recipient.

A template is `templates/LANGUAGE/TYPE.txt`: its first line is the subject, the others are the text. Of a type without
a template the longest beginning counts that has one, at last `generic`. A template sees all of `VALUES`, plain texts
that are empty where the notice has none; any other name in it is an error. A parameter of the notice is a value as it
is, or under a name with its unit: `after_minor` is an amount in minor units of the currency of the wedding,
`after_minutes` a time of its day, `after_at` an RFC 3339 moment, `title_sentence` one of `documents.sentences` as JSON;
the template sees `after` and `title`. `amount` is one in minor
units too, of the `currency` beside it.

Values were typed by people. They are cleaned and are no links (see `plain_text`), and the sentences made of them are
plain text, which `mail.html` shows as values: so the only markup and the only links are those of that file.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from crdt_server.access.threads import THREAD
from crdt_server.services.messaging.model import Delivery, Notice
from crdt_server.services.messaging.plain_text import ZERO_WIDTH_SPACE, cleaned, cut, isolated, one_line, unlinked
from crdt_server.services.messaging.sms_text import fitted
from documents.sentences import CATALOGUE, formats, language_of, of_json, to_text

TEMPLATES: Final = Path(__file__).parent / "templates"
DIGEST: Final = "digest"
CONFIRMATION: Final = "contact.confirm"
"""With a code, to somebody who may have nothing to do with the wedding: without a name or a link of it."""

GENERIC: Final = "generic"
COUNTED: Final = ".counted"
"""Behind the type in the name of a template about a number of events of it."""


VALUES: Final = (
    "actor", "title", "before", "after", "text", "amount", "reason", "status", "kind", "severity", "vendor", "place",
    "on", "due", "code",
)  # fmt: skip
"""Names of values in templates; besides them `named`, the title or nothing, `wedding`, its title, `change`, which has
what was and what is, `at`, the moment of the event, and `count`, the number of events."""

_OF_SCHEMA: Final = ("before", "after", "status", "kind", "severity")
"""Values that may be words of the schema (`late`), for which there is one in each language."""

VALUE_CHARACTERS: Final = 4_000
LINE_CHARACTERS: Final = 200
"""Of a value in a subject, or of a value before or after a change."""

SUBJECT_CHARACTERS: Final = 120
BODY_CHARACTERS: Final = 300
DIGEST_NOTICES: Final = 50
"""Notices that a digest names; the others are counted in it."""

SMS_PARTS: Final = 3

_SENTENCE: Final = "_sentence"
_UNITS: Final = ("_minor", "_minutes", "_at", _SENTENCE)
_LONG: Final = "text"
_AMOUNT: Final = "amount"
_COUNT: Final = "count"
_DAYS: Final = ("on", "due")
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII).fullmatch
_OTHERWISE_WORDS: Final = {"actor": "somebody", "title": "untitled"}


class Rendered(NamedTuple):
    """A message in all its forms."""

    subject: str
    """One line, of at most 120 characters; the title of a push message."""
    text: str
    html: str
    short: str
    """One line that is sent in at most three parts as an SMS."""
    body: str
    """One line of at most 300 characters, without the subject: for push messages."""


class _Sentences(NamedTuple):
    """The two templates of a type of events."""

    subject: Template
    body: Template


class _RenderedNotice(NamedTuple):
    """A notice in words."""

    subject: str
    body: str
    text: str
    """The words of a person, if it contains any."""


class _Language(NamedTuple):
    code: str
    sentences: Mapping[str, _Sentences]
    words: Mapping[str, str]


def render(delivery: Delivery, public_url: str = "") -> Rendered:
    """The message. `public_url`: where the page of the server is; it is linked to. Raises jinja2's UndefinedError for
    a template that is wrong."""
    language = _language(language_of(delivery.language))
    title = _title_or_name(delivery, ZERO_WIDTH_SPACE)
    said = [
        _render_notice(delivery, notice, language, ZERO_WIDTH_SPACE)
        for notice in _listed_notices(delivery)[:DIGEST_NOTICES]
    ]
    if _is_digest(delivery):
        subject = one_line(_words(language, "digest", count=str(_count(delivery)), wedding=title))
        body = "; ".join(each.subject for each in said) or _rest(delivery, language)
    else:
        subject, body = said[0].subject, said[0].body
    subject = cut(subject, SUBJECT_CHARACTERS)
    frame = {
        "language": language.code,
        "subject": subject,
        "wedding": title,
        "is_digest": _is_digest(delivery),
        "is_code": delivery.notices[0].type == CONFIRMATION,
        "items": [{"subject": each.subject, "paragraphs": _paragraphs(each.body)} for each in said],
        "rest": _rest(delivery, language),
        "link": _link(delivery, public_url),
        "unsubscribe": _url(delivery.unsubscribe),
        "words": language.words,
    }
    return Rendered(
        subject,
        _frame("mail.txt").render(frame),
        _frame("mail.html").render(frame),
        _short(delivery, language),
        cut(one_line(body), BODY_CHARACTERS),
    )


def _short(delivery: Delivery, language: _Language) -> str:
    """As an SMS, whose alphabet has no character without width: the joint in what looks like a link is a space."""
    if _is_digest(delivery):
        title = _title_or_name(delivery, " ")
        return fitted(_words(language, "digest", count=str(_count(delivery)), wedding=title), SMS_PARTS)
    title = _value(delivery.title, LINE_CHARACTERS, " ")
    said = _render_notice(delivery, delivery.notices[0], language, " ")
    return fitted(": ".join(filter(None, (cut(title, 40), said.subject, said.text))), SMS_PARTS)


def _title_or_name(delivery: Delivery, joint: str) -> str:
    """For sentences that would end in nothing where a wedding has no title."""
    return _value(delivery.title or delivery.notices[0].wedding, LINE_CHARACTERS, joint)


def _is_digest(delivery: Delivery) -> bool:
    return len(delivery.notices) > 1 or delivery.notices[0].type == DIGEST


def _listed_notices(delivery: Delivery) -> list[Notice]:
    """The notices of a digest that it tells of. One of the type `digest` has the number of others that it has not."""
    return [notice for notice in delivery.notices if notice.type != DIGEST]


def _count(delivery: Delivery) -> int:
    return sum(map(_events, delivery.notices))


def _events(notice: Notice) -> int:
    """The number of events that a notice is about."""
    given = notice.params.get(_COUNT, "")
    return max(1, notice.merged, int(given) if _NUMBER(given) else 1)


def _rest(delivery: Delivery, language: _Language) -> str:
    rest = _count(delivery) - sum(map(_events, _listed_notices(delivery)[:DIGEST_NOTICES]))
    return _words(language, "rest", count=str(rest)) if rest else ""


def _render_notice(delivery: Delivery, notice: Notice, language: _Language, joint: str) -> _RenderedNotice:
    values = dict(_values(delivery, notice, language, joint))
    counted = not notice.record and _COUNT in notice.params
    sentences = _sentences_of(language, notice.type + COUNTED if counted else notice.type)
    subject = one_line(sentences.subject.render(values))
    body = sentences.body.render(values).strip()
    if _events(notice) > 1 and not counted:
        body = f"{body}\n\n{_words(language, 'merged', count=str(_events(notice)))}".strip()
    return _RenderedNotice(subject, body, values[_LONG])


def _values(delivery: Delivery, notice: Notice, language: _Language, joint: str) -> Iterator[tuple[str, str]]:
    currency, zone = notice.params.get("currency", delivery.currency), delivery.timezone
    given = {
        name: _value(_formatted(name, unit, value, language, currency, zone), _most(name), joint)
        for name, unit, value in _named(_params(notice, language))
    }
    for name in VALUES:
        yield name, given.get(name) or language.words.get(_OTHERWISE_WORDS.get(name, ""), "")
    yield "named", given.get("title", "")
    yield "count", str(_events(notice))
    yield "wedding", _value(delivery.title, LINE_CHARACTERS, joint)
    yield "at", formats.moment(notice.at, delivery.timezone, language.code)
    before, after = given.get("before", ""), given.get("after", "")
    yield "change", " → ".join(filter(None, (before, after)))


def _params(notice: Notice, language: _Language) -> Mapping[str, str]:
    """The parameters of a notice. The title of one about a grant is a document, which each language has words for."""
    title = f"document.{notice.params.get('title')}" if notice.type.startswith("grant.") else ""
    return {**notice.params, "title": CATALOGUE[language.code].get(title) or notice.params.get("title", "")}


def _named(params: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Name, unit and value of the parameters that a template may see."""
    for given, value in params.items():
        unit = "_minor" if given == _AMOUNT else next((unit for unit in _UNITS if given.endswith(unit)), "")
        name = given.removesuffix(unit)
        if name in VALUES and (unit or name + _SENTENCE not in params):
            yield name, unit, value


def _formatted(name: str, unit: str, value: str, language: _Language, currency: str, zone: str) -> str:
    if unit == "_minor":
        return formats.amount(value, currency, language.code)
    if unit == "_minutes":
        return formats.typed_time(value)
    if unit == "_at":
        return formats.typed_moment(value, zone, language.code)
    if unit == _SENTENCE:
        return _translated(value, language.code)
    if name in _DAYS:
        return formats.day(value, language.code)
    if name in _OF_SCHEMA:
        return CATALOGUE[language.code].get(f"word.{value}", value)
    return value


def _translated(value: str, language: str) -> str:
    """A sentence of the catalogue, given as JSON; empty where it is none."""
    try:
        sentence = of_json(json.loads(value))
    except ValueError:
        return ""
    return "" if sentence is None else to_text(sentence, language)


def _most(name: str) -> int:
    return VALUE_CHARACTERS if name == _LONG else LINE_CHARACTERS


def _value(typed: str, most: int, joint: str) -> str:
    text = cut(cleaned(typed).strip(), most)
    return isolated(unlinked(text if most == VALUE_CHARACTERS else one_line(text), joint))


def _words(language: _Language, name: str, **values: str) -> str:
    text = language.words[name]
    for given, value in values.items():
        text = text.replace(f"[{given}]", value)
    return text


def _paragraphs(body: str) -> list[list[str]]:
    """The lines of each paragraph."""
    return [part.strip("\n").split("\n") for part in body.split("\n\n") if part.strip()]


def _link(delivery: Delivery, public_url: str) -> str:
    """Where the planner shows it: a message in its conversation, all else at the start of the wedding."""
    notice = delivery.notices[0]
    if not public_url or notice.type == CONFIRMATION:
        return ""
    parts = [notice.wedding]
    if len(delivery.notices) == 1 and notice.document.startswith(THREAD):
        parts += ["messages", notice.document.removeprefix(THREAD)]
    path = "/".join(quote(each, safe="") for each in parts)  # the names of weddings are typed, too
    return _url(f"{public_url.rstrip('/')}/#/{path}")


def _url(url: str) -> str:
    """A URL of the server; empty where it is none."""
    is_url = url.startswith(("https://", "http://")) and url.isascii() and url.isprintable()
    return url if is_url and not any(character in url for character in ' "<>') else ""


# -- templates


def _sentences_of(language: _Language, type_: str) -> _Sentences:
    return language.sentences[template_for(language.sentences, type_)]


def template_for(templates: Mapping[str, object] | Sequence[str], type_: str) -> str:
    """The name of the template of a type of events."""
    while type_ and type_ not in templates:
        type_ = type_.rpartition(".")[0]
    return type_ or GENERIC


@cache
def _language(code: str) -> _Language:
    folder = TEMPLATES / code
    sentences = {path.stem: _read(path) for path in sorted(folder.glob("*.txt"))}
    words: Mapping[str, str] = tomllib.loads((folder / "words.toml").read_text("utf-8"))
    return _Language(code, sentences, words)


def _read(path: Path) -> _Sentences:
    subject, _, body = path.read_text("utf-8").partition("\n")
    return _Sentences(_SENTENCES.from_string(subject), _SENTENCES.from_string(body))


@cache
def _frame(name: str) -> Template:
    return (_MARKUP if name.endswith(".html") else _PLAIN).get_template(name)


def _environment(*, markup: bool, frames: bool = True) -> Environment:
    return Environment(
        autoescape=markup,  # noqa: S701 - without it for plain text only
        undefined=StrictUndefined,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=frames,
        lstrip_blocks=frames,
        keep_trailing_newline=True,
    )


_SENTENCES: Final = _environment(markup=False, frames=False)
_PLAIN: Final = _environment(markup=False)
_MARKUP: Final = _environment(markup=True)
