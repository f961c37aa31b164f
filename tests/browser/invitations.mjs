// The page of people who have an invitation and no token. The clock of the pages goes on by jumps; that of the server
// does not.
import assert from 'node:assert/strict'
import { browse, saved, server } from './support.mjs'

const WEDDING = 'w'
const MESSAGES = ['messages', 'inbox', 'preferences'] // in every role
const TOKEN_MINUTES = 15

/** A page that has come in with an invitation, with its requests for sessions. */
const invited = async (role) => {
  const calls = []
  const prepare = async (page) => {
    page.on('request', (request) => { if (request.url().includes('/api/sessions')) calls.push(new URL(request.url()).pathname) })
    await page.clock.install()
  }
  const code = await (await fetch(`${server}/test/invite/${role}`)).json()
  const page = await browse(`${server}/#wedding=${WEDDING}`, { prepare })
  await page.locator('#proof').fill(code.toLowerCase().replaceAll('-', ' '))
  await page.locator('#entry button').click()
  await page.locator('#connection[data-state=connected]').waitFor()
  await saved(page)
  return { page, code, calls }
}

const shown = (page) => page.locator('[role=tab]:visible').evaluateAll((all) => all.map(({ id }) => id.slice(4)))

export const scenarios = {
  // A code lets in once. The tokens that it gives are renewed before they run out, and go on after a reload.
  async renewed () {
    const { page, code, calls } = await invited('planner')
    assert.equal((await shown(page)).length, 9)
    const urls = []
    page.on('websocket', (socket) => urls.push(socket.url()))
    const answered = page.waitForResponse(/\/api\/sessions\/refresh$/)
    await page.clock.runFor(TOKEN_MINUTES * 60_000 - 30_000)
    const { access_token: token } = await (await answered).json()
    while (!urls.some((url) => url.endsWith(`token=${token}`))) await page.waitForEvent('websocket')
    await page.waitForSelector('#connection[data-state=connected]')
    await saved(page)
    assert.deepEqual(calls, ['/api/sessions', '/api/sessions/refresh'])
    await page.reload()
    await saved(page)
    assert.equal(await page.locator('#entry').isVisible(), false)
    const other = await browse(`${server}/#wedding=${WEDDING}`)
    await other.locator('#proof').fill(code)
    await other.locator('#entry button').click()
    await other.locator('#entry-why', { hasText: 'no invitation that is still good' }).waitFor()
  },

  // A duplicated tab has the tokens of the first: only the first renews them, so that the device is not taken for stolen.
  async duplicated () {
    const { page, calls } = await invited('couple')
    const [copy] = await Promise.all([page.waitForEvent('popup'), page.evaluate(() => { open(location.href) })])
    await saved(copy)
    const asked = []
    copy.on('request', (request) => { if (request.url().includes('/api/sessions')) asked.push(request.url()) })
    const answered = page.waitForResponse(/\/api\/sessions\/refresh$/)
    await page.clock.runFor(TOKEN_MINUTES * 60_000 - 30_000)
    assert.equal((await answered).status(), 200)
    await saved(page)
    await page.reload()
    await saved(page)
    assert.equal(await page.locator('#entry').isVisible(), false)
    assert.deepEqual(asked, [])
    assert.deepEqual(calls, ['/api/sessions', '/api/sessions/refresh'])
  },

  // A member who is removed is told so, on the open page.
  async removed () {
    const { page } = await invited('family')
    assert.deepEqual(await shown(page), ['timeline', 'guests', 'seating', 'conflicts', ...MESSAGES])
    assert.equal((await fetch(`${server}/test/remove/family`)).status, 200)
    await page.locator('#entry-why', { hasText: 'not part of this wedding' }).waitFor()
  }
}
