"""M1: messages are from who wrote them, and stay as they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from documents.fields import same
from documents.invariants.model import NOBODY, SERVER, UNKNOWN, Finding, Op, Subject, document_kind, user_id
from documents.invariants.part import Part, Route, Touched, person
from documents.sentences import sentence


class Messages(Part):
    """No index: a message is judged by its writer alone."""

    invariants = ("M1",)

    def routes(self) -> Iterable[Route]:
        return (Route("thread", "messages", self._message),)

    def candidates(self) -> Iterator[Subject | None]:
        # From the writers, because of messages that are gone.
        for document, root, record, _ in self.wedding.writers:
            is_message = root == "messages" and document_kind(document) == "thread"
            yield Subject("M1", (document, record)) if is_message else None

    def _message(self, document: str, message: str, touched: Touched) -> None:
        touched.add(Subject("M1", (document, message)))

    def find(self, subject: Subject) -> Finding | None:
        document, message = subject.ids
        party = self.wedding.party(document, "messages", message)
        writer = party.writer
        if writer is NOBODY or writer.user == SERVER:
            return None
        if writer.before is not UNKNOWN and writer.before is not None:
            if same(writer.before, party.value):
                return None
            said = sentence("M1", who=person(self.wedding, writer))
            ops = [Op("set", *party.field[:3], None, writer.before)]
        elif type(party.value) is dict and party.value.get("from") != user_id(writer.user):
            said = sentence("M1.forged", who=person(self.wedding, writer))
            ops = [Op("delete", *party.field[:3])]
        else:
            return None
        return self.found(subject, said, parties=[party], automatic=ops)
