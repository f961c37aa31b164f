// Rows of one root, and what can be written there. Rows are made when somebody reads them, and again only where something
// has changed.
import * as Y from 'yjs'
import { Emitter } from './emitter.js'
import { UnknownRecord } from './errors.js'
import { newId } from './ids.js'
import type { Journal } from './journal.js'
import { byUnit, orderBetween } from './order.js'
import type { Change, Part } from './part.js'
import { entriesOf, rowOf, textsOf } from './rows.js'
import type { Json } from './schema.js'
import type { Collection, Fields, Listener, ReadCollection, Row, Unsubscribe, ValueCollection, ValueRow } from './types.js'

interface AnyRow { readonly id: string, readonly order?: unknown, readonly deleted?: unknown }
type Compare<R> = (one: R, other: R) => number

const orderOf = ({ order }: AnyRow): string => (typeof order === 'string' ? order : '')

/** By order key, then by id. */
export const byOrder: Compare<AnyRow> = (one, other) => byUnit(orderOf(one), orderOf(other)) || byUnit(one.id, other.id)

/** What all collections have: rows that are made once, a list, and those who follow it. */
export abstract class Rows<R extends { readonly id: string }> implements ReadCollection<R> {
  readonly name: string
  readonly #rows = new Map<string, R | undefined>()
  readonly #changed = new Emitter<void>()
  #list: readonly R[] | undefined

  constructor (readonly part: Part, readonly root: string) {
    this.name = `${part.name}.${root}`
    part.watch(root, (change) => this.forget(change))
  }

  get isOpen (): boolean {
    return this.part.isOpen
  }

