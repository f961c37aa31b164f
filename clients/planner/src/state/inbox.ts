// What reached this person: the newest items, and how many are unread, asked for again and again.
import { signal, type ReadonlySignal } from '@preact/signals'
import { valueOf } from './follow.js'
import { keep, kept as keptLast } from './kept.js'
import type { Plan } from './plan.js'

const AGAIN_MS = 15_000
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
  /** Marks items as read, up to one. */
  readUpTo (id: number): Promise<void>
  read (id: number): Promise<void>
}

const kept = new WeakMap<Plan, Inbox>()

const follow = ({ wedding }: Plan): Inbox => {
  const items = signal<readonly InboxItem[]>(keptLast<InboxItem[]>(wedding, LAST) ?? [])
  const unread = signal(0)
  const status = valueOf(wedding.status)
  const load = async (): Promise<void> => {
    try {
      const [page, count] = await Promise.all([wedding.call('GET', 'inbox', { query: { limit: String(PAGE) } }), wedding.call('GET', 'inbox/unread')])
      items.value = page.items
      unread.value = count.unread
      keep(wedding, LAST, page.items)
    } catch {
      // There is no connection: what was loaded last stays.
    }
  }
  const mark = async (body: object): Promise<void> => {
    await wedding.call('POST', 'inbox/read', { body }).catch(() => {}) // it is marked the next time
    await load()
  }
  const again = (): void => {
    if (status.peek().connection !== 'closed') void load().then(() => setTimeout(again, AGAIN_MS))
  }
  again()
  return { items, unread, load, readUpTo: (id) => mark({ up_to: id }), read: (id) => mark({ ids: [id] }) }
}

export const inboxOf = (plan: Plan): Inbox => {
  let found = kept.get(plan)
  if (found === undefined) kept.set(plan, found = follow(plan))
  return found
}
