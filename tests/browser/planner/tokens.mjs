// A server that lets nobody in without a token. The middle part of a token here is a role; `/test/expire` makes the server
// refuse the tokens of one, and close its sockets.
import assert from 'node:assert/strict'
import { server } from '../support.mjs'
import { comeIn, go, knock, offers, passes, saved, workOffline } from './support.mjs'

const WEDDING = 'w'
const ALL = 'overview guests arrivals seating diets timeline budget tasks vendors conflicts messages notes settings'
/** Of the budget of the sample, which families do not see. */
const SECRET = 'Corkage'
const as = async (role, view = 'overview', options) => {
  const page = await knock(`token=x.${role}.x&wedding=${WEDDING}`, options)
  await saved(page)
  if (view !== 'overview') await go(page, WEDDING, view)
  return page
}
const drawer = (page, title) => page.getByRole('dialog', { name: title })
const openItem = async (page, title) => {
  await page.locator('.item', { hasText: title }).first().click()
  await drawer(page, title).waitFor()
}

export const scenarios = {
  // Without a token the page asks for one, says why one is no good, and then shows what its person may see: nothing else
  // comes to it. A reload asks no more; the address holds no token.
  async asked () {
    const [urls, frames] = [[], []]
    const prepare = (page) => page.on('websocket', (socket) => {
      urls.push(socket.url())
      socket.on('framereceived', ({ payload }) => frames.push(Buffer.from(payload)))
    })
    const page = await knock(`/${WEDDING}/overview`, { prepare })
    await page.getByLabel('Token or invitation').waitFor()
    assert.equal(await page.locator('nav').count(), 0)
    await comeIn(page, 'x.nobody.x')
    await page.getByRole('alert').getByText('not valid').waitFor()
    assert.deepEqual(urls, [])
    await comeIn(page, 'x.family.x')
    await saved(page)
    await offers(page, 'overview guests arrivals seating timeline budget tasks vendors conflicts messages settings')
    const opened = urls.map((url) => url.replace(/^.*\/ws\/w\//, ''))
    assert.ok(opened.every((each) => /^(wedding|seating|timeline@team|guests@side\.a|budget@contrib\.g_\w+)\?.*token=x\.family\.x/.test(each)), String(opened))
    assert.ok(frames.length > 0 && frames.every((frame) => !frame.includes(SECRET)))
    await page.getByRole('button', { name: /^You:/ }).click()
    await page.getByRole('dialog').getByText('family', { exact: true }).first().waitFor()
    assert.equal(await page.getByLabel('Role').count(), 0)
    await page.reload()
    await saved(page)
    await go(page, WEDDING, 'seating')
    await page.locator('.table-top').first().waitFor()
    assert.match(page.url(), /#\/w\/seating$/)
  },

  // A token in the address is used and taken out of it. It is this tab's only.
  async address () {
    const frames = []
    const prepare = (page) => page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => frames.push(Buffer.from(payload))))
    const page = await as('couple', 'budget', { prepare })
    await offers(page, ALL)
    assert.ok(frames.some((frame) => frame.includes(SECRET)))
    assert.doesNotMatch(page.url(), /token/)
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('x.couple.x')), false)
    assert.equal(await page.getByLabel('Add a category').isEnabled(), true)
    const other = await page.context().newPage()
    await other.goto(page.url())
    await other.getByLabel('Token or invitation').waitFor()
  },

  // Somebody who may read but not write sees the fields, and cannot enter anything.
  async reads () {
    const page = await as('wedding_party', 'timeline')
    await offers(page, 'overview guests arrivals timeline tasks vendors conflicts messages settings')
    await openItem(page, 'Toasts')
    for (const label of ['Title', 'Start', 'Length', 'Place', 'Status']) {
      assert.equal(await drawer(page, 'Toasts').getByLabel(label, { exact: true }).isDisabled(), true, label)
    }
    assert.equal(await page.getByLabel('Add an item').count(), 0)
  },

  // A vendor has the own part of the timeline, and says there how far things are; the couple sees it.
  async vendor () {
    const [page, couple] = await Promise.all([as('vendor', 'timeline'), as('couple', 'timeline')])
    await offers(page, 'overview timeline tasks vendors conflicts messages settings')
    await openItem(page, 'Ceremony')
    assert.equal(await drawer(page, 'Ceremony').getByLabel('Status').isDisabled(), true)
    await Promise.all([openItem(page, 'Table flowers'), openItem(couple, 'Table flowers')])
    const status = (each) => drawer(each, 'Table flowers').getByLabel('Status')
    assert.equal(await drawer(page, 'Table flowers').getByLabel('Title').isDisabled(), true)
    await status(page).selectOption('ready')
    await couple.waitForFunction((input) => input.value === 'ready', await status(couple).elementHandle())
    await saved(page)
    assert.ok(await page.locator('.item').count() < await couple.locator('.item').count())
  },

  // A guest has the own answers, and nobody else's. A serving venue has the floor plan with short names, and moves nobody.
  async others () {
    const [guest, venue] = await Promise.all([as('guest', 'guests'), as('venue', 'seating')])
    await offers(guest, 'overview guests arrivals timeline tasks vendors conflicts messages settings')
    await guest.locator('.guest-row .record-name').first().click()
    await guest.getByRole('dialog').getByLabel('Meal').fill('vegan')
    await guest.getByRole('dialog').getByLabel('Meal').press('Enter')
    await saved(guest)
    const couple = await as('couple', `guests/${new URL(guest.url()).hash.split('/')[3]}`)
    await couple.waitForFunction((input) => input.value === 'vegan', await couple.getByRole('dialog').getByLabel('Meal').elementHandle())

    await offers(venue, 'overview guests arrivals seating diets timeline tasks vendors conflicts messages settings')
    const taken = venue.locator('.chair[data-free=false]').first()
    await taken.focus()
    await venue.keyboard.press('Enter')
    assert.equal(await venue.getByText('choose a chair, a table').count(), 0)
    await passes(venue, 'tokens-venue')
  },

  // A token that runs out: the page asks for another one, and keeps what was written meanwhile.
  async 'runs-out' () {
    const page = await as('planner', 'timeline')
    await openItem(page, 'Toasts')
    await workOffline(page)
    await drawer(page, 'Toasts').getByLabel('Length').fill('23')
    await drawer(page, 'Toasts').getByLabel('Length').press('Enter')
    await page.waitForSelector('.saved[data-state=kept]')
    await page.request.get(`${server}/test/expire/planner`)
    await page.getByRole('button', { name: /^You:/ }).click()
    await page.getByLabel('Work offline').click() // unchecked it is gone before anybody could look at it
    await page.getByRole('alert').getByText('not valid').waitFor()
    await comeIn(page, 'y.planner.y')
    await saved(page)
    const other = await as('couple', 'timeline')
    await openItem(other, 'Toasts')
    await other.waitForFunction((input) => input.value === '23 min', await drawer(other, 'Toasts').getByLabel('Length').elementHandle())
  },

  // Where the server goes on refusing one document, the others stay, and the server is asked for the rights again.
  async closed () {
    const joins = []
    const prepare = async (page) => {
      page.on('request', (request) => { if (request.url().includes('/join')) joins.push(request) })
      await page.routeWebSocket(/\/ws\/w\/timeline/, (socket) => socket.close({ code: 4403, reason: 'forbidden' }))
    }
    const page = await knock(`token=x.couple.x&wedding=${WEDDING}`, { prepare })
    await page.locator('.overview').waitFor()
    await go(page, WEDDING, 'budget')
    await page.locator('.category').first().waitFor()
    assert.ok(joins.length > 1) // how often is a matter of time: see tests/client/access.mjs
    assert.equal(await page.getByLabel('Token or invitation').count(), 0)
  }
}
