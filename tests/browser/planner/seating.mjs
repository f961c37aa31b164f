// The seating as the room.
import assert from 'node:assert/strict'
import { begin, go, open, passes, paste, PHONE, saved } from './support.mjs'

const chair = (page, table, seat, who) => page.getByRole('button', { name: `Table ${table}, seat ${seat}: ${who}`, exact: true })
const waiting = (page, name) => page.locator('.waiting', { hasText: name })

const guests = ['First name,Last name,Household', 'Ann,Ash,Ash', 'Ben,Ash,Ash', 'Cem,Birch,Birch']

const middle = async (locator) => {
  await locator.scrollIntoViewIfNeeded()
  const { x, y, width, height } = await locator.boundingBox()
  return { x: x + width / 2, y: y + height / 2 }
}

/** Takes something with the mouse and holds it over something else. */
const take = async (page, from, to) => {
  const [begin, end] = [await middle(from), await middle(to)]
  await page.mouse.move(begin.x, begin.y)
  await page.mouse.down()
  await page.mouse.move(end.x, end.y, { steps: 3 })
}

const drag = async (page, from, to) => {
  await take(page, from, to)
  await page.mouse.up()
}

/** As `drag`, with a finger that rests first. */
const dragByTouch = async (page, from, to) => {
  const [begin, end] = [await middle(from), await middle(to)]
  const session = await page.context().newCDPSession(page)
  const touch = (type, ...touchPoints) => session.send('Input.dispatchTouchEvent', { type, touchPoints })
  await touch('touchStart', begin)
  await page.locator('.drag-preview').waitFor()
  await touch('touchMove', { x: (begin.x + end.x) / 2, y: (begin.y + end.y) / 2 })
  await touch('touchMove', end)
  await touch('touchEnd')
}

const room = async (wedding, options = {}) => {
  const [ann, bao] = await Promise.all([open(wedding, 'overview'), open(wedding, 'overview', { name: 'Bao', ...options })])
  await begin(ann, { title: 'The room', template: 'Small party' })
  await go(ann, wedding, 'guests')
  await paste(ann, guests)
  await go(ann, wedding, 'seating')
  await go(bao, wedding, 'seating')
  await waiting(bao, 'Cem Birch').waitFor()
  return [ann, bao]
}