  list (): readonly R[] {
    return (this.#list ??= Object.freeze(this.make()))
  }

  get (id: string): R | undefined {
    if (!this.#rows.has(id)) this.#rows.set(id, this.read(id))
    return this.#rows.get(id)
  }

  subscribe (listener: Listener<readonly R[]>): Unsubscribe {
    const end = this.#changed.on(() => listener(this.list()))
    listener(this.list())
    return end
  }

  mayWrite (id = '', field = ''): boolean {
    const [entry] = field === '' ? [] : entriesOf(this.part.rootSpec(this.root), { [field]: null })
    const record = this.part.map(this.root)?.get(id)
    const value = (key: string): unknown => (record instanceof Y.Map ? record.get(key) : undefined)
    return this.part.mayWrite({ root: this.root, id, key: entry?.key ?? field, value })
  }

  /** All ids there are, of deleted rows too. */
  ids (): string[] {
    return [...this.part.map(this.root)?.keys() ?? []]
  }

  protected abstract read (id: string): R | undefined
  protected abstract make (): R[]

  /** What was made of rows that have changed is not used any more. */
  protected forget (change: Change): void {
    this.#list = undefined
    if (change === 'all') this.#rows.clear()
    else for (const id of change) this.#rows.delete(id)
    this.#changed.emit()
  }

  protected at (record: string): { readonly part: Part, readonly root: string, readonly record: string } {
    return { part: this.part, root: this.root, record }
  }
}

/** Records, each a map of fields. */
export class Records<T> extends Rows<Row<T>> implements Collection<T> {
  constructor (part: Part, root: string, protected readonly journal: Journal, readonly compare: Compare<any> = byOrder) {
    super(part, root)
  }

  protected read (id: string): Row<T> | undefined {
    const record = this.part.map(this.root)?.get(id)
    return record instanceof Y.Map ? rowOf(this.part.rootSpec(this.root), id, record) as Row<T> : undefined
  }

  protected make (): Row<T>[] {
    return this.#all(false).sort(this.compare)
  }

  #all (deleted: boolean): Row<T>[] {
    return this.ids().flatMap((id) => this.get(id) ?? []).filter((row) => ((row as AnyRow).deleted !== undefined) === deleted)
  }

  removed (): readonly Row<T>[] {
    const at = (row: Row<T>): string => String(((row as AnyRow).deleted as { at?: unknown } | undefined)?.at ?? '')
    return this.#all(true).sort((one, other) => byUnit(at(other), at(one)) || byUnit(one.id, other.id))
  }

  add (fields: Fields<T> & { id?: string }): string {
    const spec = this.part.rootSpec(this.root)
    const { id = newId(this.name), ...given } = fields as { id?: string }
    const written = entriesOf(spec, given).filter(({ value }) => value !== null)
    const entries = new Map<string, Json | Y.Text>()
    if (spec?.fields?.['order'] !== undefined && !this.part.isDerived) entries.set('order', this.#lastOrder())
    if (!this.part.isDerived) for (const key of textsOf(spec)) entries.set(key, new Y.Text())
    for (const { key, value, isText } of written) entries.set(key, isText && !this.part.isDerived ? new Y.Text(String(value)) : value)
    this.journal.add(this.at(id), [...entries])
    return id
  }

  update (id: string, fields: Fields<T>): void {
    this.#known(id)
    const entries = entriesOf(this.part.rootSpec(this.root), fields)
    this.journal.batch(() => { for (const { key, value, isText } of entries) this.#write(id, key, value, isText) })
  }

  #write (id: string, key: string, value: Json, isText: boolean): void {
    const text = isText ? this.#known(id).get(key) : undefined
    if (text instanceof Y.Text) this.journal.setText(this.at(id), key, text, String(value ?? ''))
    else this.journal.set(this.at(id), key, value ?? undefined)
  }

  remove (id: string): void {
    if (!this.#known(id).has('deleted')) this.journal.set(this.at(id), 'deleted', this.journal.stamp())
  }

  restore (id: string): void {
    this.#known(id)
    this.journal.set(this.at(id), 'deleted', undefined)
  }

  reorder (id: string, after: string | null): void {
    this.#known(id)
    const rows = this.ids().flatMap((each) => this.get(each) ?? []).filter((row) => row.id !== id).sort(byOrder) as AnyRow[]
    const before = after === null ? undefined : orderOf(this.#row(after))
    const next = rows.map(orderOf).find((order) => order !== '' && (before === undefined || order > before))
    this.journal.set(this.at(id), 'order', orderBetween(before || null, next ?? null))
  }

  text (id: string, field: string): Y.Text | undefined {
    const record = this.part.map(this.root)?.get(id)
    const found = record instanceof Y.Map ? record.get(field) : undefined
    return found instanceof Y.Text ? found : undefined
  }

  #lastOrder (): string {
    const last = this.ids().map((id) => orderOf(this.get(id) ?? { id })).sort(byUnit).at(-1)
    return orderBetween(last || null, null)
  }

  #row (id: string): AnyRow {
    const row = this.get(id)
    if (row === undefined) throw new UnknownRecord(this.name, id)
    return row
  }

  #known (id: string): Y.Map<any> {
    const record = this.part.doc.getMap(this.root).get(id)
    if (!(record instanceof Y.Map)) throw new UnknownRecord(this.name, id)
    return record
  }
}

/** Rows that are one value each. */
export class Values<T> extends Rows<ValueRow<T>> implements ValueCollection<T> {
  constructor (part: Part, root: string, protected readonly journal: Journal, readonly compare: Compare<any> = byOrder) {
    super(part, root)
  }

  protected read (id: string): ValueRow<T> | undefined {
    const value = this.part.map(this.root)?.get(id)
    if (value === undefined) return undefined
    // A derived document may show records in the place of values.
    if (value instanceof Y.Map) return rowOf(undefined, id, value) as ValueRow<T>
    const row = typeof value === 'object' && value !== null ? { ...value, id } : { id, value }
    return Object.freeze(row) as ValueRow<T>
  }

  protected make (): ValueRow<T>[] {
    return this.ids().flatMap((id) => this.get(id) ?? []).sort(this.compare)
  }

  add (value: T): string {
    const id = newId(this.name)
    this.set(id, value)
    return id
  }

  set (id: string, value: T): void {
    const { id: _, ...members } = value as { id?: string }
    this.journal.set(this.at(id), null, (typeof value === 'object' ? members : value) as Json)
  }

  remove (id: string): void {
    this.journal.set(this.at(id), null, undefined)
  }
}
