/**
 * Cases of the client package: each in a wedding of its own, one after the other; results are lines of JSON. Waits end by
 * an event.
 */
import 'fake-indexeddb/auto'
import { createHmac } from 'node:crypto'
import WebSocket from 'ws'
import { networkTo } from '../support/network.mjs'

export const client = await import(process.env.CLIENT)
export const { openWedding } = client
export const URL_ = process.env.URL
const SECONDS = Number(process.env.WAIT ?? 60)
process.setMaxListeners(0)

const cases = []
let opened = []

export const test = (name, work) => cases.push([name, work])

/** Resolves with the first value for which `check` holds. */
export const until = (readable, check, what = check) => new Promise((resolve, reject) => {
  let end = () => {}
  const timer = setTimeout(() => { end(); reject(new Error(`not within ${SECONDS} s: ${what}; ${JSON.stringify(last)}`)) }, SECONDS * 1000)
  let last
  end = readable.subscribe((value) => {
    last = value
    if (!check(value)) return
    clearTimeout(timer)
    queueMicrotask(() => end())
    resolve(value)
  })
})

/** The next calls of a listener that `on` takes. */
export const events = (on) => {
  const [come, waiting] = [[], []]
  on((value) => { waiting.length > 0 ? waiting.shift()(value) : come.push(value) })
  return {
    come,
    next: () => (come.length > 0 ? Promise.resolve(come.shift()) : new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no event within ${SECONDS} s`)), SECONDS * 1000)
      waiting.push((value) => { clearTimeout(timer); resolve(value) })
    }))
  }
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token of the server's secret. */
export const token = (claims, seconds = 600) => {
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + seconds, ...claims })}`
  return `${text}.${createHmac('sha256', process.env.SECRET).update(text).digest('base64url')}`
}

/** Opens a wedding as somebody; it is closed when the case ends. */
export const open = async (wedding, dev = { user: 'u_ann', role: 'couple' }, more = {}) => {
  const who = 'token' in more || 'getToken' in more ? {} : { dev }
  const opening = await openWedding(more.url ?? URL_, { wedding, WebSocket, ...who, ...more })
  opened.push(opening)
  return opening
}

/** A network between a client and the server that can be cut. */
export const network = (target = URL_) => networkTo(target)

const report = (name, error) => process.stdout.write(JSON.stringify({ case: name, error }) + '\n')

const inTime = (work) => {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not within ${2 * SECONDS} s`)), 2 * SECONDS * 1000) })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Runs all; those named on the command line where some are. */
export const run = async () => {
  const only = process.argv.slice(2)
  for (const [name, work] of cases) {
    if (only.length > 0 && !only.includes(name)) continue
    opened = []
    const begun = performance.now()
    try {
      await inTime(work('w' + crypto.randomUUID().slice(0, 8)))
      report(name, '')
      if (process.env.TIMES) console.error(name, Math.round(performance.now() - begun))
    } catch (error) {
      report(name, error?.stack ?? String(error))
    }
    await Promise.all(opened.map((each) => each.close()))
  }
  process.exit(0)
}
