// What follows from moving an item: those that come after it move as far as they must, buffers give way first, and fixed
// ones stay. Pure: the plan shows it before anything is written.
import type { Item } from '../../state/plan.js'

export interface Shift { readonly id: string; readonly start: number; readonly duration: number }
export interface Ripple {
  /** The item itself first. */
  readonly shifts: readonly Shift[]
  /** Fixed items that would have to begin later than they may. */
  readonly blocked: readonly string[]
}

const followersOf = (items: readonly Item[]): ReadonlyMap<string, readonly { readonly item: Item; readonly gap: number }[]> => {
  const followers = new Map<string, { item: Item; gap: number }[]>()
  for (const item of items) {
    for (const [before, gap] of Object.entries(item.after ?? {})) followers.set(before, [...followers.get(before) ?? [], { item, gap }])
  }
  return followers
}

const isFixed = ({ rigidity, status }: Item): boolean => rigidity === 'fixed' || status === 'done' || status === 'live'

/** A buffer keeps its end as long as something of it is left; everything else keeps its length. */
const pushed = ({ id, start = 0, duration = 0, rigidity, minDuration = 0 }: Item, earliest: number): Shift => {
  const left = rigidity === 'buffer' ? Math.max(start + duration - earliest, minDuration) : duration
  return { id, start: earliest, duration: left }
}

export const rippleOf = (items: readonly Item[], moved: Item, start: number): Ripple => {
  const followers = followersOf(items)
  const shifts = new Map<string, Shift>([[moved.id, { id: moved.id, start, duration: moved.duration ?? 0 }]])
  const blocked = new Set<string>()
  const queue = [moved.id]
  for (let turns = 0; queue.length > 0 && turns < items.length * items.length; turns++) {
    const before = shifts.get(queue.shift()!)!
    for (const { item, gap } of followers.get(before.id) ?? []) {
      const earliest = before.start + before.duration + gap
      const now = shifts.get(item.id)?.start ?? item.start ?? 0
      if (now >= earliest || item.id === moved.id) continue
      if (isFixed(item)) {
        blocked.add(item.id)
        continue
      }
      shifts.set(item.id, pushed(item, earliest))
      queue.push(item.id)
    }
  }
  return { shifts: [...shifts.values()], blocked: [...blocked] }
}
