"""The parts of the page that need no page; the cases are in pure.mjs."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from string import ascii_uppercase

from documents.sentences import exponent

OTHER_THAN_TWO = """
import { exponent } from './crdt_server/web/src/money.js'
const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const codes = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)))
console.log(codes.filter((code) => exponent(code) !== 2).map((code) => code + exponent(code)).join(' '))
"""


def test_the_pure_parts_of_the_page(run_node: Callable[..., str]) -> None:
    run_node("--test", Path(__file__).with_name("pure.mjs"))


def test_the_page_knows_the_same_currencies_as_the_server(run_node: Callable[..., str]) -> None:
    codes = map("".join, product(ascii_uppercase, repeat=3))
    expected = [f"{code}{exponent(code)}" for code in codes if exponent(code) != 2]
    assert run_node("--input-type=module", "--eval", OTHER_THAN_TWO).split() == expected
