// Which guests are shown, in which order, and under which headings.
import type { Guest, Plan, Reply } from '../../state/plan.js'
import { folded } from '../../format/text.js'
import { foodOf, hasNeeds, keyOf, tableOf } from '../../state/needs.js'

export type SortBy = 'household' | 'name' | 'reply' | 'table'
export interface Filter {
  readonly search: string
  readonly reply: Reply | ''
  readonly side: string
  readonly needs: '' | 'unseated' | 'care' | 'child'
  /** The key of a meal, diet or allergy. */
  readonly food: string
}

export const NO_FILTER: Filter = { search: '', reply: '', side: '', needs: '', food: '' }

export type ListRow =
  | { readonly sort: 'heading'; readonly id: string; readonly household: string; readonly guests: readonly Guest[] }
  | { readonly sort: 'guest'; readonly id: string; readonly guest: Guest }

const REPLY_ORDER: readonly Reply[] = ['yes', 'maybe', 'pending', 'no']
const byText = new Intl.Collator(undefined, { numeric: true }).compare

export const householdOf = (plan: Plan, guest: Guest): string => plan.householdById.value.get(guest.household ?? '')?.name ?? ''

const matches = (plan: Plan, guest: Guest, { search, reply, side, needs, food }: Filter, unseated: ReadonlySet<string>): boolean => {
  if (reply !== '' && plan.replyOf(guest) !== reply) return false
  if (side !== '' && guest.side !== side) return false
  if (needs === 'unseated' && !unseated.has(guest.id)) return false
  if (needs === 'child' && guest.kind !== 'child' && guest.kind !== 'infant') return false
  if (needs === 'care' && !hasNeeds(plan, guest.id)) return false
  if (food !== '' && !foodOf(plan, guest).some((each) => keyOf(each) === food)) return false
  return search === '' || folded([plan.called(guest), householdOf(plan, guest), guest.email].join(' ')).includes(folded(search))
}

export const guestsShown = (plan: Plan, filter: Filter, sortBy: SortBy): readonly Guest[] => {
  const unseated = new Set(plan.unseated.value.map(({ id }) => id))
  const keys: Readonly<Record<SortBy, (guest: Guest) => string>> = {
    name: (guest) => plan.sortName(guest),
    reply: (guest) => String(REPLY_ORDER.indexOf(plan.replyOf(guest))),
    table: (guest) => tableOf(plan, guest.id) || '\uFFFF',
    household: (guest) => householdOf(plan, guest) || '\uFFFF'
  }
  const keyed = plan.guests.value
    .filter((guest) => matches(plan, guest, filter, unseated))
    .map((guest) => ({ guest, key: keys[sortBy](guest), name: plan.called(guest) }))
  return keyed.sort((one, other) => byText(one.key, other.key) || byText(one.guest.household ?? '', other.guest.household ?? '') || byText(one.name, other.name)).map(({ guest }) => guest)
}

/** The guests from one to another, both included; the other alone where the first is not shown. */
export const between = (guests: readonly Guest[], from: string, to: string): readonly string[] => {
  const ids = guests.map(({ id }) => id)
  const [one, other] = [ids.indexOf(from), ids.indexOf(to)]
  return one < 0 ? [to] : ids.slice(Math.min(one, other), Math.max(one, other) + 1)
}

export const emptyHouseholds = (plan: Plan): readonly string[] =>
  plan.households.value.filter(({ id }) => !plan.byHousehold.value.has(id)).map(({ id }) => id)

/** Guests with a heading in front of each household; behind them the headings of those that have nobody. */
export const underHeadings = (guests: readonly Guest[], isGrouped: boolean, empty: readonly string[]): readonly ListRow[] => {
  const rows: ListRow[] = []
  let heading: { household: string; guests: Guest[] } | undefined
  for (const guest of guests) {
    const household = guest.household ?? ''
    if (isGrouped && heading?.household !== household) {
      heading = { household, guests: [] }
      rows.push({ sort: 'heading', id: `h:${household}`, ...heading })
    }
    heading?.guests.push(guest)
    rows.push({ sort: 'guest', id: guest.id, guest })
  }
  return [...rows, ...empty.map((household): ListRow => ({ sort: 'heading', id: `h:${household}`, household, guests: [] }))]
}
