// Conversations. Titles, participants and read pointers are the server's; the messages are in a document of each thread, so
// that they are written without a connection, too.
import { Rows } from './collection.js'
import { newUlid } from './ids.js'
import { NotOpen } from './errors.js'
import type { Documents } from './connection.js'
import type { Api } from './http.js'
import type { Journal } from './journal.js'
import { frozen, textOf } from './json.js'
import { byUnit } from './order.js'
import type { Part } from './part.js'
import type { Arrival, Json, Message } from './schema.js'
import type { Id, NewThread, Thread, ThreadMessage, ThreadSummary, Threads } from './types.js'

type More = Partial<Omit<Message, 'from' | 'at' | 'body'>>

const PREFIX = 'thread.'
const LAST = Number.MAX_SAFE_INTEGER

/** In the order of arrival; behind them those that the server has not received, by id. */
const byArrival = (one: ThreadMessage, other: ThreadMessage): number =>
  (one.sequence ?? LAST) - (other.sequence ?? LAST) || byUnit(one.id, other.id)

export class OpenThread extends Rows<ThreadMessage> implements Thread {
  readonly id: Id
  readonly #ends: (() => void)[]

  constructor (part: Part, readonly journal: Journal, readonly api: Api, readonly closed: () => Promise<void>) {
    super(part, 'messages')
    this.id = part.name.slice(PREFIX.length)
    const all = (): void => this.forget('all')
    this.#ends = [
      part.watch('stamps', (change) => this.forget(change)),
      part.watch('redactions', (change) => this.forget(change)),
      part.watch('reactions', all)
    ]
  }

  protected read (id: string): ThreadMessage | undefined {
    const value = this.part.map('messages')?.get(id) as Message | undefined
    if (typeof value !== 'object' || value === null) return undefined
    const isRedacted = this.part.map('redactions')?.has(id) ?? false
    const stamp = this.part.map('stamps')?.get(id) as Arrival | undefined
    const shown = isRedacted ? { ...value, body: '', attachments: [] } : value
    return frozen({ ...shown, id, body: textOf(shown, 'body'), isRedacted, sequence: stamp?.sequence, reactions: this.#reactions(id) })
  }

  #reactions (message: Id): Record<string, readonly string[]> {
    const found = new Map<string, string[]>() // somebody may react with `constructor`, which every object has
    for (const key of this.part.map('reactions')?.keys() ?? []) {
      const [of, emoji, user] = key.split('|')
      if (of === message && emoji !== undefined && user !== undefined) found.set(emoji, [...found.get(emoji) ?? [], user])
    }
    return Object.fromEntries(found)
  }

  protected make (): ThreadMessage[] {
    return this.ids().flatMap((id) => this.get(id) ?? []).sort(byArrival)
  }

  send (body: string, more: More = {}): Id {
    const { at, by } = this.journal.stamp()
    const id = newUlid(Date.parse(at))
    const message = { kind: 'text', ...more, from: by, at, body } as unknown as Json
    this.journal.set(this.at(id), null, message)
    return id
  }

  redact (message: Id): void {
    this.journal.set({ part: this.part, root: 'redactions', record: message }, null, this.journal.stamp())
  }

  react (message: Id, emoji: string): void {
    this.journal.set(this.#reaction(message, emoji), null, true)
  }

  unreact (message: Id, emoji: string): void {
    this.journal.set(this.#reaction(message, emoji), null, undefined)
  }

  #reaction (message: Id, emoji: string): { readonly part: Part, readonly root: string, readonly record: string } {
    return { part: this.part, root: 'reactions', record: `${message}|${emoji}|${this.journal.person().id}` }
  }

  whenSynced (): Promise<void> {
    const { replica } = this.part
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (replica?.isSynced) resolve()
        else if (replica === undefined || replica.isClosed || replica.refused !== undefined || replica.status === 'disconnected') reject(new NotOpen(this.part.name))
        else return
        queueMicrotask(() => end?.())
      }
      const end = replica?.state.on(settle)
      settle()
    })
  }

  async markRead (): Promise<void> {
    const newest = this.list().filter(({ sequence }) => sequence !== undefined).at(-1)
    if (newest !== undefined) await this.api.call('PUT', `threads/${encodeURIComponent(this.id)}/read`, { body: { message: newest.id } })
  }

  close (): void {
    for (const end of this.#ends) end()
    void this.closed()
  }
}

export class Conversations implements Threads {
  readonly #open = new Map<Id, Promise<Thread>>()

  constructor (readonly journal: Journal, readonly api: Api, readonly documents: Pick<Documents, 'open' | 'close' | 'forget'>) {}

  async list (): Promise<readonly ThreadSummary[]> {
    const found: ThreadSummary[] = []
    let after = ''
    do {
      const { threads, next } = await this.api.call('GET', 'threads', after === '' ? {} : { query: { after } })
      found.push(...threads)
      after = next ?? ''
    } while (after !== '')
    return found
  }

  async create (thread: NewThread): Promise<Id> {
    const { id } = await this.api.call('POST', 'threads', { body: thread })
    return id
  }

  open (thread: Id): Promise<Thread> {
    const open = this.#open.get(thread)
    if (open !== undefined) return open
    const opening = this.#begin(thread)
    this.#open.set(thread, opening)
    opening.catch(() => this.#open.delete(thread))
    return opening
  }

  async #begin (thread: Id): Promise<Thread> {
    const part = await this.documents.open(PREFIX + thread)
    return new OpenThread(part, this.journal, this.api, () => {
      this.#open.delete(thread)
      return this.documents.close(part.name)
    })
  }

  async forget (thread: Id): Promise<void> {
    this.#open.delete(thread)
    await this.documents.forget(PREFIX + thread)
  }

  async send (thread: Id, body: string, more?: More): Promise<Id> {
    return (await this.open(thread)).send(body, more)
  }
}
