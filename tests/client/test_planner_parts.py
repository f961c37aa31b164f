"""The parts of the planner that need no page; the cases are in planner_parts.mjs."""

import json
import os
import subprocess
from itertools import product
from pathlib import Path
from string import ascii_uppercase

import pytest

from documents.sentences import exponent
from documents.sentences.formats import SYMBOLS, amount

BUILD = """
import { build } from 'esbuild'
const [, , root, outfile] = process.argv
const formats = ['format/money', 'format/time', 'format/text']
const messages = ['views/messages/places', 'views/messages/attached']
const state = ['state/notes', 'state/people', 'state/plan']
const parts = [...formats, ...state, 'i18n/index', 'router', 'session/tokens', 'shell/document_name', ...messages]
const client = ['conflicts', 'words'].map((name) => `export * from '../../javascript/src/${name}.js'`)
const planner = parts.map((name) => `export * from './${name}.js'`)
const contents = [...planner, ...client, `export * as Y from 'yjs'`].join('\\n')
await build({
  stdin: { contents, resolveDir: `${root}/clients/planner/src`, loader: 'ts' },
  tsconfig: `${root}/clients/planner/tsconfig.json`, outfile, bundle: true, format: 'esm', platform: 'node'
})
"""
OTHER_THAN_TWO = """
globalThis.navigator ??= { language: 'en-GB', languages: ['en-GB'] }
globalThis.location ??= { hash: '' }
const { exponent } = await import(process.env.PARTS)
const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const codes = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)))
console.log(codes.filter((code) => exponent(code) !== 2).map((code) => code + exponent(code)).join(' '))
"""

AMOUNTS = """
globalThis.navigator ??= { language: 'en-GB', languages: ['en-GB'] }
globalThis.location ??= { hash: '' }
const { money } = await import(process.env.PARTS)
const [, ...currencies] = process.argv
const amounts = currencies.flatMap((currency) => ['en', 'de'].map((language) => money(-158419, currency, language)))
console.log(JSON.stringify(amounts))
"""


@pytest.fixture(scope="module")
def parts(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The parts as one module: its URL."""
    file = tmp_path_factory.mktemp("parts") / "parts.mjs"
    command = ["node", "--input-type=module", "-", str(root), str(file)]
    subprocess.run(command, input=BUILD, cwd=root, text=True, check=True, timeout=60)
    return file.as_uri()


def run(root: Path, parts: str, *arguments: str) -> str:
    done = subprocess.run(
        ["node", *arguments],
        cwd=root,
        env={**os.environ, "PARTS": parts},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_parts_that_need_no_page(root: Path, parts: str) -> None:
    run(root, parts, "--test", str(Path(__file__).with_name("planner_parts.mjs")))


def test_the_planner_knows_the_same_currencies_as_the_server(root: Path, parts: str) -> None:
    codes = map("".join, product(ascii_uppercase, repeat=3))
    expected = [f"{code}{exponent(code)}" for code in codes if exponent(code) != 2]
    assert run(root, parts, "--input-type=module", "--eval", OTHER_THAN_TWO).split() == expected


def test_the_planner_writes_amounts_as_the_server_does(root: Path, parts: str) -> None:
    currencies = [*SYMBOLS, "CHF", "KWD", "SEK"]
    expected = [amount("-158419", currency, language) for currency in currencies for language in ("en", "de")]
    found = json.loads(run(root, parts, "--input-type=module", "--eval", AMOUNTS, *currencies))
    assert [each.replace("\N{NO-BREAK SPACE}", " ") for each in found] == expected
