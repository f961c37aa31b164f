"""`care`: diets, allergies and needs of guests. Apart from `guests`, because fewer people may read it."""

from __future__ import annotations

from collections.abc import Mapping

from documents.fields import Code, Enum, Flag, Instant, Note, String
from documents.kind import Kind, family, key, record, records
from documents.shared import GUEST, USER, Record, meta, review


@record
class Care(Record):
    """The needs of one guest."""

    diets: Mapping[str, bool] = family("diet", Code(), Flag(), "What they eat: `vegan`, `halal`, `kosher`…")
    allergies: Mapping[str, str] = family(
        "allergy", Code(), Enum("mild", "severe"), "What they must not eat, and how bad it would be."
    )
    access: str | None = key(String(), "What they need to get about.")
    seating_need: str | None = key(String(), "Where they have to sit.")
    acknowledged_by: Mapping[str, str] = family(
        "acknowledgedBy", USER, Instant(), "Caterers who have taken note, and when."
    )
    note: str | None = key(Note(), "Medical remarks.")


KIND = Kind(
    "care",
    "Diets, allergies and needs of guests.",
    (meta(), records("care", Care, "What guests need, by guest id.", ids=GUEST), review()),
)
