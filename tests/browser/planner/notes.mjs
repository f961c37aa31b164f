// Notes: a text that everybody writes at once. Every scenario works on a note of its own.
import assert from 'node:assert/strict'
import { scenario } from '../support.mjs'
import { go, open, passes, PHONE, saved, workOffline, workOnline } from './support.mjs'

const visit = (name, options) => open('demo', `notes/${scenario}`, { name, ...options })
const area = (page) => page.getByLabel('Text of the note')
const type = (page, text) => area(page).pressSequentially(text)
const textOf = (page) => area(page).inputValue()
const select = (page, start, end) => area(page).evaluate((element, range) => {
  element.focus()
  element.setSelectionRange(...range)
}, [start, end])
/** The server lists a document: what the page shows as saved may be of the moment before the last key. */
const isListed = (page, document) => page.waitForFunction(async (name) => {
  const answer = await fetch('/api/weddings/demo/documents?user=ann&role=couple')
  return (await answer.json()).documents.some((each) => each.name === name)
}, document)
const shows = (page, text) => page.waitForFunction((wanted) => document.querySelector('.note-paper textarea')?.value === wanted, text)
const both = async () => {
  const pages = await Promise.all([visit('Ann Lee'), visit('Chloé 🌸', { colorScheme: 'dark', viewport: PHONE })])
  await Promise.all(pages.map((page) => area(page).waitFor()))
  return pages
}

export const scenarios = {
  // Text and carets are live between two people; undo takes back one's own only, and an emoji is one thing.
  async written () {
    const [ann, chloe] = await both()
    const menu = 'Menu tasting, Thursday 18:00\n\n- the cake: lemon, elderflower 🎂\n'
    await type(ann, menu)
    await shows(chloe, menu)
    await select(chloe, 0, 4)
    await chloe.keyboard.type('Dinner')
    await shows(ann, menu.replace('Menu', 'Dinner'))
    await select(chloe, 8, 15)
    await ann.locator('.caret .flag', { hasText: 'Chloé' }).waitFor({ state: 'attached' })
    await chloe.locator('.caret .flag', { hasText: 'Ann Lee' }).waitFor({ state: 'attached' })
    await ann.getByText('10 words').waitFor()
    await passes(chloe, 'notes-phone', { hasAxe: true })
    await select(chloe, 0, (await textOf(chloe)).length)
    await chloe.keyboard.press('Delete')
    await shows(ann, '')

    await Promise.all([type(ann, 'aaaaaaaaaa'), type(chloe, 'bbbbbbbbbb')])
    await Promise.all([saved(ann), saved(chloe)])
    const text = await textOf(ann)
    await shows(chloe, text)
    assert.equal([...text].sort().join(''), 'aaaaaaaaaabbbbbbbbbb')
    await ann.keyboard.press('Control+z')
    await ann.waitForFunction(() => !document.querySelector('.note-paper textarea').value.includes('a'))
    await shows(chloe, 'bbbbbbbbbb')
    await ann.keyboard.press('Control+Shift+z')
    await shows(chloe, text)
    await select(chloe, 0, 20)
    await chloe.keyboard.insertText('👩‍🚀🎂')
    await shows(ann, '👩‍🚀🎂')
    await select(ann, 5, 7)
    await ann.keyboard.insertText('🎈') // shares its first unit with the other
    await shows(chloe, '👩‍🚀🎈')
    await chloe.close()
    await ann.locator('.caret').waitFor({ state: 'detached' })
    await ann.reload()
    await shows(ann, '👩‍🚀🎈')
  },

  // While an input method composes, the others' edits wait; then both are there. So they are after work without a network.
  async apart () {
    const [ann, bao] = await both()
    await type(ann, 'red wine')
    await shows(bao, 'red wine')
    const keyboard = await ann.context().newCDPSession(ann)
    await select(ann, 4, 4)
    await keyboard.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 })
    await select(bao, 0, 3)
    await bao.keyboard.type('white')
    await saved(bao)
    await shows(ann, 'red にwine')
    await keyboard.send('Input.insertText', { text: '日本' })
    await shows(ann, 'white 日本wine')
    await shows(bao, 'white 日本wine')
    assert.equal(await area(ann).evaluate((element) => element.selectionStart), 8)

    await workOffline(ann)
    await select(ann, 0, 6)
    await ann.keyboard.press('Delete')
    await ann.waitForSelector('.saved[data-state=kept]')
    await select(bao, 12, 12)
    await bao.keyboard.type(' cellar')
    await saved(bao)
    await shows(ann, '日本wine')
    await workOnline(ann)
    await shows(ann, '日本wine cellar')
    await shows(bao, '日本wine cellar')

    // Another note is another document, and its address leads there.
    const another = ann.getByLabel('New note, or the name of another')
    await another.fill('!')
    await ann.getByRole('alert').waitFor()
    await another.fill('Apart, too')
    await ann.keyboard.press('Enter')
    await ann.getByRole('heading', { level: 1, name: 'Apart too' }).waitFor()
    await shows(ann, '')
    assert.match(ann.url(), /#\/demo\/notes\/Apart-too$/)
    await type(ann, 'More')
    await saved(ann)
    await isListed(ann, 'notes.Apart-too')
    // People who come later find it without its name.
    await go(bao, 'demo', 'notes')
    await bao.getByRole('navigation', { name: 'Notes' }).getByRole('link', { name: 'Apart too' }).click()
    await shows(bao, 'More')
    await ann.getByRole('navigation', { name: 'Notes' }).getByRole('link', { name: 'Apart', exact: true }).click()
    await shows(ann, '日本wine cellar')
  }
}
