// What reached this person: the newest items, and how many are unread, asked for again and again.
import { signal, type ReadonlySignal } from '@preact/signals'
import { keep, kept as keptLast } from './kept.js'
import type { Plan } from './plan.js'
import { poll } from './poll.js'

const PAGE = 50
const LAST = 'inbox'

export interface InboxItem {
  readonly id: number
  readonly type: string
  readonly document: string
  readonly record: string
  readonly at: string
  readonly read_at: string | null
  readonly priority: number
  readonly count: number
  readonly params?: Readonly<Record<string, string>>
}

export interface Inbox {
  readonly items: ReadonlySignal<readonly InboxItem[]>
  readonly unread: ReadonlySignal<number>
  load (): Promise<void>
  readonly hasOlder: ReadonlySignal<boolean>
  /** Loads the items before those that are here. */
  older (): Promise<void>
  /** Marks items as read, up to one. */
  readUpTo (id: number): Promise<void>
  read (id: number): Promise<void>
}

const kept = new WeakMap<Plan, Inbox>()

const follow = ({ wedding }: Plan): Inbox => {
  const items = signal<readonly InboxItem[]>(keptLast<InboxItem[]>(wedding, LAST) ?? [])
  const unread = signal(0)
  const hasOlder = signal(false)
  const load = async (): Promise<void> => {
    try {
      const [page, count] = await Promise.all([wedding.call('GET', 'inbox', { query: { limit: String(PAGE) } }), wedding.call('GET', 'inbox/unread')])
      const behind = page.next === null ? [] : items.value.filter(({ id }) => id < page.next)
      items.value = [...page.items, ...behind]
      if (behind.length === 0) hasOlder.value = page.items.length === PAGE
      unread.value = count.unread
      keep(wedding, LAST, page.items)
    } catch {
      // There is no connection: what was loaded last stays.
    }
  }
  const older = async (): Promise<void> => {
    const before = items.value.at(-1)?.id
    if (before === undefined) return
    const page = await wedding.call('GET', 'inbox', { query: { before: String(before), limit: String(PAGE) } }).catch(() => undefined)
    if (page === undefined) return // there is no connection
    items.value = [...items.value, ...page.items]
    hasOlder.value = page.items.length === PAGE
  }
  const mark = async (body: object): Promise<void> => {
    await wedding.call('POST', 'inbox/read', { body }).catch(() => {}) // it is marked the next time
    await load()
  }
  poll(wedding, load)
  return { items, unread, hasOlder, older, load, readUpTo: (id) => mark({ up_to: id }), read: (id) => mark({ ids: [id] }) }
}

export const inboxOf = (plan: Plan): Inbox => {
  let found = kept.get(plan)
  if (found === undefined) kept.set(plan, found = follow(plan))
  return found
}
