// How fast the planner is: frames while something is dragged, and how soon a first edit is possible. Each scenario leaves
// its figures as JSON beside the pictures; the machine decides them, so they are not judged here.
import { writeFile } from 'node:fs/promises'
import { setInterval } from 'node:timers/promises'
import { networkTo } from '../../support/network.mjs'
import { screenshots, server } from '../support.mjs'
import { open, saved } from './support.mjs'

const SLOWER = 4
const TABLES = 30
const MOVES = 180
const MOVES_PER_SECOND = 60
const CATEGORIES = ['devtools.timeline', 'disabled-by-default-devtools.timeline.frame']

const figures = (name, measured) => writeFile(`${screenshots}/speed-${name}.json`, JSON.stringify(measured))

/** The seating of the sample, 250 guests and 30 tables, on a processor that is slower. */
const room = async (options) => {
  const page = await open('demo', 'seating', options)
  await page.locator('.table-top').first().waitFor()
  while (await page.locator('.table').count() < TABLES) {
    const before = await page.locator('.table').count()
    await page.getByLabel('Add a table').fill(`New ${before}`)
    await page.keyboard.press('Enter')
    await page.locator('.table').nth(before).waitFor({ state: 'attached' })
  }
  await page.getByRole('button', { name: 'Show the whole room' }).click()
  await saved(page)
  const session = await page.context().newCDPSession(page)
  await session.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
  return page
}

const middle = async (locator) => {
  const { x, y, width, height } = await locator.boundingBox()
  return { x: x + width / 2, y: y + height / 2 }
}

/** Time of the main thread by kind of work, in milliseconds for each frame. */
const workOf = (events, frames) => {
  const sums = {}
  for (const { ph, name, tdur, cat } of events) if (ph === 'X' && tdur && cat.includes('devtools.timeline')) sums[name] = (sums[name] ?? 0) + tdur / 1000
  const most = Object.entries(sums).sort(([, one], [, other]) => other - one).slice(0, 12)
  return Object.fromEntries(most.map(([name, ms]) => [name, Number((ms / frames).toFixed(2))]))
}

/** Presses, moves the pointer in circles from there as often as screens show a frame, and lets go. */
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
  const moves = []
  for await (const begin of setInterval(1000 / MOVES_PER_SECOND, performance.now())) {
    const at = Math.round(((performance.now() - begin) / 1000) * MOVES_PER_SECOND)
    const angle = (at / MOVES) * 4 * Math.PI
    moves.push(page.mouse.move(from.x + 8 + Math.sin(angle) * 160, from.y + 8 + (1 - Math.cos(angle)) * 70))
    if (at >= MOVES) break
  }
  await Promise.all(moves)
  const { traceEvents } = JSON.parse(await browser.stopTracing())
  const times = await page.evaluate(() => { cancelAnimationFrame(globalThis.frameAsked); return globalThis.frameTimes })
  await page.mouse.up()
  const drawn = traceEvents.filter(({ name: event }) => event === 'DrawFrame').map(({ ts }) => ts).sort((one, other) => one - other)
  const seconds = (drawn.at(-1) - drawn[0]) / 1e6
  const gaps = times.slice(1).map((time, at) => time - times[at]).sort((one, other) => one - other)
  await figures(name, {
    framesPerSecond: Number(((times.length - 1) / ((times.at(-1) - times[0]) / 1000)).toFixed(1)),
    drawnPerSecond: Number(((drawn.length - 1) / seconds).toFixed(1)), moves: moves.length, frameMsP50: Math.round(gaps[gaps.length >> 1]),
    frameMsP95: Math.round(gaps[Math.floor(gaps.length * 0.95)]), longestMs: Math.round(gaps.at(-1)), seconds: Number(seconds.toFixed(1)),
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
