// Conversations without a network: the device keeps those that were active last, also such as nobody has opened here. They
// are fetched one after the other, again when something has happened in them, and deleted when they are not among them.
import type { ThreadSummary, Wedding } from 'crdt-server-client'
import { keep, kept } from './kept.js'

/** The most conversations that are kept without having been opened here. */
const MOST = 30
const FETCHED = 'fetched_threads'

export interface Fetching {
  /** Brings the copy of a conversation up to date. Rejects where the server does not give it. */
  fetch (id: string): Promise<void>
  isOpen (id: string): boolean
}

const activeAt = (thread: ThreadSummary): string => String(thread['active_at'])

export class KeptThreads {
  /** When something had happened last in those that were fetched. */
  readonly #fetched: Record<string, string>
  #isFetching = false

  constructor (readonly wedding: Wedding, readonly threads: Fetching) {
    this.#fetched = { ...kept<Record<string, string>>(wedding, FETCHED) }
  }

  /** Follows a list of the server, the last active first. */
  async follow (list: readonly ThreadSummary[]): Promise<void> {
    if (this.#isFetching) return
    this.#isFetching = true
    try {
      const newest = list.slice(0, MOST)
      await this.#forgetAllBut(new Set(newest.map(({ id }) => id)))
      for (const thread of newest) await this.#fetch(thread)
    } finally {
      this.#isFetching = false
    }
  }

  async #fetch (thread: ThreadSummary): Promise<void> {
    if (this.#fetched[thread.id] === activeAt(thread) || this.wedding.status.get().connection !== 'online') return
    try {
      await this.threads.fetch(thread.id)
    } catch {
      return // it is tried again with the next list
    }
    this.#fetched[thread.id] = activeAt(thread)
    keep(this.wedding, FETCHED, this.#fetched)
  }

  async #forgetAllBut (ids: ReadonlySet<string>): Promise<void> {
    for (const id of Object.keys(this.#fetched)) {
      if (ids.has(id) || this.threads.isOpen(id)) continue
      delete this.#fetched[id]
      keep(this.wedding, FETCHED, this.#fetched)
      await this.wedding.threads.forget(id)
    }
  }
}
