// Add, rename, remove, restore and undo everywhere, by pointer and keyboard; beginning; import.
import assert from 'node:assert/strict'
import { begin, go, open, passes, paste, pasteText, PHONE, record, saved } from './support.mjs'

// Every kind that has its name in a list: where it is, and the line that adds one.
const LISTED = [
  ['guests', 'Add a guest: first and last name'], ['tasks', 'Add a task'], ['vendors', 'Add a vendor'], ['budget', 'Add a category'],
  ['settings', 'Add an event'], ['settings', 'Add a place']
]

/** Presses Enter; the page has time between its two events, as on a busy machine. */
const pressEnter = async (page, between) => {
  const session = await page.context().newCDPSession(page)
  const send = (type, text) => session.send('Input.dispatchKeyEvent', { type, key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text })
  await send('rawKeyDown')
  await between()
  await send('char', '\r')
  await send('keyUp')
}

export const scenarios = {
  // An empty wedding begins with a name, a date, a place and a template; the other page sees it begin. It begins once.
  async 'from-nothing' () {
    const ann = await open('nothing', 'overview')
    const phone = await open('nothing', 'overview', { name: 'Bao', viewport: PHONE, colorScheme: 'dark' })
    await phone.getByLabel('What is it called?').fill('Not yet')
    await phone.getByLabel('Date', { exact: true }).fill('2027-06-19')
    await phone.getByLabel('Budget', { exact: true }).fill('a lot')
    await phone.getByRole('button', { name: 'Begin planning' }).click()
    await phone.getByRole('alert').waitFor() // an amount that nobody can read is not left out in silence
    await begin(ann, { title: 'Zoë & Noah' })
    await phone.getByRole('heading', { level: 1, name: 'Zoë & Noah' }).waitFor()
    await passes(ann, 'begin')
    await passes(phone, 'begin-phone')
    await go(ann, 'nothing', 'settings')
    await ann.getByRole('region', { name: 'The wedding' }).getByLabel('Time zone').fill('Berlin')
    await ann.keyboard.press('Enter')
    await ann.getByText('There is no such time zone').waitFor()
    await ann.getByRole('region', { name: 'The wedding' }).getByLabel('Time zone').fill('Europe/Berlin')
    await ann.keyboard.press('Enter')
    await ann.getByText('There is no such time zone').waitFor({ state: 'detached' })
    await go(phone, 'nothing', 'seating')
    assert.equal(await phone.locator('.table').count(), 8)
    await go(ann, 'nothing', 'timeline')
    assert.equal(await ann.locator('.item', { hasText: 'Ceremony' }).count(), 1)
    await go(ann, 'nothing', 'budget')
    await ann.getByText('€13,500').first().waitFor()
    await go(ann, 'nothing', 'settings')
    await ann.getByLabel('Date', { exact: true }).fill('') // it is put off, and not begun anew
    await ann.getByRole('heading', { level: 1 }).click()
    await saved(ann)
    await go(ann, 'nothing', 'timeline')
    await ann.locator('.item', { hasText: 'Ceremony' }).waitFor()
  },

  // Without the pointer: typed and added, renamed with F2, removed with Delete, restored from the list.
  async keyboard () {
    const ann = await open('keyboard', 'overview')
    await begin(ann, { title: 'By keyboard', template: 'Blank' })
    assert.equal(await ann.getByText('Everything is done').count(), 0) // nothing was to be done
    await go(ann, 'keyboard', 'seating')
    await ann.getByText('No tables yet').waitFor()
    assert.equal(await ann.getByText('Everybody has a table').count(), 0)
    for (const [view, add] of LISTED) {
      await go(ann, 'keyboard', view)
      await ann.getByLabel(add).focus()
      await ann.keyboard.type('Quite New')
      await ann.keyboard.press('Enter')
      await record(ann, 'Quite New').waitFor()
      await ann.keyboard.press('Control+z') // in the line itself, which is empty again
      await record(ann, 'Quite New').waitFor({ state: 'detached' })
      await ann.keyboard.press('Control+Shift+z')
      await record(ann, 'Quite New').focus()
      await ann.keyboard.press('F2')
      await ann.keyboard.type('Other Name')
      await ann.keyboard.press('Enter')
      await record(ann, 'Other Name').waitFor()
      await record(ann, 'Other Name').focus()
      await ann.keyboard.press('Delete')
      await record(ann, 'Other Name').waitFor({ state: 'detached' })
      await ann.getByRole('button', { name: /^Removed/ }).first().focus()
      await ann.keyboard.press('Enter')
      await ann.getByRole('button', { name: 'Restore' }).focus()
      await ann.keyboard.press('Enter')
      await ann.keyboard.press('Escape')
      await record(ann, 'Other Name').waitFor()
      await record(ann, 'Other Name').focus()
      await ann.keyboard.press('Delete')
      await record(ann, 'Other Name').waitFor({ state: 'detached' })
      await ann.keyboard.press('Control+z')
      await record(ann, 'Other Name').waitFor()
      await ann.keyboard.press('Control+Shift+z')
      await record(ann, 'Other Name').waitFor({ state: 'detached' })
    }
    await saved(ann)
  },

  // The focus is never lost: after a removal it is on the next record, and a dialog gives it back.
  async focus () {
    const ann = await open('focus', 'overview')
    await begin(ann, { title: 'Where am I', template: 'Small party' })
    await go(ann, 'focus', 'tasks')
    const names = ann.locator('.record-name')
    await names.first().focus()
    await ann.keyboard.press('F2')
    await ann.keyboard.type('Renamed')
    await pressEnter(ann, () => ann.locator('.record-name:focus', { hasText: 'Renamed' }).waitFor())
    assert.equal(await ann.getByRole('dialog').count(), 0) // the press is not one of the button too
    const next = await names.nth(1).textContent()
    await ann.keyboard.press('Delete')
    await ann.locator('.record-name:focus', { hasText: next }).waitFor()
    const after = await names.nth(1).textContent()
    await ann.getByRole('button', { name: `Remove ${next}` }).press('Enter')
    await ann.locator('.record-name:focus', { hasText: after }).waitFor()
    await ann.keyboard.press('Enter')
    await ann.getByRole('dialog', { name: after }).getByRole('button', { name: 'Remove' }).press('Enter')
    await ann.locator('#page-title:focus').waitFor()
    await ann.getByRole('button', { name: 'Removed (3)' }).press('Enter')
    await ann.keyboard.press('Escape')
    await ann.locator('button:focus', { hasText: 'Removed (3)' }).waitFor()
    await saved(ann)
  },

  // By pointer: the toast takes a removal back; a drawer changes fields, and what cannot be read is said.
  async pointer () {
    const [ann, bao] = await Promise.all([open('pointer', 'overview'), open('pointer', 'overview', { name: 'Bao' })])
    await begin(ann, { title: 'By pointer', template: 'Small party' })
    await go(bao, 'pointer', 'budget')
    await go(ann, 'pointer', 'budget')
    await ann.getByLabel('Add a cost').first().fill('Hall')
    await ann.getByRole('button', { name: 'Add', exact: true }).click()
    await record(bao, 'Hall').waitFor()
    await record(ann, 'Hall').click()
    const drawer = ann.getByRole('dialog', { name: 'Hall' })
    await drawer.getByLabel('Agreed').fill('much')
    await drawer.getByLabel('Agreed').press('Enter')
    await drawer.getByRole('alert').waitFor()
    await drawer.getByLabel('Agreed').fill('1.250,50')
    await drawer.getByLabel('Agreed').press('Enter')
    await bao.locator('.record-list .amount', { hasText: '1,250.50' }).waitFor()
    await passes(ann, 'drawer')
    await ann.evaluate(() => document.activeElement.blur())
    await ann.keyboard.press('Escape')
    await drawer.waitFor({ state: 'detached' })
    await record(ann, 'Hall').click()
    await drawer.getByRole('button', { name: 'Remove' }).click()
    await record(bao, 'Hall').waitFor({ state: 'detached' })
    await ann.locator('.toast').getByRole('button', { name: 'Undo' }).click()
    await record(bao, 'Hall').waitFor()
  },

  // A pasted table is shown before anything is written; who is there already is left out; one step back takes all away.
  async 'import' () {
    const ann = await open('import', 'overview')
    await begin(ann, { title: 'With a list', template: 'Blank' })
    await go(ann, 'import', 'guests')
    await ann.getByLabel('Add a guest: first and last name').fill('Åsa Berg')
    await ann.keyboard.press('Enter')
    await ann.getByRole('button', { name: 'Import guests' }).click()
    await ann.getByLabel('Paste a list').fill('Vorname;Nachname;Haushalt;Zusage\nAsa;Berg;Berg;ja\n"Bo; jr.";Lee;Lee;ja\nMei;Lee;Lee;nein')
    await ann.getByText('1 is there already').waitFor()
    await ann.getByRole('button', { name: 'Add 2 guests' }).click()
    await record(ann, 'Bo; jr. Lee').waitFor()
    await ann.getByText('3 guests, 1 come').waitFor()
    await passes(ann, 'import')
    await ann.locator('.toast').getByRole('button', { name: 'Undo' }).click()
    await ann.getByText('1 guest,').waitFor()
    await paste(ann, ['Solo One', 'Solo Two'])
    await record(ann, 'Solo Two').waitFor()
    await paste(ann, ['Name\tDiet\tAllergies', 'Eve Food\tvegan\tpeanut'])
    await ann.locator('.guest-row', { hasText: 'Eve Food' }).locator('.chip.bad', { hasText: 'peanut' }).waitFor()
    await ann.locator('.toast').getByRole('button', { name: 'Undo' }).last().click()
    await record(ann, 'Eve Food').waitFor({ state: 'detached' })
    await pasteText(ann, `Name\tPhone\nIda Two\t${'1'.repeat(50)}\nJo Two\t22`)
    await ann.getByText('1 value does not fit a guest').waitFor()
    await ann.getByRole('button', { name: 'Add 2 guests' }).click()
    await record(ann, 'Ida Two').click()
    const drawer = ann.getByRole('dialog', { name: 'Ida Two' })
    await drawer.getByLabel('Add a household').fill('Two')
    await ann.keyboard.press('Enter')
    await ann.locator('.household-heading', { hasText: 'Two' }).waitFor()
    assert.equal(await drawer.getByLabel('Phone').inputValue(), '')
    await saved(ann)
  }
}
