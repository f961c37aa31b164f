// Guests at work.
import assert from 'node:assert/strict'
import { begin, go, open, passes, paste, PHONE, record, saved } from './support.mjs'

const MANY = 1000
const MOST_IN_PAGE = 80

export const scenarios = {
  // A thousand guests: only those in sight are in the page, the last is one search away, several are changed at once.
  async thousand () {
    const ann = await open('thousand', 'overview')
    await begin(ann, { title: 'All of them', template: 'Blank' })
    await go(ann, 'thousand', 'guests')
    await paste(ann, Array.from({ length: MANY }, (_, at) => `Guest ${String(at).padStart(4, '0')}`))
    await ann.locator('.summary', { hasText: '1,000 guests, 0 come' }).waitFor()
    assert.ok(await ann.locator('.guest-row').count() < MOST_IN_PAGE)
    await ann.locator('.virtual').evaluate((list) => { list.scrollTop = list.scrollHeight })
    await record(ann, 'Guest 0999').waitFor()
    await ann.getByRole('searchbox').fill('guest 005')
    await record(ann, 'Guest 0050').waitFor()
    for (const name of ['Guest 0050', 'Guest 0051']) await ann.getByRole('checkbox', { name: `Choose ${name}` }).check()
    await ann.getByRole('toolbar').getByLabel('Reply').selectOption('yes')
    await ann.getByText('1,000 guests, 2 come').waitFor()
    const chosen = (count) => ann.getByRole('toolbar', { name: `${count} chosen` }).waitFor()
    await ann.getByLabel('Choose Guest 0055').click({ modifiers: ['Shift'] })
    await chosen(6)
    await ann.getByLabel('Choose all 10').check()
    await chosen(10)
    await ann.getByRole('toolbar').getByLabel('Side').selectOption('b')
    await ann.getByRole('searchbox').fill('')
    await ann.locator('.filters').getByLabel('Side').selectOption('b')
    await ann.getByLabel('Choose all 10').waitFor()
    await saved(ann)
  },

  async demo () {
    const [ann, phone] = await Promise.all([open('demo', 'guests'), open('demo', 'guests', { name: 'Goran', viewport: PHONE, colorScheme: 'dark' })])
    await passes(ann, 'guests')
    await passes(phone, 'guests-phone')
    await phone.locator('.guest-row .record-name').first().click()
    await ann.locator('.guest-row[data-here=Goran]').waitFor()
    const drawer = phone.getByRole('dialog')
    await drawer.getByRole('button', { name: 'kosher' }).click()
    await drawer.getByLabel('Add an allergy').selectOption('sesame')
    await drawer.getByLabel('Allergy: sesame').selectOption('severe')
    await ann.locator('.guest-row .chip.bad', { hasText: 'sesame' }).first().waitFor()
    await passes(phone, 'guest-drawer-phone')
    await ann.getByRole('searchbox').fill('AKESSON')
    await ann.locator('.guest-row', { hasText: 'Åkesson' }).first().waitFor()
  }
}
