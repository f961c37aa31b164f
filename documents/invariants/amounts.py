"""Amounts of money: exact, in minor units."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, TypeAlias

from documents.sentences.formats import exponent

Amount: TypeAlias = int | Fraction
"""In minor units of the currency of the wedding."""

_RATE: Final = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII).fullmatch


def converted(amount: int, currency: str, rate: str, base: str) -> Amount | None:
    """Minor units of `base` for minor units of `currency`; None where the rate is missing. Exact."""
    if not currency or currency == base:
        return amount
    if not _RATE(rate):
        return None
    return Fraction(rate) * amount * Fraction(10) ** (exponent(base) - exponent(currency))
