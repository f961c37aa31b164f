// What the scenarios of the planner share. Each works in a wedding of its own, or on records of its own in `demo`.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { browse, fits, screenshots, server } from '../support.mjs'

export const PHONE = { width: 390, height: 844 }
export const isAll = process.env.CRDT_TEST_PROFILE === 'all'
const DESKTOP = { width: 1440, height: 900 }
const PLAIN = { viewport: DESKTOP, locale: 'en-GB', serviceWorkers: 'block' }
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/**
 * The planner as somebody sees it; a server with --dev believes who that is. `at`: the URL of the server for this page.
 * Service workers are for those who ask for them: most pages live shorter than it takes to keep all files.
 */
export const open = (wedding, view, { name = 'Ann Lee', role = 'couple', person: more = {}, at = server, route = () => {}, ...options } = {}) => {
  const person = JSON.stringify({ user: 'u_' + name.toLowerCase().replace(/\W/g, '_'), name, role, ...more })
  const prepare = async (page) => {
    await route(page)
    await page.addInitScript((kept) => localStorage.setItem('wedding-planner.pretended', kept), person)
  }
  return browse(`${at}/#/${wedding}/${view}`, { ...PLAIN, prepare, ...options })
}

/** The page of a server that wants a token or an invitation; what stands behind the `#` of its address. */
export const knock = (hash, options) => browse(`${server}/#${hash}`, { ...PLAIN, ...options })

/** Shows a token or an invitation. */
export const comeIn = async (page, proof) => {
  await page.getByLabel('Token or invitation').fill(proof)
  await page.getByRole('button', { name: 'Come in' }).click()
}

const setOffline = async (page, isOff) => {
  await page.getByRole('button', { name: /^You:/ }).click()
  await page.getByLabel('Work offline').setChecked(isOff)
  await page.keyboard.press('Escape')
}

/** Works without a connection, until `workOnline`. */
export const workOffline = async (page) => {
  await setOffline(page, true)
  await page.waitForSelector('.saved:is([data-state=offline], [data-state=kept])')
}

/** Has a connection again, and has told the server everything. */
export const workOnline = async (page) => {
  await setOffline(page, false)
  await saved(page)
}

/** The views of the navigation, in their order. */
const views = (page) => page.locator('.side-nav .nav-entry').evaluateAll((all) => all.map(({ hash }) => hash.split('/')[2]).join(' '))

/** Waits until the navigation has exactly these views: rights arrive a moment after the page. */
export const offers = async (page, wanted) => {
  const shown = (names) => [...document.querySelectorAll('.side-nav .nav-entry')].map(({ hash }) => hash.split('/')[2]).join(' ') === names
  await page.waitForFunction(shown, wanted, { timeout: 10_000 }).catch(async () => assert.equal(await views(page), wanted))
}

/** Goes to another view by the address, as its links do, and waits until that is shown: each has a `main` of its own. */
export const go = async (page, wedding, view) => {
  await page.evaluate((hash) => new Promise((resolve) => {
    const before = location.hash.split('/')[2] === hash.split('/')[2] ? null : document.querySelector('main')
    const look = () => { document.querySelector('main') === before ? requestAnimationFrame(look) : resolve() }
    location.hash = hash
    look()
  }), `#/${wedding}/${view}`)
  await page.locator('main:has(.page, .overview)').waitFor()
}

/** Waits until the server has stored all edits of a page. */
export const saved = (page) => page.waitForSelector('.saved[data-state=saved]')

/**
 * Fails where axe finds something, or the page is wider than its window; keeps a picture. An ordinary run has axe look at
 * each view (access.mjs) and at what a scenario says (`hasAxe`), `make test-all` at everything.
 */
export const passes = async (page, name, { state = 'saved', hasAxe = isAll } = {}) => {
  await page.waitForSelector(`.saved[data-state=${state}]`)
  await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {}))))
  await page.screenshot({ path: `${screenshots}/new-${name}.png` })
  assert.ok(await fits(page), `${name} fits`)
  if (!hasAxe) return
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run())
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).slice(0, 3).join(', ')}`), [], name)
}

/** A new wedding from a template, by the first steps that a person takes. */
export const begin = async (page, { title, template = 'Classic day' }) => {
  await page.getByLabel('What is it called?').fill(title)
  await page.getByLabel('Date', { exact: true }).fill('2027-06-19')
  await page.getByLabel('Place', { exact: true }).fill('Old Mill')
  await page.getByLabel('Budget', { exact: true }).fill('30,000')
  await page.getByRole('radio', { name: template }).check()
  await page.getByRole('button', { name: 'Begin planning' }).click()
  await page.getByRole('heading', { level: 1, name: title }).waitFor()
  await saved(page)
}

/** The button that is a record's name. */
export const record = (page, name) => page.locator('.record-name', { hasText: name })

/** Pastes a text on the page, as Ctrl+V does. */
export const pasteText = (page, text) => page.evaluate((pasted) => {
  const clipboardData = new DataTransfer()
  clipboardData.setData('text/plain', pasted)
  document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
}, text)

/** Imports guests from lines of text. */
export const paste = async (page, lines) => {
  await pasteText(page, lines.join('\n'))
  await page.getByRole('button', { name: /^Add [\d,]+ guests?$/ }).click()
  await saved(page)
}
