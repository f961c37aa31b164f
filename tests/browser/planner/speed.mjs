// How fast the planner is: frames while something is dragged, and how soon a first edit is possible. Each scenario leaves
// its figures as JSON beside the pictures; the machine decides them, so they are not judged here.
import { writeFile } from 'node:fs/promises'
import { networkTo } from '../../support/network.mjs'
import { screenshots, server } from '../support.mjs'
import { open, saved } from './support.mjs'

const SLOWER = 4
const TABLES = 30
const MOVES = 180
const CATEGORIES = ['devtools.timeline', 'disabled-by-default-devtools.timeline.frame']

const figures = (name, measured) => writeFile(`${screenshots}/speed-${name}.json`, JSON.stringify(measured))

/** The page on a processor that is slower. */
const slow = async (page) => {
  await saved(page)
  const session = await page.context().newCDPSession(page)
  await session.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
  return page
}

/** The seating of the sample, 250 guests and 30 tables, on a processor that is slower. */
const room = async () => {
  const page = await open('demo', 'seating')
  await page.locator('.table-top').first().waitFor()
  while (await page.locator('.table').count() < TABLES) {
    const before = await page.locator('.table').count()
    await page.getByLabel('Add a table').fill(`New ${before}`)
    await page.keyboard.press('Enter')
    await page.locator('.table').nth(before).waitFor({ state: 'attached' })
  }
  await page.getByRole('button', { name: 'Show the whole room' }).click()
  return slow(page)
}

const middle = async (locator) => {
  const { x, y, width, height } = await locator.boundingBox()
  return { x: x + width / 2, y: y + height / 2 }
}

/** Time of the main thread by kind of work, in milliseconds for each frame, on the slower processor. */
const workOf = (events, frames) => {
  const sums = {}
  for (const { ph, name, tdur, cat } of events) if (ph === 'X' && tdur && cat.includes('devtools.timeline')) sums[name] = (sums[name] ?? 0) + tdur / 1000
  const most = Object.entries(sums).sort(([, one], [, other]) => other - one).slice(0, 12)
  return Object.fromEntries(most.map(([name, ms]) => [name, Number((ms / frames).toFixed(2))]))
}

/** Moves made in the page, so that there is one for each frame: on a busy machine fewer of the browser's arrive. */
const movesInPage = (page, from) => page.evaluate(([{ x, y }, count]) => new Promise((resolve) => {
  const target = document.elementFromPoint(x, y)
  let at = 0
  const next = () => {
    const angle = (++at / count) * 4 * Math.PI
    const to = { clientX: x + 8 + Math.sin(angle) * 160, clientY: y + 8 + (1 - Math.cos(angle)) * 70 }
    target.dispatchEvent(new PointerEvent('pointermove', { pointerId: 1, bubbles: true, ...to }))
    if (at < count) requestAnimationFrame(next)
    else resolve()
  }
  requestAnimationFrame(next)
}), [from, MOVES])

/** Presses, moves from there and lets go, and counts frames meanwhile. */
const drag = async (page, name, from) => {
  await page.mouse.move(from.x, from.y)
  await page.mouse.down()
  await page.mouse.move(from.x + 8, from.y + 8, { steps: 4 })
  await page.evaluate(() => {
    globalThis.frameTimes = []
    const count = (now) => { globalThis.frameTimes.push(now); globalThis.frameAsked = requestAnimationFrame(count) }
    globalThis.frameAsked = requestAnimationFrame(count)
  })
  const browser = page.context().browser()
  await browser.startTracing(page, { categories: CATEGORIES })
  await page.evaluate(() => { globalThis.frameTimes.length = 0 })
  await movesInPage(page, from)
  const times = await page.evaluate(() => { cancelAnimationFrame(globalThis.frameAsked); return globalThis.frameTimes })
  const { traceEvents } = JSON.parse(await browser.stopTracing())
  await page.mouse.up()
  const gaps = times.slice(1).map((time, at) => time - times[at]).sort((one, other) => one - other)
  const seconds = (times.at(-1) - times[0]) / 1000
  const changed = traceEvents.filter(({ name: event }) => event === 'UpdateLayoutTree').length
  await figures(name, {
    framesPerSecond: Number((gaps.length / seconds).toFixed(1)), changedPerSecond: Number((changed / seconds).toFixed(1)),
    frameMsP50: Math.round(gaps[gaps.length >> 1]), frameMsP95: Math.round(gaps[Math.floor(gaps.length * 0.95)]), longestMs: Math.round(gaps.at(-1)),
    msPerFrame: workOf(traceEvents, times.length)
  })
}

/** From the start of a load until a guest that was typed stands in the list. */
const firstEdit = async (page, name, load) => {
  const begin = performance.now()
  await load()
  const input = page.getByLabel('Add a guest: first and last name')
  await input.waitFor()
  const shown = performance.now()
  const guest = `First Edit ${name}`
  await input.fill(guest)
  await input.press('Enter')
  await page.locator('.record-name', { hasText: guest }).first().waitFor()
  await figures(name, { shownMs: Math.round(shown - begin), editedMs: Math.round(performance.now() - begin) })
}

/** A page that was open before: its files and its wedding are kept on the device. */
const warm = async (options) => {
  const page = await open('demo', 'guests', { serviceWorkers: 'allow', ...options })
  await page.locator('.guest-row').first().waitFor()
  await saved(page)
  await page.evaluate(() => navigator.serviceWorker.ready)
  return page
}

export const scenarios = {
  async 'drag-table' () {
    const page = await room()
    await drag(page, 'drag-table', await middle(page.locator('.table-top').nth(7)))
  },

  async 'drag-guest' () {
    const page = await room()
    await drag(page, 'drag-guest', await middle(page.locator('.chair[data-free=false]').nth(40)))
  },

  async pan () {
    const page = await room()
    const { x, y } = await page.locator('.viewport').boundingBox()
    await drag(page, 'pan', { x: x + 8, y: y + 8 })
  },

  async 'drag-item' () {
    const page = await slow(await open('demo', 'timeline'))
    const item = page.locator('.item[data-rigidity=flex]').first()
    await item.waitFor()
    await drag(page, 'drag-item', await middle(item))
  },

  async 'first-edit' () {
    const page = await warm()
    await firstEdit(page, 'first-edit', () => page.reload({ waitUntil: 'commit' }))
  },

  // The network takes everything and answers nothing: what is kept is shown and can be edited all the same.
  async 'late-network' () {
    const road = await networkTo(server)
    const page = await warm({ at: road.url })
    road.delay()
    await firstEdit(page, 'late-network', () => page.reload({ waitUntil: 'commit' }))
    road.close()
  }
}
