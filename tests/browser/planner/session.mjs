// People who were invited: what the code of an invitation opens, for how long, and who they are. The clock of pages that
// have one of their own goes on by jumps; that of the server does not.
import assert from 'node:assert/strict'
import { server } from '../support.mjs'
import { comeIn, knock, offers, passes, PHONE, saved } from './support.mjs'

const WEDDING = 'w'
const TOKEN_MINUTES = 15
const call = async (path) => (await fetch(`${server}${path}`)).json()

/** A page that has come in with an invitation, with its requests for sessions. */
const invited = async (role, options) => {
  const calls = []
  const prepare = async (page) => {
    page.on('request', (request) => { if (request.url().includes('/api/sessions')) calls.push(new URL(request.url()).pathname) })
    await page.clock.install()
  }
  const code = await call(`/test/invite/${role}`)
  const page = await knock(`/${WEDDING}/overview`, { prepare, ...options })
  await comeIn(page, code.toLowerCase().replaceAll('-', ' '))
  await page.locator('.overview').waitFor()
  await saved(page)
  return { page, code, calls }
}

/** Lets the clock of a page go on until its token is renewed; resolves with the answer. */
const renewed = async (page) => {
  const [answer] = await Promise.all([page.waitForResponse(/\/api\/sessions\/refresh$/), page.clock.runFor((TOKEN_MINUTES - 0.5) * 60_000)])
  return answer
}

export const scenarios = {
  // A code lets in once, and neither it nor who they are is in the address. The tokens that it gives are renewed before
  // they run out, and go on after a reload.
  async invitation () {
    const { page, code, calls } = await invited('planner', { viewport: PHONE })
    const urls = []
    page.on('websocket', (socket) => urls.push(socket.url()))
    const { access_token: token } = await (await renewed(page)).json()
    assert.deepEqual(calls, ['/api/sessions', '/api/sessions/refresh'])
    urls.length = 0
    await page.reload()
    await page.locator('.overview').waitFor()
    await saved(page)
    assert.ok(urls.some((url) => url.includes(`/wedding?token=${token}`)), String(urls)) // others may still be those of before
    assert.match(page.url(), /#\/w\/overview$/)
    const other = await knock(`/${WEDDING}/guests`)
    await comeIn(other, code)
    await other.getByRole('alert').getByText('no invitation that is still good').waitFor()
  },

  // A duplicated tab has the tokens of the first: only the first renews them, so that the device is not taken for stolen.
  async duplicated () {
    const { page, calls } = await invited('couple')
    const [copy] = await Promise.all([page.waitForEvent('popup'), page.evaluate(() => { open(location.href) })])
    await saved(copy)
    const asked = []
    copy.on('request', (request) => { if (request.url().includes('/api/sessions')) asked.push(request.url()) })
    assert.equal((await renewed(page)).status(), 200)
    await saved(page)
    await page.reload()
    await page.locator('.overview').waitFor()
    await saved(page)
    assert.deepEqual(asked, [])
    assert.deepEqual(calls, ['/api/sessions', '/api/sessions/refresh'])
  },

  // Family sees what it may see: no budget, and no notes. Who is removed is told so, on the open page.
  async rights () {
    const { page } = await invited('family')
    await offers(page, 'overview guests arrivals seating timeline tasks vendors conflicts messages settings')
    await passes(page, 'rights')
    await call('/test/remove/family')
    await page.getByText('You are not part of this wedding').waitFor()
    await page.getByLabel('Token or invitation').waitFor()
  },

  // A token in the address is taken out of it. Signing out leads back to the entry, and ends the session of an invitation.
  async token () {
    const { page: first } = await invited('coordinator')
    const token = await first.evaluate(() => JSON.parse(sessionStorage.getItem('wedding-planner.session.w')).token)
    const page = await knock(`token=${token}`)
    await page.locator('.overview').waitFor()
    await saved(page)
    assert.ok(!page.url().includes('token'), page.url())
    await page.getByRole('button', { name: /^You:/ }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token or invitation').waitFor()
    const status = async () => (await fetch(`${server}/api/weddings/${WEDDING}/devices`, { headers: { Authorization: `Bearer ${token}` } })).status
    assert.equal(await status(), 200)
    const ended = first.waitForResponse((response) => response.request().method() === 'DELETE')
    await first.getByRole('button', { name: /^You:/ }).click()
    await first.getByRole('button', { name: 'Sign out' }).click()
    assert.equal((await ended).status(), 204)
    assert.equal(await status(), 401)
  }
}
