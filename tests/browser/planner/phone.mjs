// What a phone shows of the sample wedding: nothing lies over another, and nothing is cut off.
import assert from 'node:assert/strict'
import { begin, go, open, PHONE, saved } from './support.mjs'

const small = (view, options) => open('demo', view, { name: 'Dara', viewport: PHONE, hasTouch: true, ...options })

/** Texts of rows that lie over each other. */
const overlaps = (page) => page.locator('.record-list li').evaluateAll((rows) => rows.flatMap((row) => {
  const parts = [...row.querySelectorAll('input, .record-name, .icon-button, span')].filter(({ textContent, tagName }) => textContent !== '' || tagName !== 'SPAN')
  const boxes = parts.map((part) => [part, part.getBoundingClientRect()])
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1)
    .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
    .map(([other]) => `${one.textContent} | ${other.textContent}`))
}))

/** Whether the first element is wholly in the second. */
const isWithin = (inner, outer) => inner.left >= outer.left && inner.right <= outer.right && inner.top >= outer.top && inner.bottom <= outer.bottom

export const scenarios = {
  async rows () {
    const phone = await small('tasks')
    for (const view of ['tasks', 'vendors', 'budget']) {
      await go(phone, 'demo', view)
      await phone.locator('.record-list li').first().waitFor()
      assert.deepEqual(await overlaps(phone), [], view)
    }
    await go(phone, 'demo', 'guests')
    await phone.getByRole('button', { name: /^Guest of / }).first().waitFor() // not nameless: somebody brings them
    assert.equal(await phone.getByText('No name').count(), 0)
    assert.equal(await phone.getByLabel('Show only').isVisible(), false)
    await phone.getByRole('button', { name: 'Filters and order' }).tap()
    const cut = await phone.locator('.filters select').evaluateAll((all) => all.filter((each) => each.clientWidth < 120).map(({ ariaLabel }) => ariaLabel))
    assert.deepEqual(cut, [])
  },

  // The whole room is in the window, also when the list beside it grows; what is held lies over no table.
  async room () {
    const phone = await small('seating')
    await phone.locator('.waiting').first().waitFor()
    const outside = () => phone.evaluate((within) => {
      const frame = document.querySelector('.viewport').getBoundingClientRect()
      const isIn = new Function(`return ${within}`)()
      return [...document.querySelectorAll('.table-top')].filter((top) => !isIn(top.getBoundingClientRect(), frame)).length
    }, String(isWithin))
    const isWhole = async () => { while (await outside() > 0) await phone.evaluate(() => new Promise(requestAnimationFrame)) }
    await isWhole()
    await phone.locator('.waiting:not(.household)').first().tap()
    const [bar, frame] = await Promise.all(['.held', '.viewport'].map((each) => phone.locator(each).boundingBox()))
    assert.ok(bar.y >= frame.y + frame.height, 'the bar is below the room')
    await isWhole()
    // Two guests without Shift, and a rule for them.
    await phone.getByRole('button', { name: 'Choose more guests' }).tap()
    await phone.locator('.waiting:not(.household)').nth(1).tap()
    await phone.getByRole('button', { name: 'Keep apart' }).tap()
    await phone.locator('.toast').getByRole('button', { name: 'Undo' }).tap()
    await saved(phone)
  },

  // On the day there is no number of days.
  async today () {
    const phone = await open('today', 'overview', { viewport: PHONE, hasTouch: true })
    await begin(phone, { title: 'Today' })
    await go(phone, 'today', 'settings')
    await phone.getByLabel('Date', { exact: true }).fill(new Date().toISOString().slice(0, 10)) // of UTC, as the browser is
    await phone.getByLabel('Date', { exact: true }).press('Enter')
    await go(phone, 'today', 'overview')
    await phone.getByText('Today is the day').waitFor()
    assert.equal(await phone.locator('.days').textContent(), ' Today is the day')
  }
}
