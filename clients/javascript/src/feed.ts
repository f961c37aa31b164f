// The events of a wedding over server-sent events. A stream that breaks goes on behind the last number that came, so that a
// listener has each event once and in order. `fetch` and not `EventSource`: that sends no token in a header.
import { ServerError } from './errors.js'
import type { Api } from './http.js'
import type { Connection, EventPage, EventOptions, Feed, Listener, Readable, Status, Unsubscribe, WeddingEvent } from './types.js'

const AGAIN_MS = [250, 1000, 2000, 5000, 10_000]
/** The server sends a comment every 15 s. */
const SILENCE_MS = 45_000
const ENDED: readonly Connection[] = ['closed', 'erased', 'forbidden']
const PAUSED: readonly Connection[] = ['offline', 'signed_out']
const FINAL: readonly number[] = [400, 403, 404]

const queryOf = (types: EventOptions['types'] = []): Record<string, string> => (types.length === 0 ? {} : { types: types.join(',') })

export class EventFeed implements Feed {
  constructor (readonly api: Api, readonly status: Readable<Status>, readonly renew: () => Promise<void>) {}

  read ({ after = 0, types, limit }: EventOptions & { limit?: number } = {}): Promise<EventPage> {
    const size = limit === undefined ? {} : { limit: String(limit) }
    return this.api.call('GET', 'events', { query: { after: String(after), ...size, ...queryOf(types) } })
  }

  subscribe (listener: Listener<WeddingEvent>, options: EventOptions = {}): Unsubscribe {
    const stream = new EventStream(this, listener, options)
    return () => stream.end()
  }
}

class EventStream {
  #after: number | undefined
  #reading: AbortController | undefined
  #tries = 0
  #isEnded = false
  readonly #unfollow: Unsubscribe

  constructor (readonly feed: EventFeed, readonly listener: Listener<WeddingEvent>, readonly options: EventOptions) {
    this.#after = options.after
    this.#unfollow = feed.status.subscribe(({ connection }) => this.#turn(connection))
    if (this.#isEnded) this.#unfollow()
  }

  end (): void {
    this.#isEnded = true
    this.#pause()
    this.#unfollow?.() // not there while the constructor runs
  }

  #turn (connection: Connection): void {
    if (this.#isEnded) return
    if (ENDED.includes(connection)) return this.end()
    if (PAUSED.includes(connection)) return this.#pause()
    if (this.#reading === undefined) void this.#run(this.#reading = new AbortController())
  }

  #pause (): void {
    this.#reading?.abort()
    this.#reading = undefined
  }

  /** Reads one stream after the other, until the controller is another one. */
  async #run (controller: AbortController): Promise<void> {
    while (this.#reading === controller) {
      const failure: unknown = await this.#read(controller.signal).catch((error: unknown) => error)
      if (this.#reading !== controller) return
      if (failure instanceof ServerError) await this.#recover(failure)
      await pause(AGAIN_MS[Math.min(this.#tries++, AGAIN_MS.length - 1)]!, controller.signal)
    }
  }

  async #recover (failure: ServerError): Promise<void> {
    if (failure.status === 401) return this.feed.renew()
    if (failure.code === 'events_expired') {
      this.#after = Number(failure.problem['after'])
      return this.options.onExpired?.(this.#after)
    }
    if (!FINAL.includes(failure.status)) return
    this.end()
    this.options.onEnd?.(failure)
  }

  async #read (signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = this.#after === undefined ? {} : { 'Last-Event-ID': String(this.#after) }
    const query = { unnamed: 'true', ...queryOf(this.options.types) }
    const response = await this.feed.api.stream('events/stream', { query, headers, signal })
    const [reader, decoder] = [response.body!.getReader(), new TextDecoder()]
    let rest = ''
    for (;;) {
      const silence = setTimeout(() => { reader.cancel().catch(() => {}) }, SILENCE_MS)
      const { value, done } = await reader.read().finally(() => clearTimeout(silence))
      if (done) return
      this.#tries = 0
      const messages = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = messages.pop()!
      for (const message of messages) if (!signal.aborted) this.#take(message)
    }
  }

  /** One message: its lines are `id: 7` and, where there is something to read, `data: {…}`. */
  #take (message: string): void {
    const fields = new Map(message.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
    const [id, data] = [fields.get('id'), fields.get('data')]
    try {
      if (data !== undefined) this.listener(JSON.parse(data))
    } catch (error) {
      queueMicrotask(() => { throw error })
    }
    if (id !== undefined) this.#after = Number(id)
  }
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds)
  signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
})
