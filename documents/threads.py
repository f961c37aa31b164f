"""`thread.{id}`: one conversation. Its title and participants are kept with the members, not here."""

from __future__ import annotations

from documents.fields import Enum, Flag, Id, Instant, Integer, ListOf, Pattern, String
from documents.kind import Kind, key, needed, record, value_of, values
from documents.shared import MESSAGE, NAME, STAMP, USER, meta, review

MAX_BODY = 4000


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
