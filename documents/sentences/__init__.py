"""Sentences for people, in each language there is: what a conflict is about, and what its options do.

A sentence is an id of the catalogue with values of known kinds (`Value`). It is made where something is found, kept as
JSON, and put into words with `to_text` where somebody reads it: so one finding is read in several languages. Nothing
that people read has an id in it: who and what has no name is "a planner", "an item without a title".
"""

from documents.sentences.catalogue import CATALOGUE, LANGUAGES, OTHERWISE, language_of, word
from documents.sentences.formats import exponent
from documents.sentences.model import (
    Sentence,
    Value,
    as_json,
    day,
    field_label,
    length,
    listed,
    moment,
    money,
    of_json,
    part,
    sentence,
    span,
    time,
    unnamed,
    user,
    users_without_name,
    word_of,
)
from documents.sentences.rendering import MAX_CHARACTERS, cut, to_text

__all__ = [
    "CATALOGUE",
    "LANGUAGES",
    "MAX_CHARACTERS",
    "OTHERWISE",
    "Sentence",
    "Value",
    "as_json",
    "cut",
    "day",
    "exponent",
    "field_label",
    "language_of",
    "length",
    "listed",
    "moment",
    "money",
    "of_json",
    "part",
    "sentence",
    "span",
    "time",
    "to_text",
    "unnamed",
    "user",
    "users_without_name",
    "word",
    "word_of",
]
