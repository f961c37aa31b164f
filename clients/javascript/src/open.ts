// The way into a wedding: a token, what it opens, and the copies of this device.
import { ServerClock } from './clock.js'
import { Copies } from './copies.js'
import { ServerError } from './errors.js'
import { Api, baseOf, type Joined } from './http.js'
import type { Link } from './replica.js'
import { Session } from './session.js'
import type { OpenOptions, Wedding } from './types.js'
import { OpenWedding } from './wedding.js'

const DAYS = 30
const AGAIN_MS = [500, 1000, 2000, 5000, 10_000]

/**
 * Opens a wedding. Resolves as soon as there is something to show: with `offline`, the copy of this device, also without
 * a network; else what the server has. Rejects with ServerError where the server lets this person not in.
 */
export const openWedding = async (url: string, options: OpenOptions): Promise<Wedding> => {
  const { wedding, offline = false, documents, signal } = options
  if (!wedding) throw new TypeError('which wedding? give its name as wedding')
  const [session, clock] = [new Session(options), new ServerClock()]
  const api = new Api(url, wedding, session, clock)
  const failure = await firstToken(session, signal, offline !== false)
  const days = (offline === true || offline === false ? undefined : offline.days) ?? DAYS
  const copies = offline === false ? undefined : await Copies.open(baseOf(url), wedding, failure === undefined ? session.user : undefined, days, clock.ms())
  const kept = copies?.joined
  if (failure !== undefined && kept === undefined) throw failure
  const joined = kept ?? await join(api, signal)
  if (kept === undefined) await copies?.use(joined, clock.ms())
  const wanted = documents && new Set(documents)
  const opened = new OpenWedding({ api, clock, copies, joined, wanted, WebSocket: socketClass(options) })
  await opened.begin(kept === undefined)
  return opened
}

const socketClass = ({ WebSocket = globalThis.WebSocket }: OpenOptions): Link['WebSocket'] => {
  if (WebSocket === undefined) throw new TypeError('there is no WebSocket here: give the class of the package ws')
  return WebSocket as Link['WebSocket']
}

/**
 * Without a network there may be no token; a copy of this device opens all the same, for the person who was here last.
 * Resolves with why there is none, then; else it is tried again, and rejects after a while.
 */
const firstToken = async (session: Session, signal: AbortSignal | undefined, isOffline: boolean): Promise<Error | undefined> => {
  for (let tries = 0; ; tries++) {
    try {
      await session.begin()
      return undefined
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error))
      if (isOffline && isPassing(failure)) return failure
      if (tries === AGAIN_MS.length) throw failure
      await pause(tries, signal)
    }
  }
}

/** Whether a failure says nothing about this person: there is no network, or the server has no time. */
const isPassing = (failure: Error): boolean =>
  !(failure instanceof ServerError) || [0, 408, 429].includes(failure.status) || failure.status >= 500

const join = async (api: Api, signal: AbortSignal | undefined): Promise<Joined> => {
  for (let tries = 0; ; tries++) {
    try {
      return await api.join()
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      if (error.status === 401 && tries === 0) {
        api.session.refuse(api.session.token)
        if (await api.session.renew()) continue
      }
      if (!isPassing(error)) throw error
      await pause(tries, signal)
    }
  }
}

const pause = (tries: number, signal: AbortSignal | undefined): Promise<void> => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)])
  const abort = (): void => {
    clearTimeout(timer)
    reject(signal?.reason as Error)
  }
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
})
