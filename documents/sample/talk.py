"""Two threads: the planners among themselves, and what everybody was told about the day."""

from __future__ import annotations

from typing import Any, Final

from documents.invariants.model import Field
from documents.sample.draft import DAY, Author, Draft

THREADS: Final = {
    "thread.planning": ("couple", "couple", "planner", "coordinator"),
    "thread.day": ("planner", "coordinator", "venue", "caterer", "photographer", "vendor"),
}
MESSAGES: Final = 12


def talk(draft: Draft) -> None:
    """Two threads with twelve messages each, stamped in the order of arrival."""
    for document, roles in THREADS.items():
        users = [draft.user(role, roles[:place].count(role)) for place, role in enumerate(roles)]
        role_of = dict(zip(users, roles, strict=True))
        rows: dict[str, dict[str, Any]] = {"meta": {"": {"_version": 1}}}
        rows |= {root: {} for root in ("messages", "redactions", "reactions", "stamps")}
        draft.documents[document] = rows
        minute = -120 * DAY
        for sequence in range(1, MESSAGES + 1):
            minute += draft.chance.between(60, 5 * DAY)
            message, user = draft.ulid(minute), draft.chance.pick(users)
            body = {"from": user, "at": draft.instant(minute), "kind": "text", "body": draft.words(5, 45)}
            if rows["messages"] and draft.chance.happens(30):
                body["inReplyTo"] = draft.chance.pick(list(rows["messages"]))
            rows["messages"][message] = body
            rows["stamps"][message] = {"sequence": sequence, "at": draft.instant(minute)}
            draft.written[Field(document, "messages", message, None)] = Author(user, role_of[user], minute)
            if draft.chance.happens(30):
                reader = draft.chance.pick(users)
                rows["reactions"][f"{message}|{draft.chance.pick('❤👍🎉🌳')}|{reader}"] = True
                reaction = Field(document, "reactions", list(rows["reactions"])[-1], None)
                draft.written[reaction] = Author(reader, role_of[reader], minute + 5)
        taken_back = draft.chance.pick(list(rows["messages"]))
        author = rows["messages"][taken_back]["from"]
        rows["messages"][taken_back]["body"] = ""
        rows["redactions"][taken_back] = {"at": draft.instant(minute + 60), "by": author}
        draft.written[Field(document, "redactions", taken_back, None)] = Author(author, role_of[author], minute + 60)
