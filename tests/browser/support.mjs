// What the scenarios share: one browser, pages in it, and waiting for what they show. Nothing waits for a time.
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'

export const [server, executablePath, screenshots] = process.argv.slice(2)

/** The name of the scenario that is being played. */
export let scenario = ''

const WAIT_MS = 40_000

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

/** Whether the page fits the width of its window. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)
