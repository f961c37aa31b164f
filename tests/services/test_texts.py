"""The words of messages: every type of events in every language, and what people type into them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, meta

from crdt_server.services.messaging.model import Channel
from crdt_server.services.messaging.sms_text import parts_of
from crdt_server.services.messaging.texts import (
    DIGEST_NOTICES,
    GENERIC,
    SMS_PARTS,
    SUBJECT_CHARACTERS,
    TEMPLATES,
    VALUES,
    Rendered,
    render,
    template_for,
)
from documents.events.rules import TYPES
from documents.sentences import LANGUAGES, language_of
from tests.support.deliveries import delivery, notice

# Beside those of documents.
COMMANDED = (
    *("timeline.cascade.applied", "timeline.cascade.proposed", "timeline.go_ahead", "task.overdue", "photo.approved"),
    *("photo.registered", "presence.missing_key", "presence.low_battery", "emergency.escalated", "broadcast.sent"),
    *("grant.asked", "grant.given", "grant.ended", "vendor.replaced", "session.revoked", "something.new"),
    *("thread.created", "thread.joined", "thread.left", "thread.changed"),
)
ROUTED = (
    *("emergency.raised", "timeline.item.added", "timeline.item.changed", "timeline.item.moved", "guest.rsvp"),
    *("timeline.item.removed", "timeline.cascade.applied", "seating.assigned", "seating.table", "care.changed"),
    *("payment.recorded", "budget.over_limit", "approval.requested", "vendor.day_status", "presence.missing_key"),
    *("presence.low_battery", "conflict.opened", "message.sent", "task.done", "photo.approved"),
    *("thread.created", "thread.joined"),
)
FILLED = {name: f"[{name}]" for name in VALUES}
LINKS = (
    *("https://evil.example/x", "HTTP://EVIL.example", "evil.example", "www.evil.example", "see evil.example."),
    *("mailto:a@evil.example", "a@evil.example", "tel:+49900123", "javascript:alert(1)", "http://192.0.2.1/x"),
    *("192.0.2.1:80", "evil。example", "evil\uff0eexample", "[x](https://evil.example)", "//evil.example", "x://y"),
)
MARKUP = "<script>alert(1)</script><a href='https://evil.example'>x</a><img src=x onerror=y>\"'>&amp;</p>"
# What clients of mail and phones make a link of.
AUTOLINK = re.compile(
    r"[A-Za-z]:(?!\.\.\.)[^\s\u200b…:]|[\w-]+[.。\uff0e\uff61][^\W\d_]{2,}|\d+\.\d+\.\d+\.\d+|\w@\w", re.UNICODE
)
# What ends a line or changes the direction of text.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066\u2067\ufeff]")
FRAME_TAGS = {"html", "head", "meta", "title", "body", "p", "br", "a", "bdi", "h2"}
PUBLIC = "https://wed.example"
OWN_LINKS = ("https://wed.example/api/unsubscribe?token=t1", "https://wed.example/#/w")


class Seen(HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += "\n" if tag == "br" else ""
        self.attributes |= {(name, value or "") for name, value in attrs if name not in ("style", "dir")}

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(type_: str = "message.sent", language: str = "en", **params: str) -> Rendered:
    return render(delivery(Channel.MAIL, "a@b.example", notice(type_, **params), language=language), PUBLIC)


def without_own(text: str) -> str:
    for link in OWN_LINKS:
        text = text.replace(link, "")
    return text


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_type_of_events_has_words(language: str) -> None:
    for type_ in (*sorted(TYPES), *COMMANDED):
        for params in ({}, FILLED):
            found = rendered(type_, language, **params)
            assert found.subject.strip()
            assert found.text.strip()
            assert found.body.strip()
            assert parts_of(found.short) <= SMS_PARTS
            assert not any(mark in found.text for mark in ("{", "None", "Undefined")), (type_, found.text)
        assert any(mark in found.text + found.subject for mark in FILLED.values()), type_


@pytest.mark.parametrize("type_", ROUTED)
def test_what_is_routed_has_words_of_its_own(type_: str) -> None:
    for language in LANGUAGES:
        names = [path.stem for path in (TEMPLATES / language).glob("*.txt")]
        assert template_for(names, type_) != GENERIC


def test_languages_have_the_same_templates_and_words() -> None:
    names = {language: {path.name for path in (TEMPLATES / language).iterdir()} for language in LANGUAGES}
    assert names["en"] == names["de"]
    words = {line.partition(" = ")[0] for line in (TEMPLATES / "en" / "words.toml").read_text().splitlines()}
    assert words == {line.partition(" = ")[0] for line in (TEMPLATES / "de" / "words.toml").read_text().splitlines()}


def test_templates_name_known_values_only() -> None:
    environment = Environment(autoescape=True)
    known = {*VALUES, "wedding", "change", "at", "named", "count"}
    for path in TEMPLATES.glob("*/*.txt"):
        names = meta.find_undeclared_variables(environment.parse(path.read_text()))
        assert names <= known, path


def test_a_language_without_templates_is_english() -> None:
    assert [language_of(tag) for tag in ("de-AT", "DE", "fr", "", "en-NZ")] == ["de", "de", "en", "en", "en"]


@pytest.mark.parametrize("type_", ["message.sent", "timeline.item.moved", "payment.recorded", "conflict.opened"])
def test_markup_in_any_field_is_text(type_: str) -> None:
    plain = Seen(render(delivery(Channel.MAIL, "a@b.example", notice(type_, **FILLED)), PUBLIC).html)
    told = notice(type_, **dict.fromkeys(VALUES, MARKUP))
    found = render(delivery(Channel.MAIL, "a@b.example", told, name=MARKUP, title=MARKUP), PUBLIC)
    seen = Seen(found.html)
    assert seen.tags == plain.tags
    assert seen.attributes == plain.attributes
    assert {value for name, value in seen.attributes if name == "href"} == set(OWN_LINKS)
    assert "<script>" in seen.text
    digest = Seen(render(delivery(Channel.MAIL, "a@b.example", told, told, title=MARKUP), PUBLIC).html)
    assert set(digest.tags) <= {*plain.tags, "h2"}


@pytest.mark.parametrize(
    ("document", "notices", "place"),
    [("thread.t 1", 1, "w/messages/t%201"), ("thread.t 1", 2, "w"), ("timeline", 1, "w")],
)
def test_a_mail_leads_to_its_conversation(document: str, notices: int, place: str) -> None:
    told = (notice()._replace(document=document),) * notices
    found = render(delivery(Channel.MAIL, "a@b.example", *told), PUBLIC)
    assert f'href="https://wed.example/#/{place}"' in found.html
    assert f"https://wed.example/#/{place}\n" in found.text


@pytest.mark.parametrize("link", LINKS)
def test_nothing_typed_is_a_link(link: str) -> None:
    assert AUTOLINK.search(link)
    for type_ in ("message.sent", "timeline.item.moved", "payment.recorded", "vendor.day_status", "guest.rsvp"):
        told = notice(type_, **dict.fromkeys(VALUES, f"x {link} y"))
        for notices in ((told,), (told, told)):
            found = render(delivery(Channel.MAIL, "a@b.example", *notices, title=link), PUBLIC)
            seen = Seen(found.html)
            for text in (found.subject, without_own(found.text), seen.text, found.short, found.body):
                # The words of the frames have colons of their own, with a space behind.
                assert AUTOLINK.search(text) is None, (AUTOLINK.search(text), text)
            assert {value for name, value in seen.attributes if name == "href"} == set(OWN_LINKS)


@pytest.mark.parametrize("host", ["हिन्दी.com", "exemple\u0301.com", "i❤.ws", "a\u200d.com", "हिन्दी。com"])
def test_a_host_whose_name_ends_with_a_mark_is_no_link(host: str) -> None:
    """A vowel sign, an accent of its own, an emoji: none of them is a letter to a regular expression."""
    found = rendered(text=f"see {host}", actor=host, title=host)
    for text in (found.subject, without_own(found.text), Seen(found.html).text, found.short, found.body):
        assert host not in text


# Pieces of what people and attackers type.
PIECES = st.sampled_from(
    [
        *LINKS,
        MARKUP,
        "a",
        ".",
        "com",
        ":",
        "//",
        "@",
        "x.y",
        "\n",
        "\r",
        "\u202e",
        "\u2066",
        "é",
        "🌳",
        "\u200d",
        "שלום",
        " ",
        "1",
        "<",
    ]
)


@given(
    typed=st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=60), language=st.sampled_from(sorted(LANGUAGES))
)
def test_whatever_is_typed_is_text(typed: str, language: str) -> None:
    given_values = dict.fromkeys(VALUES, typed)
    for type_ in ("message.sent", "timeline.item.moved"):
        told = notice(type_, **given_values)
        found = render(delivery(Channel.MAIL, "a@b.example", told, language=language, title=typed, name=typed), PUBLIC)
        seen = Seen(found.html)
        assert {value for name, value in seen.attributes if name == "href"} == set(OWN_LINKS)
        assert set(seen.tags) <= FRAME_TAGS
        for text in (found.subject, without_own(found.text), seen.text, found.short, found.body):
            assert AUTOLINK.search(text) is None, (AUTOLINK.search(text), text)
            assert not CONTROLS.search(text)
            assert text.encode()
        assert parts_of(found.short) <= SMS_PARTS
        for text in (found.subject, found.short, found.body):
            assert len(text.splitlines()) <= 1
        assert len(found.subject) <= SUBJECT_CHARACTERS


def test_a_url_that_is_none_is_left_out() -> None:
    for url in ('https://x"onclick=y', "javascript:alert(1)", "https://x\r\nBcc: a@b", "https://ex ample", "https://ü"):
        found = render(delivery(unsubscribe=url), "javascript:alert(1)")
        assert "href" not in found.html
        assert url not in found.text


def test_long_values_are_cut() -> None:
    body = "Ümläut, word " * 310
    found = rendered(text=body, actor="A" * 4_000, title="T" * 4_000)
    assert len(body) > 4_000
    assert len(found.subject) <= SUBJECT_CHARACTERS
    assert found.text.count("Ümläut") > 300
    assert "…" in found.text
    assert parts_of(found.short) == SMS_PARTS
    assert found.short.endswith("...")
    assert len(found.body) <= 300
    assert len(found.text) < 4_600


def test_a_body_of_4000_characters_is_whole_in_mail() -> None:
    body = ("All of it. " * 400)[:3_999] + "!"
    found = rendered(text=body)
    assert body in found.text
    assert body in Seen(found.html).text


def test_lines_and_paragraphs_are_kept() -> None:
    found = rendered(text="one\r\ntwo\n\n\nthree\u2028four\x00\x1b[31m")
    assert "one\ntwo\n" in found.text
    assert found.html.count("<br>") == 2
    assert found.html.count("<p dir") == 2
    assert "\x00" not in found.text + found.html + found.short
    assert "\x1b" not in found.text + found.html + found.short
    assert "\n" not in found.short + found.subject + found.body


def test_emoji_are_whole() -> None:
    family = "👨‍👩‍👧‍👦"
    for length in range(110, 125):
        found = rendered(actor="a" * length, title=family * 3, text=family * 500)
        ended = found.subject.rstrip("…")
        assert ended.endswith(("a", family, " ", ":")), found.subject[100:]
        assert parts_of(found.short) <= SMS_PARTS
        assert found.short.encode("utf-16", "strict")
    assert family * 500 in rendered(text=family * 500).text.replace("\n", "")


def test_text_from_right_to_left_changes_no_order_around_it() -> None:
    found = rendered("guest.rsvp", title="שרה כהן", after="yes")
    assert "\u2068שרה כהן\u2069" in found.subject
    evil = rendered("guest.rsvp", title="\u202egnihtyna\u2066", after="yes", text="\u202eabc")
    for text in (evil.subject, evil.text, evil.html, evil.short):
        assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067")


def test_a_digest_names_the_most_urgent_and_counts_the_others() -> None:
    told = [
        notice("task.done", title=f"Task {number}", count=1 + (number == 0)) for number in range(DIGEST_NOTICES + 7)
    ]
    found = render(delivery(Channel.MAIL, "a@b.example", *told), PUBLIC)
    assert found.subject == "58 news of Chloé & Aroha"
    assert found.text.index("* Done: Task 0") < found.text.index("* Done: Task 49")
    assert "Task 50" not in found.text
    assert "… and 7 more." in found.text
    assert "… and 7 more." in found.html
    german = render(delivery(Channel.MAIL, "a@b.example", *told[:2], language="de-CH"), PUBLIC)
    assert german.subject == "3 Neuigkeiten: Chloé & Aroha"
    assert "(2 Änderungen)" in german.text


def test_a_wedding_without_a_title_is_called_by_its_name() -> None:
    one = notice()
    mail, digest = (render(delivery(Channel.MAIL, "a@b.example", *those, title="")) for those in ((one,), (one, one)))
    assert f"You get this as a member of: {one.wedding}" in mail.text
    assert digest.subject == digest.short == f"2 news of {one.wedding}"
    assert not mail.short.startswith(one.wedding)  # an SMS has no room for it


def test_of_a_digest_that_is_too_long_the_rest_is_counted() -> None:
    rest = notice("digest", count=12)
    found = render(delivery(Channel.MAIL, "a@b.example", notice("task.done", title="Cake"), rest))
    assert found.subject == "13 news of Chloé & Aroha"
    assert found.text.count("* ") == 1
    assert "… and 12 more." in found.text
    alone = render(delivery(Channel.MAIL, "a@b.example", rest))
    assert "… and 12 more." in alone.text


def test_what_is_only_counted_names_nobody() -> None:
    told = notice("guest.rsvp")._replace(record="", document="", params={"count": "5"})
    for language, subject in (("en", "Answers of guests: 5"), ("de", "Antworten von Gästen: 5")):
        found = render(delivery(Channel.MAIL, "a@b.example", told, language=language))
        assert found.subject == subject
        assert "(5" not in found.text
    for count, words in (("3", "(3 changes)"), ("٣", "Bob has answered the invitation.\n")):
        merged = notice("guest.rsvp")._replace(params={"title": "Bob", "count": count})
        assert words in render(delivery(Channel.MAIL, "a@b.example", merged)).text


def test_a_payment_has_its_own_currency_and_day() -> None:
    told = {"actor": "Kit", "amount": "150000", "currency": "NZD", "on": "2026-01-15", "kind": "deposit"}
    assert rendered("payment.recorded", **told).subject == "Payment: NZ$1,500.00"
    assert "Kit entered a payment: NZ$1,500.00, 15 January 2026." in rendered("payment.recorded", **told).text
    assert "1.500,00 NZ$, 15. Januar 2026" in rendered("payment.recorded", "de", **told).text
    assert rendered("emergency.raised", "de", kind="weather").subject == "NOTFALL: Wetter"


def test_amounts_and_times_are_those_of_the_reader() -> None:
    told = notice("approval.requested", title="Album", before_minor="300000", after_minor="1320050")
    assert "€3,000.00 → €13,200.50" in render(delivery(Channel.MAIL, "a@b.example", told)).text
    german = delivery(Channel.MAIL, "a@b.example", told, language="de", currency="JPY")
    assert "300.000 ¥ → 1.320.050 ¥" in render(german).text
    arrived = notice("guest.checked_in", title="Bob")
    for zone, time in (
        ("Europe/Berlin", "14:30 (UTC+02:00)"),
        ("Asia/Kolkata", "18:00 (UTC+05:30)"),
        ("America/St_Johns", "10:00 (UTC-02:30)"),
        ("No/Where", "12:30 (UTC+00:00)"),
        ("../../etc/passwd", "12:30 (UTC+00:00)"),
    ):
        assert f"20 June 2026, {time}" in render(delivery(Channel.MAIL, "a@b.example", arrived, timezone=zone)).text
    moved = notice("timeline.item.moved", title="Dance", before_minutes="1380", after_minutes="1470")
    assert "23:00 → 00:30 +1" in render(delivery(Channel.MAIL, "a@b.example", moved)).text


def test_words_of_the_schema_are_translated_and_others_are_not() -> None:
    assert rendered("vendor.day_status", "de", title="DJ", before="en_route", after="late").subject == "DJ: verspätet"
    assert rendered("vendor.day_status", "de", title="late", after="anything").subject == "late: anything"


def test_no_address_or_secret_is_in_a_representation() -> None:
    given = delivery(Channel.PUSH, "https://push.example/private", notice(text="between us"), secret="p256dh")  # noqa: S106
    for hidden in ("push.example", "between us", "p256dh", "token=t1"):
        assert hidden not in repr(given)


def test_a_conflict_is_told_in_the_language_of_the_reader() -> None:
    said = {"id": "T5.limit", "values": {"time": {"time": 1500}}}
    told = {"title": "The hard end is 01:00 +1.", "title_sentence": json.dumps(said)}
    for params in (told, dict(reversed(told.items()))):
        assert "The hard end is 01:00 +1." in rendered("conflict.opened", **params).text
        assert "Das feste Ende ist 01:00 +1." in rendered("conflict.opened", "de", **params).text
    assert "ein Eintrag ohne Titel" in rendered("conflict.opened", "de", **told | {"title_sentence": "[1"}).text
