// Who somebody is: roles and rights, a token, an invitation, and what the address says of it.
import assert from 'node:assert/strict'
import { browse, server } from '../support.mjs'
import { passes, PHONE, saved } from './support.mjs'

const WEDDING = 'w'
const call = async (method, path) => (await fetch(`${server}${path}`, { method })).json()
const DESKTOP = { viewport: { width: 1440, height: 900 }, locale: 'en-GB', serviceWorkers: 'block' }

export const scenarios = {
  // The code of an invitation lets somebody in, across a reload; neither it nor who they are is in the address.
  async invitation () {
    const page = await browse(`${server}/planner#/${WEDDING}/guests`, { ...DESKTOP, viewport: PHONE })
    await page.getByLabel('Token or invitation').fill('not a code')
    await page.getByRole('button', { name: 'Come in' }).click()
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Token or invitation').fill(await call('GET', '/test/invite/planner'))
    await page.getByRole('button', { name: 'Come in' }).click()
    await page.locator('.overview, .guest-row').first().waitFor()
    await page.reload()
    await saved(page)
    assert.match(page.url(), /#\/w\/(overview|guests)$/)
  },

  // Family sees what it may see: no budget, and names that it cannot change.
  async rights () {
    const page = await browse(`${server}/planner#/${WEDDING}/overview`, DESKTOP)
    await page.getByLabel('Token or invitation').fill(await call('GET', '/test/invite/family'))
    await page.getByRole('button', { name: 'Come in' }).click()
    await page.locator('.overview').waitFor()
    await saved(page)
    const views = await page.locator('.side-nav .nav-entry').allTextContents()
    assert.ok(!views.includes('Budget'), String(views))
    await passes(page, 'rights')
    await call('GET', '/test/remove/family')
    await page.getByText('You are not part of this wedding').waitFor()
    await page.getByLabel('Token or invitation').waitFor()
  },

  // A token in the address is taken out of it.
  async token () {
    const invited = await browse(`${server}/planner#/${WEDDING}/overview`, DESKTOP)
    await invited.getByLabel('Token or invitation').fill(await call('GET', '/test/invite/coordinator'))
    await invited.getByRole('button', { name: 'Come in' }).click()
    await invited.locator('.overview').waitFor()
    const token = await invited.evaluate(() => JSON.parse(sessionStorage.getItem('wedding-planner.session.w')).token)
    const page = await browse(`${server}/planner#token=${token}`, DESKTOP)
    await page.locator('.overview').waitFor()
    await saved(page)
    assert.ok(!page.url().includes('token'), page.url())
    await page.getByRole('button', { name: /^You:/ }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token or invitation').waitFor()
  }
}
