// What views show of a wedding beyond its rows: names for ids, who sits where, who comes, and sums of money. Each is made
// when somebody reads it, and again only where its rows have changed.
import { computed, type ReadonlySignal } from '@preact/signals'
import { digitsOf, type rows, type Row, type ValueRow, type Wedding } from 'crdt-server-client'
import { convert, money, roundMoney } from '../format/money.js'
import { formatIn } from '../format/time.js'
import { t } from '../i18n/index.js'
import { rowsOf, valueOf } from './follow.js'

export type Guest = Row<rows.Guest>
export type Table = Row<rows.SeatingTable>
export type Item = Row<rows.TimelineItem>
export type BudgetItem = Row<rows.BudgetItem>
export type Reply = 'yes' | 'no' | 'maybe' | 'pending'

export interface Sitting { readonly guest: string; readonly seat: number | null }
export interface Sums { readonly planned: number; readonly agreed: number; readonly paid: number }

const MAIN_EVENT = 'e_reception'

const byId = <R extends { readonly id: string }>(list: readonly R[]): ReadonlyMap<string, R> => new Map(list.map((row) => [row.id, row]))

const groupBy = <R>(list: readonly R[], key: (row: R) => string): ReadonlyMap<string, readonly R[]> => {
  const groups = new Map<string, R[]>()
  for (const row of list) {
    const group = groups.get(key(row))
    if (group === undefined) groups.set(key(row), [row])
    else group.push(row)
  }
  return groups
}

/** The first and the last name; '' where there is none. */
export const fullName = (guest: Guest | undefined): string =>
  guest === undefined ? '' : [guest.firstName, guest.lastName].filter(Boolean).join(' ') || String((guest as { name?: unknown }).name ?? '')

/** What a table is called: a number needs the word, `Head table` has it or needs none. */
export const tableName = (label: string): string => (/^(\d+\p{L}?|\p{L}?)$/u.test(label.trim()) ? t('table.named', { label }) : label)

export class Plan {
  readonly details = valueOf(this.wedding.details)
  readonly guests = rowsOf(this.wedding.guests)
  readonly households = rowsOf(this.wedding.households)
  readonly care = rowsOf(this.wedding.care)
  readonly tables = rowsOf(this.wedding.seating.tables)
  readonly rules = rowsOf(this.wedding.seating.rules)
  readonly fixtures = rowsOf(this.wedding.seating.fixtures)
  readonly #assigned = rowsOf(this.wedding.seating.seats)
  /** Of the plan for those who serve, with short names. */
  readonly #served = rowsOf(this.wedding.collection<Partial<rows.Seat>>('seating', 'seats'))
  readonly items = rowsOf(this.wedding.timeline)
  readonly events = rowsOf(this.wedding.events)
  readonly places = rowsOf(this.wedding.places)
  readonly vendors = rowsOf(this.wedding.vendors)
  readonly tasks = rowsOf(this.wedding.tasks)
  readonly members = rowsOf(this.wedding.members)
  readonly costs = rowsOf(this.wedding.budget)
  readonly categories = rowsOf(this.wedding.budget.categories)
  readonly payments = rowsOf(this.wedding.budget.payments)
  readonly voids = rowsOf(this.wedding.budget.voids)
  readonly approvals = rowsOf(this.wedding.budget.approvals)
  readonly limits = valueOf(this.wedding.budget.limits)

