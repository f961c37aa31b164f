"""Documents with a schema as a host makes them: of a kind of their own, or derived from others."""

from __future__ import annotations

from crdt_server.errors import ProtocolError
from crdt_server.judge.derived_document import ProjectedDocument
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.pipe import SchemaContext
from documents import derived
from documents.registry import kind_of


def make_document(judge: WeddingJudge, context: SchemaContext, copies: ForkPool) -> SchemaDocument:
    """A document without its stored bytes. Raises ProtocolError where it cannot be held now."""
    owners = {owner.client: owner.user for owner in context.owners}
    found = derived.find(context.document)
    if found is not None:
        if context.without_rules:  # one of them may be what kills the host; nobody is sent rows of last week instead
            raise ProtocolError("without_rules", "a derived document needs the rules of its wedding")
        return ProjectedDocument(found, judge.wedding, judge.open, owners, copies)
    kind = kind_of(context.document)
    assert kind is not None
    return SchemaDocument(kind, context.document, owners, copies)


def warm_up() -> None:
    """Open a document once: the first time takes ten times as long, and would use up the slice of a batch."""
    kind = kind_of("guests")
    assert kind is not None
    WeddingJudge("", ()).build_doc(SchemaDocument(kind, "guests", {}))
