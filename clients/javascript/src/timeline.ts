// The running order: moves in time, and emergencies.
import { Records } from './collection.js'
import { UnknownRecord } from './errors.js'
import type { Journal } from './journal.js'
import { byUnit } from './order.js'
import type { Part } from './part.js'
import type { Emergency, TimelineItem } from './schema.js'
import type { Collection, Id, Row, Timeline } from './types.js'

type Item = Row<TimelineItem>

/** As they happen: by start, by order among equals; those without a start come last. */
const byTime = (one: Item, other: Item): number =>
  (one.start ?? Infinity) - (other.start ?? Infinity) || byUnit(one.order ?? '', other.order ?? '') || byUnit(one.id, other.id)

export class TimelineItems extends Records<TimelineItem> implements Timeline {
  readonly emergencies: Collection<Emergency>
  readonly #emergencies: Records<Emergency>

  constructor (part: Part, journal: Journal) {
    super(part, 'items', journal, byTime)
    const newest = (one: Row<Emergency>, other: Row<Emergency>): number => byUnit(other.at ?? '', one.at ?? '') || byUnit(one.id, other.id)
    this.emergencies = this.#emergencies = new Records<Emergency>(part, 'emergencies', journal, newest)
  }

  move (id: Id, to: number | { by: number } | { behind: Id, gap?: number }): void {
    this.update(id, { start: this.#startOf(id, to) })
  }

  #startOf (id: Id, to: number | { by: number } | { behind: Id, gap?: number }): number {
    if (typeof to === 'number') return to
    if ('by' in to) return (this.#item(id).start ?? 0) + to.by
    const { start = 0, duration = 0 } = this.#item(to.behind)
    return start + duration + (to.gap ?? this.#item(id).after?.[to.behind] ?? 0)
  }

  #item (id: Id): Item {
    const found = this.get(id)
    if (found === undefined) throw new UnknownRecord(this.name, id)
    return found
  }

  raise ({ kind, text, severity = 'critical', audience }: Parameters<Timeline['raise']>[0]): Id {
    const shown = audience === undefined ? {} : { audience }
    return this.#emergencies.add({ kind, text, severity, ...shown, ...this.journal.stamp() })
  }

  acknowledge (emergency: Id): void {
    const { at, by } = this.journal.stamp()
    this.#emergencies.update(emergency, { acknowledgedBy: { [by]: at } })
  }
}