  readonly currency = computed(() => this.details.value.currency ?? '')
  readonly locale = computed(() => this.details.value.locale || undefined)
  /** Who sits where, by guest. */
  readonly seats: ReadonlySignal<readonly ValueRow<rows.Seat>[]> = computed(() =>
    [...this.#assigned.value, ...this.#served.value.map(({ id, table = '', seat = null }) => ({ id, table, seat }))])
  readonly guestById = computed(() => byId<Guest>([...this.#served.value as readonly Guest[], ...this.guests.value]))
  readonly householdById = computed(() => byId(this.households.value))
  readonly tableById = computed(() => byId(this.tables.value))
  readonly itemById = computed(() => byId(this.items.value))
  readonly placeById = computed(() => byId(this.places.value))
  readonly vendorById = computed(() => byId(this.vendors.value))
  readonly careById = computed(() => byId(this.care.value))
  readonly seatByGuest = computed(() => byId(this.seats.value))
  readonly byHousehold = computed(() => groupBy(this.guests.value, (guest) => guest.household ?? ''))

  /** The event that most is about: the reception, else the longest to which people answer. */
  readonly mainEvent = computed(() => {
    const answered = this.events.value.filter(({ rsvp }) => rsvp === true)
    const longest = [...answered].sort((one, other) => (other.duration ?? 0) - (one.duration ?? 0))[0]
    return answered.find(({ id }) => id === MAIN_EVENT) ?? longest
  })

  /** Who sits at a table, in the order of seats; those without a chair come last. */
  readonly sittings: ReadonlySignal<ReadonlyMap<string, readonly Sitting[]>> = computed(() => {
    const known = this.guestById.value
    const sitting = this.seats.value.filter(({ id }) => known.has(id))
    const groups = groupBy(sitting, ({ table }) => table)
    const inOrder = (list: readonly ValueRow<rows.Seat>[]): Sitting[] =>
      list.map(({ id, seat }) => ({ guest: id, seat })).sort((one, other) => (one.seat ?? Infinity) - (other.seat ?? Infinity) || 0)
    return new Map([...groups].map(([table, list]) => [table, inOrder(list)]))
  })

  /** Guests who may come and have no table. */
  readonly unseated = computed(() => {
    const [seats, tables] = [this.seatByGuest.value, this.tableById.value]
    return this.guests.value.filter((guest) => {
      const seat = seats.get(guest.id)
      return this.replyOf(guest) !== 'no' && guest.kind !== 'infant' && (seat === undefined || !tables.has(seat.table))
    })
  })

  /** Whether replies are open to this person: those who serve have guests without any, and nothing may be concluded. */
  readonly knowsReplies = computed(() =>
    this.wedding.guests.mayWrite() || this.guests.value.some(({ rsvp }) => rsvp !== undefined && Object.keys(rsvp).length > 0))

  readonly replies = computed(() => {
    const counts: Record<Reply, number> = { yes: 0, no: 0, maybe: 0, pending: 0 }
    for (const guest of this.guests.value) counts[this.replyOf(guest)] += 1
    return counts
  })

  /** Payments that count, by item. */
  readonly paidByItem = computed(() => {
    const voided = new Set(this.voids.value.map(({ id }) => id))
    return groupBy(this.payments.value.filter(({ id }) => !voided.has(id)), ({ item }) => item)
  })

  readonly totals: ReadonlySignal<Sums> = computed(() => this.sumsOf(this.costs.value))

  constructor (readonly wedding: Wedding) {}

  replyOf (guest: Guest): Reply {
    const event = this.mainEvent.value
    return (event === undefined ? undefined : guest.rsvp?.[event.id]) ?? 'pending'
  }

  /** Places of a table that nobody has, with a number or without. */
  freeAt ({ id, capacity = 0 }: Table): number {
    return Math.max(capacity - (this.sittings.value.get(id)?.length ?? 0), 0)
  }

  /** A guest as people call them: by name, or by who brings them while nobody knows the name. */
  called (guest: Guest): string {
    const host = fullName(this.#hostOf(guest))
    return fullName(guest) || (host === '' ? t('record.unnamed') : t('guest.broughtBy', { name: host }))
  }

  /** By what guests are sorted: the last name; whoever has no name stands behind who brings them. */
  sortName (guest: Guest): string {
    const host = fullName(guest) === '' ? this.#hostOf(guest) : undefined
    const { lastName = '', firstName = '' } = host ?? guest
    return `${lastName} ${firstName}${host === undefined ? '' : ' \uFFFF'}`
  }

  #hostOf ({ plusOneOf }: Guest): Guest | undefined {
    return plusOneOf === undefined ? undefined : this.guestById.value.get(plusOneOf)
  }

  /** '' for whom we do not know. */
  nameOf (guest: string): string {
    const found = this.guestById.value.get(guest)
    return found === undefined ? '' : this.called(found)
  }

  sumsOf (items: readonly BudgetItem[]): Sums {
    let [planned, agreed, paid] = [0, 0, 0]
    for (const item of items) {
      planned += this.#inBase(item.actual ?? item.quoted ?? item.estimated, item)
      agreed += this.#inBase(item.actual ?? item.quoted, item)
      paid += this.paidFor(item)
    }
    return { planned, agreed, paid }
  }

  paidFor (item: BudgetItem): number {
    const payments = this.paidByItem.value.get(item.id) ?? []
    return payments.reduce((sum, { amount, kind, currency }) =>
      sum + (kind === 'refund' ? -1 : 1) * this.#inBase(amount, { ...item, currency: currency ?? item.currency ?? '' }), 0)
  }

  #inBase (minor: number | undefined, { currency, rate }: Pick<BudgetItem, 'currency' | 'rate'>): number {
    return minor === undefined ? 0 : convert(minor, currency, rate, this.currency.value) ?? 0
  }

  money (minor: number): string {
    return money(minor, this.currency.value, this.locale.value)
  }

  roundMoney (minor: number): string {
    return roundMoney(minor, this.currency.value, this.locale.value)
  }

  /** An amount without its currency, where there is no room for it. */
  figure (minor: number): string {
    const text = (locale?: string): string => Math.round(minor / 10 ** digitsOf(this.currency.value)).toLocaleString(locale)
    try {
      return text(this.locale.value)
    } catch {
      return text() // no such language
    }
  }

  /** The date of today where the wedding is. */
  today (): string {
    return formatIn(this.details.value.timeZone, 'en-CA').format(new Date(this.wedding.now()))
  }
}
