"""Amounts of money: exact, in minor units, and as people read them."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil
from typing import Final, TypeAlias

Amount: TypeAlias = int | Fraction
"""In minor units of the currency of the wedding."""

_RATE: Final = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII).fullmatch
_EXPONENTS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
                     "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip
"""Digits after the point of currencies that have not two (ISO 4217)."""


def exponent(currency: str) -> int:
    """How many digits the minor unit of a currency is after the point: 2 for GBP, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency, 2)


def converted(amount: int, currency: str, rate: str, base: str) -> Amount | None:
    """Minor units of `base` for minor units of `currency`; None where the rate is missing. Exact."""
    if not currency or currency == base:
        return amount
    if not _RATE(rate):
        return None
    return Fraction(rate) * amount * Fraction(10) ** (exponent(base) - exponent(currency))


def money(amount: Amount, currency: str) -> str:
    """An amount as people read it: `1250.50 GBP`. Fractions of a minor unit are rounded up."""
    digits = exponent(currency)
    minor = ceil(amount)
    sign, minor = "-" if minor < 0 else "", abs(minor)
    text = f"{minor // 10**digits}.{minor % 10**digits:0{digits}}" if digits else str(minor)
    return f"{sign}{text} {currency}".rstrip()
