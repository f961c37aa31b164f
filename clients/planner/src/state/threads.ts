// Conversations: the list as the server has it, loaded anew when a message may have come, how many are unread, and those
// that are open. One in which a message waits to be sent stays open, also behind a reload, until the server has it.
import { computed, signal, type ReadonlySignal } from '@preact/signals'
import type { Thread, ThreadSummary } from 'crdt-server-client'
import { rowsOf } from './follow.js'
import { keep, kept as keptLast } from './kept.js'
import { KeptThreads } from './kept_threads.js'
import type { Plan } from './plan.js'
import { poll } from './poll.js'

const LIST = 'threads'
const WAITING = 'waiting_threads'

export interface ThreadList {
  readonly threads: ReadonlySignal<readonly ThreadSummary[]>
  readonly unread: ReadonlySignal<number>
  /** Loads the list anew; without a connection it stays. */
  load (): Promise<void>
  /** Rejects where this person may not open it. */
  open (id: string): Promise<Thread>
  /** Closes it as soon as nothing in it waits. */
  leave (id: string): void
}

const kept = new WeakMap<Plan, ThreadList>()

export const unreadIn = (thread: ThreadSummary): number => (typeof thread['unread'] === 'number' ? thread['unread'] : 0)

const waits = (thread: Thread): boolean => thread.list().some(({ sequence }) => sequence === undefined)

/** The conversations that are open: by somebody who reads them, or by a message that waits. */
class OpenThreads {
  readonly #open = new Map<string, Thread>()
  readonly #read = new Set<string>()
  #fetched = ''

  constructor (readonly plan: Plan) {
    for (const id of keptLast<string[]>(plan.wedding, WAITING) ?? []) void this.#begin(id).catch(() => {}) // not open to us any more
  }

  async open (id: string): Promise<Thread> {
    this.#read.add(id)
    return this.#begin(id)
  }

  leave (id: string): void {
    this.#read.delete(id)
    this.#settle()
  }

  isOpen (id: string): boolean {
    return this.#open.has(id)
  }

  async fetch (id: string): Promise<void> {
    this.#fetched = id
    try {
      await (await this.#begin(id)).whenSynced()
    } finally {
      this.#fetched = ''
      this.#settle()
    }
  }

  async #begin (id: string): Promise<Thread> {
    const thread = await this.plan.wedding.threads.open(id)
    if (!this.#open.has(id)) {
      this.#open.set(id, thread)
      rowsOf(thread).subscribe(() => this.#settle())
    }
    return thread
  }

  #settle (): void {
    const waiting = [...this.#open].filter(([, thread]) => waits(thread)).map(([id]) => id)
    keep(this.plan.wedding, WAITING, waiting)
    for (const [id, thread] of this.#open) {
      if (this.#read.has(id) || id === this.#fetched || waiting.includes(id)) continue
      this.#open.delete(id)
      thread.close()
    }
  }
}

const follow = (plan: Plan): ThreadList => {
  const { wedding } = plan
  const threads = signal<readonly ThreadSummary[]>(keptLast<ThreadSummary[]>(wedding, LIST) ?? [])
  const unread = computed(() => threads.value.reduce((sum, thread) => sum + unreadIn(thread), 0))
  const open = new OpenThreads(plan)
  const keeper = new KeptThreads(wedding, open)
  const load = async (): Promise<void> => {
    try {
      threads.value = await wedding.threads.list()
      keep(wedding, LIST, threads.value)
      void keeper.follow(threads.value).catch(() => {}) // it is closed meanwhile, or its copies cannot be deleted
    } catch {
      // There is no connection, or nobody of this role has conversations: the list stays as it is.
    }
  }
  poll(wedding, load)
  return { threads, unread, load, open: (id) => open.open(id), leave: (id) => open.leave(id) }
}

export const threadsOf = (plan: Plan): ThreadList => {
  let found = kept.get(plan)
  if (found === undefined) kept.set(plan, found = follow(plan))
  return found
}
