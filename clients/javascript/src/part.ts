// A part of the wedding, such as the guests: the document that this person may open of it, whole or derived, or none. It
// stays when that is another document later on, as another role opens, or a new copy.
import * as Y from 'yjs'
import { NotOpen } from './errors.js'
import type { OpenDocument } from './http.js'
import { kindOf } from './kinds.js'
import type { Replica } from './replica.js'
import { mayWrite, type FieldAt } from './rights.js'
import type { KindSpec, RootSpec } from './schema.js'
import type { Person, Unsubscribe } from './types.js'

/** What has changed in a root: records by id, or all of them. */
export type Change = ReadonlySet<string> | 'all'
type Watcher = (change: Change) => void

const idsIn = (events: readonly Y.YEvent<any>[]): ReadonlySet<string> => {
  const ids = new Set<string>()
  for (const event of events) {
    if (event.path.length > 0) ids.add(String(event.path[0]))
    else event.keys.forEach((_, key) => ids.add(key))
  }
  return ids
}

export class Part {
  replica: Replica | undefined
  access: OpenDocument | undefined
  person: Person | undefined
  readonly kind: KindSpec | undefined
  readonly #watchers = new Set<() => Unsubscribe>()
  readonly #ends = new Map<() => Unsubscribe, Unsubscribe>()
  readonly #tell = new Set<Watcher>()
  #endReset: Unsubscribe = () => {}

  /** `name`: of the whole document, such as `guests` or `seating.e_brunch`. */
  constructor (readonly name: string) {
    this.kind = kindOf(name)
  }

  get isOpen (): boolean {
    return this.replica !== undefined
  }

  /** Whether it shows only a part of the document, in which texts are strings. */
  get isDerived (): boolean {
    return this.replica?.name.includes('@') ?? false
  }

  rootSpec (root: string): RootSpec | undefined {
    return this.kind?.roots[root]
  }

  /** The document. Throws NotOpen. */
  get doc (): Y.Doc {
    if (this.replica === undefined) throw new NotOpen(this.name)
    return this.replica.doc
  }

  map (root: string): Y.Map<any> | undefined {
    return this.replica?.doc.getMap(root)
  }

  mayWrite (field: FieldAt): boolean {
    return this.person !== undefined && mayWrite(this.access, this.person, field)
  }

  /** Shows another document from now on; undefined: none. */
  show (replica: Replica | undefined, access: OpenDocument | undefined, person: Person): void {
    this.access = access
    this.person = person
    if (replica !== this.replica) {
      this.replica = replica
      this.#endReset()
      this.#endReset = replica?.reset.on(() => this.#observeAnew()) ?? (() => {})
      this.#observeAnew()
    } else {
      for (const tell of this.#tell) tell('all') // rights may be others
    }
  }

  /** Calls after every change of a root, and when another document is shown. */
  watch (root: string, watcher: Watcher): Unsubscribe {
    const observe = (): Unsubscribe => this.#observe(root, watcher)
    this.#watchers.add(observe)
    this.#tell.add(watcher)
    this.#ends.set(observe, observe())
    return () => {
      this.#watchers.delete(observe)
      this.#tell.delete(watcher)
      this.#ends.get(observe)?.()
      this.#ends.delete(observe)
    }
  }

  #observe (root: string, watcher: Watcher): Unsubscribe {
    const map = this.map(root)
    if (map === undefined) return () => {}
    const single = this.rootSpec(root)?.shape === 'record'
    const observer = (events: Y.YEvent<any>[]): void => watcher(single ? 'all' : idsIn(events))
    map.observeDeep(observer)
    return () => map.unobserveDeep(observer)
  }

  #observeAnew (): void {
    for (const observe of this.#watchers) {
      this.#ends.get(observe)?.()
      this.#ends.set(observe, observe())
    }
    for (const tell of this.#tell) tell('all')
  }
}
