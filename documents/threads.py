"""`thread.{id}`: one conversation. Its title and participants are kept with the members, not here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from documents.fields import Enum, Flag, Id, Instant, Integer, ListOf, Pattern, Reason, String
from documents.kind import Kind, key, needed, record, value_of, values
from documents.shared import MESSAGE, NAME, STAMP, USER, meta, review

MAX_BODY = 4000

MOST_OF_MESSAGE = 1_000
"""Reactions to one message: with those of everybody it is read."""

MOST_OF_PERSON = 20
"""Of these, those of one person: nobody keeps the others from reacting."""


@record
class Attachment:
    """A file that was sent along; its bytes are kept elsewhere."""

    id: str = needed(Id("id of an attachment"), "Under which id the file is kept.")
    name: str = needed(NAME, "What the file is called.")
    media_type: str = needed(Pattern(r"[a-z0-9.+-]{1,60}/[A-Za-z0-9.+-]{1,60}", "media type"), "What it is.")
    size: int = needed(Integer(0, unit="bytes"), "How large it is.")
    sha256: str = needed(Pattern(r"[0-9a-f]{64}", "64 hexadecimal digits"), "SHA-256 of its bytes.")


@record
class MessageContext:
    """The subject of a conversation, or of one message."""

    document: str = needed(String(120), "Document.")
    root: str | None = key(String(40), "Root.")
    record: str | None = key(String(200), "Id of the record.")


@record
class Message:
    """One message. Never changed: a message can be redacted as a whole."""

    from_: str = needed(USER, "Who said it.")
    at: str = needed(Instant(), "When, by the clock of the writer.")
    kind: str = needed(Enum("text", "system", "emergency"), "What sort of message it is.")
    body: str = needed(String(MAX_BODY), "What was said.")
    in_reply_to: str | None = key(MESSAGE, "The message it answers.")
    attachments: tuple[Attachment, ...] = key(ListOf(value_of(Attachment), 20), "Files.", default=())
    context: MessageContext | None = key(value_of(MessageContext), "What it is about.")


@record
class Arrival:
    """When a message came to the server."""

    sequence: int = needed(Integer(0, unit="count"), "The how-manieth message it is.")
    at: str = needed(Instant(), "When.")


_TOO_MANY = Reason("too_many_reactions", f"a message has at most {MOST_OF_MESSAGE} reactions")
_TOO_MANY_OWN = Reason("too_many_reactions", f"you have at most {MOST_OF_PERSON} reactions to a message: take one back")


def reactions_too_many(
    reactions: Mapping[str, object], added: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], Reason]:
    """Those of some rows, given by root and record, that are reactions too many, the last first. ``reactions`` has
    them already. It is walked once, and only where there are enough for one too many."""
    new = [id_ for root, id_ in added if root == "reactions"]
    if not new or len(reactions) <= MOST_OF_PERSON:
        return {}
    of_message = Counter(dict.fromkeys((id_.partition("|")[0] for id_ in new), 0))
    own = Counter(dict.fromkeys(map(_of_person, new), 0))
    for id_ in reactions:
        message = id_.partition("|")[0]
        if message in of_message:
            of_message[message] += 1
            person = _of_person(id_)
            if person in own:
                own[person] += 1
    found: dict[tuple[str, str], Reason] = {}
    for id_ in reversed(new):
        message, person = id_.partition("|")[0], _of_person(id_)
        if own[person] > MOST_OF_PERSON or of_message[message] > MOST_OF_MESSAGE:
            found["reactions", id_] = _TOO_MANY_OWN if own[person] > MOST_OF_PERSON else _TOO_MANY
            own[person] -= 1
            of_message[message] -= 1
    return found


def _of_person(reaction: str) -> tuple[str, str]:
    return reaction.partition("|")[0], reaction.rpartition("|")[2]


REACTION = Pattern(
    r"[A-Za-z0-9-][A-Za-z0-9_-]{0,63}\|[^|\x00-\x1f]{1,32}\|[A-Za-z0-9-][A-Za-z0-9_-]{0,63}", "message|emoji|user", "id"
)

KIND = Kind(
    "thread",
    "One conversation.",
    (
        meta(),
        values("messages", value_of(Message), "Messages, by ULID.", final=True, withdrawals="redactions"),
        values("redactions", STAMP, "Messages taken back, by message id.", ids=MESSAGE, final=True),
        values("reactions", Flag(), "Reactions; the id says all.", ids=REACTION, removable=True),
        values("stamps", value_of(Arrival), "In which order messages arrived, by message id.",
               ids=MESSAGE, server=True),
        review(),
    ),
    one=False,
    many=True,
)  # fmt: skip
