// What the room shows, made from the plan: tables with their chairs and who sits on them, and lines of rules.
import type { Guest, Plan, Table } from '../../state/plan.js'
import { fullName } from '../../state/plan.js'
import { around, chairsOf, positionOf, sizeOf, turned, type Box, type Point } from './geometry.js'

export interface Chair extends Point {
  readonly seat: number
  /** More than one where two were put on one chair. */
  readonly guests: readonly Guest[]
  /** Those have the table, and no chair of their own yet. */
  readonly isLoose: boolean
}

export interface RoomTable extends Point {
  readonly table: Table
  readonly width: number
  readonly height: number
  readonly rotation: number
  readonly chairs: readonly Chair[]
  /** For whom there is no chair left. */
  readonly standing: readonly Guest[]
  readonly taken: number
}

export interface RuleLine { readonly id: string; readonly from: Point; readonly to: Point; readonly kind: string; readonly isBroken: boolean }

/** A table with everybody on a chair: those without one fill the chairs that are free. */
const roomTable = (plan: Plan, table: Table, at: number): RoomTable => {
  const { x, y, rotation = 0 } = positionOf(table, at)
  const known = plan.guestById.value
  const sittings = (plan.sittings.value.get(table.id) ?? []).flatMap(({ guest, seat }) => { const found = known.get(guest); return found ? [{ guest: found, seat }] : [] })
  const places = chairsOf(table).map((point) => turned(point, rotation))
  const numbered = new Map<number, Guest[]>()
  const loose: Guest[] = []
  for (const { guest, seat } of sittings) {
    if (seat === null || seat >= places.length) loose.push(guest)
    else numbered.set(seat, [...numbered.get(seat) ?? [], guest])
  }
  const chairs = places.map((point, seat): Chair => {
    const guests = numbered.get(seat)
    const filler = guests === undefined ? loose.shift() : undefined
    return { ...point, seat, guests: guests ?? (filler ? [filler] : []), isLoose: filler !== undefined }
  })
  return { table, x, y, rotation, ...sizeOf(table), chairs, standing: loose, taken: sittings.length }
}

export const roomTables = (plan: Plan): readonly RoomTable[] => plan.tables.value.map((table, at) => roomTable(plan, table, at))

export const boundsOf = (plan: Plan, tables: readonly RoomTable[]): Box => around([
  ...tables.map(({ x, y, width, height }) => ({ x, y, width: width + 180, height: height + 180 })),
  ...plan.fixtures.value.map(({ position, size }) => ({ x: position?.x ?? 0, y: position?.y ?? 0, width: size?.width ?? 100, height: size?.height ?? 100 }))
])

/** A line between each two of whom a rule speaks and who have chairs; broken where they sit against it. */
export const ruleLines = (plan: Plan, tables: readonly RoomTable[]): readonly RuleLine[] => {
  const places = new Map<string, Point & { readonly table: string }>()
  for (const { x, y, table, chairs } of tables) {
    for (const chair of chairs) for (const guest of chair.guests) places.set(guest.id, { x: x + chair.x, y: y + chair.y, table: table.id })
  }
  return plan.rules.value.filter(({ kind }) => kind === 'together' || kind === 'apart').flatMap(({ id, kind = '', guests = {} }) => {
    const [first, ...others] = Object.keys(guests).flatMap((guest) => places.get(guest) ?? [])
    if (first === undefined) return []
    return others.map((other, at) => ({ id: `${id}-${at}`, from: first, to: other, kind, isBroken: (kind === 'together') !== (first.table === other.table) }))
  })
}

export type ColorBy = 'none' | 'household' | 'side' | 'meal' | 'allergy' | 'reply'
const HUES = 12

const hueOf = (text: string): number => [...text].reduce((sum, character) => (sum * 31 + character.codePointAt(0)!) % 65_521, 7) % HUES

/** A tone of a guest: '' for none, a name of the palette, or the number of a hue. */
export const toneOf = (plan: Plan, guest: Guest, by: ColorBy): string => {
  if (by === 'side') return guest.side === undefined ? '' : `side-${guest.side}`
  if (by === 'reply') return `reply-${plan.replyOf(guest)}`
  if (by === 'household') return guest.household ? `hue-${hueOf(guest.household)}` : ''
  if (by === 'meal') return guest.meal ? `hue-${hueOf(guest.meal)}` : ''
  const allergies = Object.values(plan.careById.value.get(guest.id)?.allergies ?? {})
  if (by === 'allergy' && allergies.length > 0) return allergies.includes('severe') ? 'reply-no' : 'reply-maybe'
  return ''
}

const PLUS_ONE = '+1'

/** What a chair says when it is small. */
export const shortName = (guest: Guest): string => guest.firstName || fullName(guest) || PLUS_ONE
