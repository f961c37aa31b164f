// Tables, and who sits where. Seats are kept by guest: moving one is one write, and an exchange two in one transaction.
import { Records, Values } from './collection.js'
import type { Journal } from './journal.js'
import type { Part } from './part.js'
import type { Fixture, Seat, SeatingRule, SeatingTable } from './schema.js'
import type { Id, Seating } from './types.js'

export class SeatingPlan implements Seating {
  readonly tables: Records<SeatingTable>
  readonly rules: Records<SeatingRule>
  readonly fixtures: Records<Fixture>
  readonly seats: Values<Seat>

  constructor (part: Part, readonly journal: Journal) {
    this.tables = new Records(part, 'tables', journal)
    this.rules = new Records(part, 'rules', journal)
    this.fixtures = new Records(part, 'fixtures', journal)
    this.seats = new Values(part, 'assignments', journal)
  }

  place (guest: Id, table: Id, seat: number | null = null): void {
    this.seats.set(guest, { table, seat })
  }

  unseat (guest: Id): void {
    this.seats.remove(guest)
  }

  swap (one: Id, other: Id): void {
    const [first, second] = [this.seats.get(one), this.seats.get(other)]
    this.journal.batch(() => {
      this.#sit(one, second)
      this.#sit(other, first)
    })
  }

  #sit (guest: Id, at: Seat | undefined): void {
    if (at === undefined) this.unseat(guest)
    else this.place(guest, at.table, at.seat)
  }

  lock (table: Id): void {
    this.tables.update(table, { locked: this.journal.stamp() })
  }

  unlock (table: Id): void {
    this.tables.update(table, { locked: null })
  }
}