export const scenarios = {
  // A guest is dragged to a chair, exchanged with another by dragging, and taken off by dragging back; another by touch.
  async drag () {
    const [ann, bao] = await room('drag', { hasTouch: true })
    const cem = waiting(ann, 'Cem Birch')
    await take(ann, cem, chair(ann, 1, 1, 'free'))
    await ann.locator('.drag-preview', { hasText: 'Cem Birch' }).waitFor()
    await ann.locator('.chair[data-over=true]').waitFor()
    await ann.keyboard.press('Escape')
    await ann.mouse.up()
    await ann.locator('.drag-preview, [data-dragged], [data-over]').waitFor({ state: 'detached' })
    assert.equal(await cem.getAttribute('aria-pressed'), 'false') // the end of a drag is no click
    await drag(ann, cem, chair(ann, 1, 1, 'free'))
    await chair(bao, 1, 1, 'Cem Birch').waitFor()
    await drag(ann, waiting(ann, 'Ann Ash'), chair(ann, 1, 3, 'free'))
    await drag(ann, chair(ann, 1, 3, 'Ann Ash'), chair(ann, 1, 1, 'Cem Birch'))
    await chair(bao, 1, 1, 'Ann Ash').waitFor()
    await chair(bao, 1, 3, 'Cem Birch').waitFor()
    await passes(ann, 'seating')
    await drag(ann, chair(ann, 1, 3, 'Cem Birch'), ann.getByRole('heading', { name: /To be seated/ }))
    await waiting(bao, 'Cem Birch').waitFor()
    await ann.getByRole('button', { name: 'Undo', exact: true }).first().click()
    await chair(bao, 1, 3, 'Cem Birch').waitFor()
    await dragByTouch(bao, waiting(bao, 'Ben Ash'), chair(bao, 2, 2, 'free'))
    await chair(ann, 2, 2, 'Ben Ash').waitFor()
  },

  // Without dragging: a household is chosen and a table; then a guest and a chair, by keys. Tables move by arrow keys.
  async keyboard () {
    const [ann, bao] = await room('seatkeys')
    await ann.locator('.waiting.household', { hasText: 'Ash' }).focus()
    await ann.keyboard.press('Enter')
    await ann.getByRole('button', { name: 'Table 2, 8 free' }).focus()
    await ann.keyboard.press('Enter')
    await chair(bao, 2, 1, 'Ann Ash').waitFor()
    await chair(bao, 2, 2, 'Ben Ash').waitFor()
    await waiting(ann, 'Cem Birch').focus()
    await ann.keyboard.press('Enter')
    await chair(ann, 2, 5, 'free').focus()
    await ann.keyboard.press('Enter')
    await chair(bao, 2, 5, 'Cem Birch').waitFor()
    const table = bao.getByRole('group', { name: 'Table 3', exact: true })
    const before = await table.evaluate((element) => element.style.top)
    await ann.getByRole('button', { name: 'Table 3, 8 free' }).focus()
    await ann.keyboard.press('ArrowDown')
    await bao.waitForFunction(([element, old]) => element.style.top !== old, [await table.elementHandle(), before])
    await ann.keyboard.press('F2')
    await ann.getByRole('dialog', { name: 'Table 3' }).waitFor()
    await ann.keyboard.type('Kids')
    await ann.keyboard.press('Enter')
    await bao.getByRole('group', { name: 'Kids', exact: true }).waitFor({ state: 'attached' })
    await ann.keyboard.press('Control+z')
    await table.waitFor({ state: 'attached' })
    await saved(ann)
  },

  // Guests at a table without numbers sit on its chairs. Its drawer has all chairs, and all is done there by keys.
  async chairs () {
    const [ann, bao] = await room('chairs')
    await go(ann, 'chairs', 'guests')
    for (const name of ['Ann Ash', 'Ben Ash']) await ann.getByRole('checkbox', { name: `Choose ${name}` }).check()
    await ann.getByLabel('Seat at').selectOption({ label: 'Table 1, 8 free' })
    await bao.getByRole('button', { name: 'Ann Ash, Table 1, no chair yet' }).waitFor()
    await go(ann, 'chairs', 'seating')
    await ann.getByRole('button', { name: 'Table 1, 6 free' }).focus()
    await ann.keyboard.press('Enter')
    const drawer = ann.getByRole('dialog', { name: 'Table 1' })
    await drawer.getByRole('heading', { name: '6 of 8 chairs free' }).waitFor()
    await drawer.getByRole('button', { name: /^Chair [12] Ann Ash no number yet/ }).focus()
    await ann.keyboard.press('Enter')
    await drawer.getByRole('button', { name: /^Chair 5 free/ }).focus()
    await ann.keyboard.press('Enter')
    await chair(bao, 1, 5, 'Ann Ash').waitFor()
    await drawer.getByRole('button', { name: 'Take Ann Ash off the chair' }).focus()
    await ann.keyboard.press('Enter')
    await waiting(bao, 'Ann Ash').waitFor()
    assert.ok(await drawer.getByRole('button', { name: /^Chair 5 free/ }).evaluate((element) => element === document.activeElement))
    await drawer.getByLabel('Seat a guest here').selectOption({ label: 'Cem Birch' })
    await bao.getByRole('button', { name: 'Table 1, 6 free' }).waitFor()
    await passes(ann, 'seating-chairs', { hasAxe: true })
  },

  // A rule is made of two guests; a fixture is added, moved and removed.
  async rules () {
    const [ann, bao] = await room('seatrules')
    await waiting(ann, 'Cem Birch').click()
    await waiting(ann, 'Ann Ash').click({ modifiers: ['Shift'] })
    await ann.getByRole('button', { name: 'Keep apart' }).click()
    await bao.getByRole('button', { name: 'Rules' }).click()
    await bao.getByText('Cem Birch, Ann Ash').or(bao.getByText('Ann Ash, Cem Birch')).waitFor()
    await bao.getByRole('button', { name: 'Remove the rule' }).click()
    await bao.keyboard.press('Escape')
    await ann.getByLabel('Add a dance floor, bar, stage…').fill('Photo booth')
    await ann.keyboard.press('Enter')
    const booth = (page) => page.locator('.fixture', { hasText: 'Photo booth' })
    const before = await booth(bao).evaluate((element) => element.style.top)
    await booth(ann).getByRole('button').focus()
    await ann.keyboard.press('Shift+ArrowDown')
    await bao.waitForFunction(([element, old]) => element.style.top !== old, [await booth(bao).elementHandle(), before])
    await ann.keyboard.press('Delete')
    await booth(bao).waitFor({ state: 'detached' })
    await saved(ann)
  },

  // The plan of the demo on a phone and in the dark: everybody at a table is on a chair, also who has no number.
  async plan () {
    const phone = await open('demo', 'seating', { name: 'Goran', viewport: PHONE, colorScheme: 'dark' })
    await phone.locator('.table-top').first().waitFor()
    await passes(phone, 'seating-phone')
    const wide = await open('demo', 'seating', { colorScheme: 'dark' })
    await wide.locator('.chair[data-loose=true]').first().waitFor()
    const room = wide.locator('.room')
    const before = await room.evaluate((element) => element.style.transform)
    await wide.getByRole('button', { name: 'Zoom in' }).click()
    await wide.waitForFunction(([element, old]) => element.style.transform !== old, [await room.elementHandle(), before])
    await wide.getByLabel('Colour by').selectOption('allergy')
    await wide.locator('.chair.reply-no').first().waitFor()
    await wide.getByRole('button', { name: 'Rules' }).click()
    await wide.getByRole('checkbox', { name: 'Show rules as lines' }).check()
    await passes(wide, 'seating-rules')
    await wide.keyboard.press('Escape')
    await wide.locator('.rules line').first().waitFor({ state: 'attached' })
    await passes(wide, 'seating-dark')
  }
}
