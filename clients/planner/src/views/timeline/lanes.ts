// Items in lanes: which lanes there are, and where items stand in them that happen at the same time.
import { t, word } from '../../i18n/index.js'
import type { Item, Plan } from '../../state/plan.js'

export type LaneBy = 'place' | 'vendor' | 'person'
export type Day = 'before' | 'day' | 'after'

export interface Placed { readonly item: Item; readonly column: number; readonly columns: number }
export interface Lane { readonly id: string; readonly name: string; readonly isSingle: boolean; readonly placed: readonly Placed[]; readonly overlaps: readonly (readonly [from: number, to: number])[] }

const MORNING = 0
const NEXT_MORNING = 28 * 60

/** The night after the wedding belongs to its day. */
export const dayOfItem = ({ start = 0 }: Item): Day => (start < MORNING ? 'before' : start < NEXT_MORNING ? 'day' : 'after')

export const endOf = ({ start = 0, duration = 0 }: Item): number => start + duration

const keysOf = (item: Item, by: LaneBy): readonly string[] => {
  if (by === 'place') return [item.place ?? '']
  const keys = Object.keys((by === 'vendor' ? item.vendors : item.persons) ?? {})
  return keys.length === 0 ? [''] : keys
}

const nameOf = (plan: Plan, by: LaneBy, key: string): string => {
  if (key === '') return t('timeline.nobody')
  if (by === 'place') return plan.placeById.value.get(key)?.name ?? key
  if (by === 'vendor') return plan.vendorById.value.get(key)?.name ?? key
  return plan.nameOf(key) || word('person', key)
}

/** Whether only one thing at a time can be in a lane: people are in one place, rooms may hold several. */
const isSingle = (plan: Plan, by: LaneBy, key: string): boolean => key !== '' && (by !== 'place' || plan.placeById.value.get(key)?.exclusive === true)

/** Items beside each other where they overlap: each run of items that touch shares its columns. */
const place = (items: readonly Item[]): readonly Placed[] => {
  const placed: Placed[] = []
  let run: { item: Item; column: number }[] = []
  let runEnd = -Infinity
  const close = (): void => {
    const columns = Math.max(0, ...run.map(({ column }) => column)) + 1
    placed.push(...run.map((each) => ({ ...each, columns })))
    run = []
  }
  for (const item of items) {
    if ((item.start ?? 0) >= runEnd) close()
    const taken = new Set(run.filter((each) => endOf(each.item) > (item.start ?? 0)).map(({ column }) => column))
    let column = 0
    while (taken.has(column)) column++
    run.push({ item, column })
    runEnd = Math.max(runEnd, endOf(item))
  }
  close()
  return placed
}

const overlapsIn = (items: readonly Item[]): readonly (readonly [number, number])[] => {
  const overlaps: [number, number][] = []
  let end = -Infinity
  for (const item of items.filter(({ rigidity }) => rigidity !== 'buffer')) {
    const start = item.start ?? 0
    if (start < end) overlaps.push([start, Math.min(end, endOf(item))])
    end = Math.max(end, endOf(item))
  }
  return overlaps
}

/** Lanes of the items of a day, the fullest first, those without anything last. Items are in order of time. */
export const lanesOf = (plan: Plan, items: readonly Item[], by: LaneBy): readonly Lane[] => {
  const groups = new Map<string, Item[]>()
  for (const item of items) for (const key of keysOf(item, by)) groups.set(key, [...groups.get(key) ?? [], item])
  return [...groups]
    .sort(([one, a], [other, b]) => Number(one === '') - Number(other === '') || b.length - a.length)
    .map(([id, list]) => ({ id, name: nameOf(plan, by, id), isSingle: isSingle(plan, by, id), placed: place(list), overlaps: overlapsIn(list) }))
}
