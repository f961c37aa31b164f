// What becomes of guests that are taken to a chair, to a table or off their chairs. By pointer and by keyboard the same.
import { effect, signal } from '@preact/signals'
import { t } from '../../i18n/index.js'
import { tableName, type Plan } from '../../state/plan.js'
import { toast } from '../../ui/toast.js'
import type { Chair, RoomTable } from './room.js'

/** Guests that were chosen to be put somewhere. */
export const held = signal<readonly string[]>([])

/** Whether further guests are chosen beside those that are held, as with Shift; fingers have no Shift. */
export const collects = signal(false)
effect(() => { if (held.value.length === 0) collects.value = false })

/** Chooses guests in place of others, or, with Shift, beside them; the same once more: not any more. */
export const hold = (guests: readonly string[], isMore = false): void => {
  if (isMore || collects.peek()) {
    const rest = held.peek().filter((guest) => !guests.includes(guest))
    held.value = rest.length < held.peek().length ? rest : [...rest, ...guests]
    return
  }
  const isSame = guests.length === held.peek().length && guests.every((guest) => held.peek().includes(guest))
  held.value = isSame ? [] : guests
}

const undoToast = (plan: Plan, text: string): void => toast(text, { action: { label: t('action.undo'), run: () => plan.wedding.undo() } })

/** One guest on a chair: onto a free one, or in exchange with the guest who sits there. */
const onChair = (plan: Plan, guest: string, { table, chairs }: RoomTable, seat: number): void => {
  const { seating } = plan.wedding
  const [there] = chairs[seat]?.guests ?? []
  if (there?.id === guest) return seating.place(guest, table.id, seat)
  if (there === undefined) return seating.place(guest, table.id, seat)
  const mine = seating.seats.get(guest)
  plan.wedding.batch(() => {
    seating.place(guest, table.id, seat)
    if (mine === undefined) seating.unseat(there.id)
    else seating.place(there.id, mine.table, mine.seat)
  })
}

/** Several guests at a table, on its free chairs in their order; without a chair where none is left. */
const atTable = (plan: Plan, guests: readonly string[], { table, chairs }: RoomTable): void => {
  const free = chairs.filter((chair) => chair.guests.every(({ id }) => guests.includes(id)) || chair.guests.length === 0).map(({ seat }) => seat)
  plan.wedding.batch(() => { for (const guest of guests) plan.wedding.seating.place(guest, table.id, free.shift() ?? null) })
}

/** Puts guests on a chair of a table; without a chair at the table. */
export const put = (plan: Plan, guests: readonly string[], at: RoomTable, seat?: number): void => {
  held.value = []
  if (guests.length === 0 || !plan.wedding.seating.seats.mayWrite()) return
  if (guests.length === 1 && seat !== undefined) return onChair(plan, guests[0]!, at, seat)
  atTable(plan, guests, at)
  if (at.taken + guests.length > at.chairs.length) undoToast(plan, t('seating.full', { table: tableName(at.table.label ?? '') }))
}

/** A press on a chair: those who are chosen are put there; where nobody is, or with Shift, the guest there is chosen. */
export const pressChair = (plan: Plan, at: RoomTable, { seat, guests: [guest] }: Chair, isMore: boolean): void => {
  const isHeld = guest !== undefined && held.value.includes(guest.id)
  const isAdded = guest !== undefined && (isMore || collects.value)
  if (held.value.length > 0 && !isAdded && !isHeld) put(plan, held.value, at, seat)
  else if (guest !== undefined && plan.wedding.seating.seats.mayWrite(guest.id)) hold([guest.id], isMore)
}

export const takeOff = (plan: Plan, guests: readonly string[]): void => {
  held.value = []
  plan.wedding.batch(() => { for (const guest of guests) if (plan.wedding.seating.seats.get(guest) !== undefined) plan.wedding.seating.unseat(guest) })
}
