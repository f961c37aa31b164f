"""Names in several scripts and shapes: they find out who counts bytes, folds, sorts and writes right to left."""

# ruff: noqa: RUF001 - the apostrophes and letters are those that people write their names with

from __future__ import annotations

import unicodedata
from typing import Final

FIRST: Final = (
    "Chloé", "Aroha", "Siobhán", "Jürgen", "Renée", "Zoë", "François", "Søren", "Åsa", "Łukasz", "Nguyệt", "Thảo",
    "美咲", "大翔", "Мария", "Фёдор", "ليلى", "יעל", "अनन्या", "Θάλεια", "Mei", "Wei-Lin", "Priya", "Arjun", "Fatima",
    "Omar", "Anne-Marie", "Jean-Luc", "D’Angelo", "Ngozi", "Chukwuemeka", "Lupita", "José", "Inés", "Beyza", "İpek",
    "Óscar", "Bjørn", "Élodie", "Màiri", "Cúán", "Kahurangi", "Leilani", "Oliver", "Amelia", "George", "Isla", "Harry",
    "Ava", "Jack", "Mia", "Noah", "Grace", "Ruth", "Walter", "Edith", "Kim", "Jo", "Bo", "Maximiliane-Alexandra",
)  # fmt: skip
LAST: Final = (
    "O’Brien", "García-Márquez", "Müller", "Nguyễn", "田中", "Фёдоров", "حداد", "McAllister", "van der Berg",
    "de Souza", "Smith", "Jones", "Taylor", "Patel", "Singh", "Kaur", "Okafor", "Adeyemi", "Kowalski", "Nowák", "Çelik",
    "Yılmaz", "Åkesson", "Sørensen", "Þórsdóttir", "Papadopoulos", "כהן", "शर्मा", "Tanaka-Wright", "Kim", "Li",
    "Ó Súilleabháin",
    "MacDonald", "Fitzgerald", "Saint-Exupéry", "D’Amico", "di Lorenzo", "ter Haar", "von Österreich", "Bin Rashid",
    "Al-Masri", "Haddad-Cohen", "Kealoha", "Te Whata", "Brown", "Wilson", "Evans", "Thomas", "Roberts", "Walker",
    "Wright", "Robinson", "Thompson", "White", "Hughes", "Edwards", "Green", "Hall", "Wolfeschlegelsteinhausen", "Ng",
)  # fmt: skip
ONE_WORD: Final = ("Madhuri", "Sukarno", "Björk", "Teller", "Aung")
"""People who have one name."""
NICKNAMES: Final = ("Bee 🐝", "DJ 🎧 Tom", "👩‍🚀 Val")

_PROSE: Final = (
    "allergic aunt arrives asks at balcony before bench big bring by call choir church city coffee cousin dances day "
    "early elderly evening family far ferry flight friend from garden gift grandmother has help her hotel in is keen "
    "knows late leave lift likes little long loves may music near needs never next night not of old on once only plays "
    "prefers quiet remember ride room same seat sees should side sings sister since speaks step Straße café naïve "
    "surprise table tall thank the their them then they three train two until very violin wants was wheelchair which "
    "will window with work 🎻 years"
)
WORDS: Final = tuple(_PROSE.split())


def ascii_slug(name: str) -> str:
    """The letters of a name that an e-mail address may hold, possibly none."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in plain if letter.isascii() and letter.isalnum())
