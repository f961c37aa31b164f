// A root that is one record: the settings of the wedding, the limits of the budget.
import { Derived } from './emitter.js'
import type { Journal } from './journal.js'
import type { Part } from './part.js'
import { entriesOf, rowOf } from './rows.js'
import type { Fields, Listener, Single, Unsubscribe } from './types.js'

export class SingleRecord<T> implements Single<T> {
  readonly #row: Derived<Readonly<T>>

  constructor (readonly part: Part, readonly root: string, readonly journal: Journal) {
    this.#row = new Derived(() => {
      const map = part.map(root)
      return (map === undefined ? Object.freeze({}) : rowOf(part.rootSpec(root), undefined, map)) as Readonly<T>
    })
    part.watch(root, () => this.#row.changed())
  }

  get isOpen (): boolean {
    return this.part.isOpen
  }

  get (): Readonly<T> {
    return this.#row.get()
  }

  subscribe (listener: Listener<Readonly<T>>): Unsubscribe {
    return this.#row.subscribe(listener)
  }

  update (fields: Fields<T>): void {
    const at = { part: this.part, root: this.root, record: '' }
    this.journal.batch(() => {
      for (const { key, value } of entriesOf(this.part.rootSpec(this.root), fields)) this.journal.set(at, key, value ?? undefined)
    })
  }

  mayWrite (field: string): boolean {
    const [entry] = entriesOf(this.part.rootSpec(this.root), { [field]: null })
    return this.part.mayWrite({ root: this.root, id: '', key: entry?.key ?? field, value: () => undefined })
  }
}
