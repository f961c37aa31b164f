"""Lists of guests as files: what is exported is imported again as it was, and no spreadsheet takes a part of it for a
formula."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = r"""
import assert from 'node:assert/strict'
import { build } from 'esbuild'

const source = './clients/planner/src'
const contents = `
  export { draftsOf, sheetOf } from '${source}/views/guests/csv'
  export { textOf, toCsv } from '${source}/format/csv'`
globalThis.navigator = { languages: ['en'], language: 'en' }
const stdin = { contents, resolveDir: '.' }
const { outputFiles: [{ text }] } = await build({ stdin, bundle: true, format: 'esm', write: false })
const { draftsOf, sheetOf, textOf, toCsv } = await import('data:text/javascript,' + encodeURIComponent(text))
const again = (row) => sheetOf(toCsv([['firstName', 'phone'], row])).rows[0]

const number = '+64 (21) 123-4567'
assert.equal(toCsv([[number]]), `\uFEFF${number}\r\n`)
const formulas = ['=1+1', '-1', '+cmd|x', '@SUM(A1)', '\uff1d1', 'Ann;=1+1', 'Ann\t=1+1', 'Ann\r=1+1', '; =1+1']
for (const name of [...formulas, '"=1', "O'Neil, Ann"]) {
  const file = toCsv([[name]])
  assert.doesNotMatch(file.slice(1), /(^|[;\t\r\n]) *[=+\-@\uff1d]/, JSON.stringify(file))
  assert.ok(!/[;\t\r]/.test(name) || file.startsWith('\uFEFF"'), JSON.stringify(file))
  assert.deepEqual(again([name, number]), [name, number])
}
const files = {
  latin1: ['Jürgen;Groß\r\n'],
  utf8: ['Jürgen;Groß\n', '\uFEFFJürgen,Groß\r\n'],
  utf16le: ['\uFEFFJürgen\tGroß\r'],
}
for (const [encoding, texts] of Object.entries(files)) {
  for (const text of texts) {
    const sheet = sheetOf(await textOf(new Blob([Buffer.from(text + text, encoding)])))
    assert.deepEqual(sheet.rows[1], ['Jürgen', 'Groß'], encoding)
  }
}
assert.deepEqual(draftsOf(sheetOf('name,email\n,a@b.c\nAnn,a@b.c')).map(({ row }) => row), [1])
const [beef, hare] = draftsOf(sheetOf('Vorname;Menü;Alter;Rückmeldung\nJo;Rind;Kind;zugesagt\nIda;Hase;;'))
assert.deepEqual([beef.fields, beef.rsvp, hare.fields], [{ meal: 'beef', kind: 'child' }, 'yes', { meal: 'hase' }])
// As an export has them.
for (const [side, age, reply] of [['Seite B', 'Kind', 'vielleicht'], ['Side B', 'child', 'maybe']]) {
  const [{ fields, rsvp }] = draftsOf(sheetOf(`First name,Side,Age,Reply\nJo,${side},${age},${reply}`))
  assert.deepEqual([fields, rsvp], [{ side: 'b', kind: 'child' }, 'maybe'])
}
const [needs] = draftsOf(sheetOf('Vorname;Ernährung;Allergien\nJo;vegan, glutenfrei;Erdnuss / Kiwi;'))
assert.deepEqual([needs.diets, needs.allergies], [['vegan', 'gluten_free'], ['peanut', 'kiwi']])
assert.deepEqual(sheetOf('Constructor').columns, ['name'])
assert.equal(sheetOf('Ann\n'.repeat(200_000)).rows.length, 200_000)
"""


def test_a_list_is_exported_without_formulas_and_imported_as_it_was(root: Path) -> None:
    command = ["node", "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
