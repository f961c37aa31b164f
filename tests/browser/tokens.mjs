// The page of a server that lets nobody in without a token. The middle part of a token here is a role; `/test/expire`
// makes the server refuse the tokens of one, and close its sockets.
import assert from 'node:assert/strict'
import { browse, holds, item, saved, screenshots, server, tab } from './support.mjs'

const WEDDING = 'w'
const MESSAGES = ['messages', 'inbox', 'preferences'] // in every role
const sockets = (urls) => ({ prepare: (page) => page.on('websocket', (socket) => urls.push(socket.url())) })
const open = (fragment, options) => browse(`${server}/#${new URLSearchParams({ wedding: WEDDING, ...fragment })}`, options)
const enterProof = async (page, proof) => {
  await page.locator('#proof').fill(proof)
  await page.locator('#entry button').click()
}
const tabs = (page) => page.locator('[role=tab]:visible').evaluateAll((all) => all.map(({ id }) => id.slice(4)))
const notice = (page, words) => page.locator('#notice', { hasText: words }).waitFor()

export const scenarios = {
  // Without a token the page asks for one, says why one is no good, and then shows what its person may see. A reload
  // asks no more; the address and the copied link hold no token.
  async asked () {
    const urls = []
    const page = await open({}, { ...sockets(urls), permissions: ['clipboard-read', 'clipboard-write'] })
    await page.locator('#entry').waitFor()
    assert.deepEqual(await tabs(page), [])
    await page.screenshot({ path: `${screenshots}/tokens-asked.png` })
    await enterProof(page, 'x.nobody.x')
    await page.locator('#entry-why', { hasText: 'not valid' }).waitFor()
    assert.deepEqual(urls, [])
    await enterProof(page, 'x.family.x')
    await saved(page)
    assert.equal(await page.locator('#entry').isVisible(), false)
    assert.deepEqual(await tabs(page), ['timeline', 'budget', 'guests', 'seating', 'conflicts', ...MESSAGES])
    const opened = urls.map((url) => url.replace(/^.*\/ws\/w\//, ''))
    assert.ok(opened.every((each) => /^(wedding|seating|timeline@team|guests@side\.a|budget@contrib\.g_\w+)\?token=x\.family\.x$/.test(each)), String(opened))
    assert.match(await page.locator('#known-as').textContent(), /, family$/)
    assert.equal(await page.locator('#role').isVisible(), false)
    await page.reload()
    await saved(page)
    await tab(page, 'seating')
    await page.locator('.table').first().waitFor()
    assert.equal(await page.locator('#entry').isVisible(), false)
    await page.locator('#copy').click()
    await page.locator('#copy', { hasText: 'Link copied' }).waitFor()
    for (const shown of [page.url(), await page.evaluate(() => navigator.clipboard.readText())]) {
      assert.match(shown, /wedding=w/)
      assert.doesNotMatch(shown, /token|family|user=/)
    }
  },

  // A token in the address is used and taken out of it. It is this tab's only.
  async address () {
    const page = await open({ token: 'x.couple.x', tab: 'budget' })
    await saved(page)
    assert.deepEqual(await tabs(page), ['timeline', 'budget', 'guests', 'seating', 'conflicts', 'note', ...MESSAGES])
    assert.match(page.url(), /tab=budget/)
    assert.doesNotMatch(page.url(), /token/)
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('x.couple.x')), false)
    const input = page.locator('.money tbody tr input').first()
    await input.waitFor()
    assert.equal(await input.isDisabled(), false)
    const other = await page.context().newPage()
    await other.goto(page.url())
    await other.locator('#entry').waitFor()
  },

  // Somebody who may read but not write sees the fields, and cannot enter anything.
  async reads () {
    const page = await open({ token: 'x.wedding_party.x' })
    await saved(page)
    assert.deepEqual(await tabs(page), ['timeline', 'guests', 'conflicts', ...MESSAGES])
    const row = await item(page, 'Toasts')
    for (const name of ['title', 'start', 'duration', 'place', 'status']) {
      assert.equal(await row.locator(`.${name}`).isDisabled(), true, name)
    }
  },

  // A vendor has the own part of the timeline, and says there how far things are; the couple sees it.
  async vendor () {
    const [page, couple] = await Promise.all(['vendor', 'couple'].map((role) => open({ token: `x.${role}.x` })))
    await Promise.all([saved(page), saved(couple)])
    assert.deepEqual(await tabs(page), ['timeline', ...MESSAGES])
    const flowers = await item(page, 'Table flowers')
    assert.equal(await flowers.locator('.title').isDisabled(), true)
    assert.equal(await (await item(page, 'Ceremony')).locator('.status').isDisabled(), true)
    await flowers.locator('.status').selectOption('ready')
    await holds((await item(couple, 'Table flowers')).locator('.status'), 'ready')
    await saved(page)
    assert.ok(await page.locator('.item').count() < await couple.locator('.item').count())
    await page.screenshot({ path: `${screenshots}/tokens-vendor.png` })
  },

  // A guest has the public part of the timeline and the own answers, and nobody else's.
  async guest () {
    const page = await open({ token: 'x.guest.x', tab: 'guests' })
    await saved(page)
    assert.deepEqual(await tabs(page), ['timeline', 'guests', ...MESSAGES])
    const meal = page.locator('.guests tbody tr select').nth(1)
    await meal.waitFor()
    assert.equal(await meal.isDisabled(), false)
    await meal.selectOption('vegan')
    await saved(page)
    const couple = await open({ token: 'x.couple.x', tab: 'guests' })
    const at = await page.locator('.guests tbody tr').first().getAttribute('data-at')
    await holds(couple.locator(`[data-at="${at}"] select`).nth(1), 'vegan')
  },

  // A serving venue has the floor plan with short names, and moves nobody.
  async venue () {
    const page = await open({ token: 'x.venue.x', tab: 'seating' })
    await saved(page)
    assert.deepEqual(await tabs(page), ['timeline', 'guests', 'seating', ...MESSAGES])
    const taken = page.locator('.chair[data-state=taken]').first()
    await taken.waitFor()
    await taken.click()
    assert.equal(await taken.getAttribute('aria-pressed'), 'false')
    await page.screenshot({ path: `${screenshots}/tokens-venue.png` })
  },

  // A token that runs out: the page asks for another one, and keeps what was written meanwhile.
  async 'runs-out' () {
    const page = await open({ token: 'x.planner.x' })
    await saved(page)
    const row = await item(page, 'Toasts')
    await page.locator('#offline').click()
    await row.locator('.duration').fill('23')
    await row.locator('.duration').press('Enter')
    await page.waitForSelector('#saved[data-state=kept]')
    await page.request.get(`${server}/test/expire/planner`)
    await page.locator('#offline').click()
    await page.locator('#entry-why', { hasText: 'not valid' }).waitFor()
    await enterProof(page, 'y.planner.y')
    await saved(page)
    await page.waitForSelector('#connection[data-state=connected]')
    const other = await open({ token: 'x.couple.x' })
    const seen = await item(other, 'Toasts')
    await other.waitForFunction((input) => input.value === '23', await seen.locator('.duration').elementHandle())
  },

  // Where the server goes on refusing, the page says what that means, and asks the server once.
  async closed () {
    const joins = []
    const prepare = async (page) => {
      page.on('request', (request) => { if (request.url().includes('/join')) joins.push(request) })
      await page.routeWebSocket(/\/ws\/w\/timeline/, (socket) => socket.close({ code: 4403, reason: 'forbidden' }))
    }
    const page = await open({ token: 'x.couple.x' }, { prepare })
    await notice(page, 'timeline: You may not be here')
    assert.equal(joins.length, 2)
    await tab(page, 'budget')
    assert.equal(await page.locator('#entry').isVisible(), false)
  }
}
