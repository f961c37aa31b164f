// What the scenarios share: one browser, pages in it, and waiting for what they show. Nothing waits for a time.
// Chairs have the number that they have in the document.
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'

export const [server, executablePath, screenshots] = process.argv.slice(2)

/** The name of the scenario that is being played. */
export let scenario = ''

const WAIT_MS = 40_000
// Less than the 15 s after which clients repeat their presence: a lost one must not be made up for by that.
const PRESENCE_MS = 12_000

const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'
  ]
})
const complaints = []
const contexts = []

/** Plays a scenario; every error in a page fails it. Its pages are closed behind it. */
export const play = async (name, run) => {
  scenario = name
  complaints.length = 0
  try {
    await run()
    assert.deepEqual(complaints, [], 'the browser console is quiet')
  } finally {
    await Promise.all(contexts.splice(0).map((context) => context.close()))
  }
}

export const quit = () => browser.close()

/** A page with this URL, of its own browser; `prepare(page)` runs before it is loaded. */
export const browse = async (url, { prepare = () => {}, ...options } = {}) => {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options })
  contexts.push(context)
  context.setDefaultTimeout(WAIT_MS)
  const page = await context.newPage()
  // Pictures are for people and check nothing: `make test-all` takes them.
  if (process.env.CRDT_TEST_PROFILE !== 'all') page.screenshot = async () => {}
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    // A connection that is cut on purpose, and a refusal, are reported by the browser itself.
    if (message.type() === 'error' && !/WebSocket|ERR_(INTERNET_DISCONNECTED|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|CONNECTION_)|status of 40[13]/.test(message.text())) {
      complaints.push(message.text())
    }
  })
  await prepare(page)
  await page.goto(url)
  return page
}

/** The page of the server at a place, loaded. */
export const visit = async (place, { colour = 'rose', ...options } = {}) => {
  const page = await browse(`${server}/#${new URLSearchParams({ colour, ...place })}`, options)
  await saved(page)
  return page
}

/** Waits until the server has stored all edits of a page. */
export const saved = (page) => page.waitForSelector('#saved[data-state=saved]')

/** Waits until exactly these people are listed. */
export const lists = (page, names) => page.waitForFunction((wanted) => {
  const shown = [...document.querySelectorAll('#people .who')].map((who) => who.firstChild.textContent)
  return JSON.stringify(shown.sort()) === wanted
}, JSON.stringify([...names].sort()), { timeout: PRESENCE_MS })

/** Opens a tab of the planner. */
export const tab = async (page, name) => {
  await page.locator(`#tab-${name}`).click()
  await page.waitForSelector(`#panel-${name}:not([hidden])`)
}

/** The row of a timeline item with this title. */
export const item = async (page, title) => {
  const at = await page.waitForFunction((wanted) =>
    [...document.querySelectorAll('#panel-timeline .item')].find((row) => row.querySelector('.title').value === wanted)
      ?.dataset.at, title)
  return page.locator(`[data-at="${await at.jsonValue()}"]`)
}

/** Waits until an input holds a value. */
export const holds = async (locator, value) => {
  await locator.waitFor()
  await locator.page().waitForFunction(([input, wanted]) => input.value === wanted, [await locator.elementHandle(), value])
}

/** Enters a value as a person does. */
export const enter = async (locator, value) => {
  await locator.fill(value)
  await locator.press('Enter')
}

/** A chair of a table. */
export const chair = (page, table, nth) => page.locator(`[aria-label^="Table ${table}, seat ${nth}:"]`)

/** Seats a guest who has no table by two clicks. */
export const seat = async (page, guest, table, nth) => {
  await page.locator('.waiting').getByText(guest, { exact: true }).click()
  await chair(page, table, nth).click()
}

/** Waits until exactly these guests sit on a chair. */
export const sits = (page, table, nth, names) =>
  page.waitForSelector(`[aria-label="Table ${table}, seat ${nth}: ${names.join(' and ') || 'empty'}"]`)

/** Works without a connection, until `online`. */
export const offline = async (page) => {
  await page.locator('#offline').click()
  await page.waitForSelector('#connection[data-state=disconnected]')
}

/** Has a connection again, and has told the server everything. */
export const online = async (page) => {
  await page.locator('#offline').click()
  await saved(page)
}

/** The card of a conflict with this summary. */
export const conflict = (page, summary) => page.locator('.review', { hasText: summary })

/** Decides a conflict. */
export const choose = (page, summary, option) => conflict(page, summary).getByRole('button', { name: option }).click()

/** Whether the page fits the width of its window. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)
