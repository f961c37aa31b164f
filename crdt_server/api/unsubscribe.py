"""The link in a mail that ends such mails (RFC 8058): it takes no session, and shows nothing of anybody."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from crdt_server.api.requests import begin_public, read_body
from crdt_server.api.rights import public
from crdt_server.services.messaging.preference_service import PreferenceService
from crdt_server.services.messaging.unsubscribe import LONGEST_TOKEN, UnsubscribeLinks

MAX_BODY_BYTES = 1024

router = APIRouter(prefix="/api/unsubscribe", tags=["messaging"])

Token = Annotated[str, Query(max_length=LONGEST_TOKEN, description="The token of the link")]

PAGES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {}}, "description": "A page"},
    404: {"content": {"text/html": {}}, "description": "A page: the link is not valid"},
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_WORDS = {
    "en": {
        "title": "Messages about a wedding",
        "question": "End messages of this kind? Emergencies are sent all the same.",
        "button": "Unsubscribe",
        "done": "You receive no more messages of this kind.",
        "wrong": "This link is not valid.",
    },
    "de": {
        "title": "Nachrichten zu einer Hochzeit",
        "question": "Nachrichten dieser Art beenden? Notfälle werden trotzdem gesendet.",
        "button": "Abbestellen",
        "done": "Sie erhalten keine Nachrichten dieser Art mehr.",
        "wrong": "Dieser Link ist nicht gültig.",
    },
}
_FORM = '<form method="post"><button name="List-Unsubscribe" value="One-Click">{}</button></form>'


@router.get("", response_class=Response, responses=PAGES)
@public
async def get_unsubscribe(request: Request, token: Token = "") -> Response:
    """A page with a button. Changes nothing: programs follow links in mails."""
    begin_public(request)
    links: UnsubscribeLinks = request.app.state.unsubscribe_links
    if links.read(token) is None:
        return _page(request, 404, "wrong")
    return _page(request, 200, "question", _FORM.format(escape(_words(request)["button"])))


@router.post("", response_class=Response, responses=PAGES)
@public
async def post_unsubscribe(request: Request, token: Token = "") -> Response:
    """End the messages that the link is about; again, as often as it comes."""
    begin_public(request)
    await read_body(request, MAX_BODY_BYTES)  # `List-Unsubscribe=One-Click`, which says nothing that the link does not
    links: UnsubscribeLinks = request.app.state.unsubscribe_links
    target = links.read(token)
    if target is None:
        return _page(request, 404, "wrong")
    service: PreferenceService = request.app.state.preferences
    await service.unsubscribe(target)
    return _page(request, 200, "done")


def _words(request: Request) -> dict[str, str]:
    preferred = request.headers.get("accept-language", "").strip().lower()
    return _WORDS["de" if preferred.startswith("de") else "en"]


def _page(request: Request, status: int, sentence: str, form: str = "") -> Response:
    words = _words(request)
    language = next(code for code, each in _WORDS.items() if each is words)
    title, text = escape(words["title"]), escape(words[sentence])
    html = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><h1>{title}</h1><p>{text}</p>{form}</html>"
    )
    return Response(html, status, _HEADERS, "text/html; charset=utf-8")
