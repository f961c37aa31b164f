"""Errors of the store. Every public call of `storage` raises one of these, and no error of a driver."""

from collections.abc import Iterable


class StorageError(Exception):
    """Any failure of the store; raised itself only for wrong use (bad address, closed store)."""


class StorageUnavailable(StorageError):
    """The database cannot be read or written now: disk full, read-only, locked, damaged, not reached, not answering.

    The same call may succeed once the cause is gone. Nothing of the failed call is stored; but of a server that was
    lost or did not answer in time, the outcome is unknown: load the document to find it out.
    """


class ReadTooLong(StorageError):
    """A read was given up after the time that it may take. The same read will be again: ask for less."""


class ValuesRefused(StorageError):
    """The database cannot keep these values: a text that is too long, or one with characters that it does not have.

    Nothing of the call is stored, and the same call will fail again.
    """


class BoundReached(ValuesRefused):
    """There are as many of these already as may be: of one person, or of the wedding."""

    def __init__(self, message: str, *, of_person: bool) -> None:
        super().__init__(message)
        self.of_person = of_person


class SequenceConflict(StorageError):
    """The stored sequence numbers are not the ones the caller counted on: another writer was here.

    `document` is "wedding/name", or None when the race was decided by the unique guard of the table.
    """

    def __init__(self, message: str, *, document: str | None = None) -> None:
        super().__init__(message)
        self.document = document

    @property
    def weddings(self) -> tuple[str, ...]:
        """The wedding concerned, empty where the error names no document."""
        return () if self.document is None else (self.document.partition("/")[0],)


class AnswerTaken(StorageError):
    """A command of this key was answered before. Nothing of the call is stored; the first answer can be read."""

    def __init__(self, wedding: str, key: str) -> None:
        super().__init__(f"wedding {wedding!r} has an answer to the command {key!r} already")
        self.weddings = (wedding,)
        self.key = key


class NotOwner(StorageError):
    """Another node owns these weddings, or none does. Nothing of the call is stored."""

    def __init__(self, weddings: Iterable[str]) -> None:
        self.weddings = tuple(weddings)
        super().__init__(f"not the owner of {', '.join(map(repr, self.weddings))}")


class CorruptDocument(StorageError):
    """Stored rows of one document have a gap, an overlap, or bytes that do not match their checksum."""

    def __init__(self, document: str, seq: int, reason: str) -> None:
        super().__init__(f"document {document!r} is corrupt at sequence number {seq}: {reason}")
        self.document = document
        self.seq = seq


class SchemaOutdated(StorageError):
    """The database has not the schema of this program."""
