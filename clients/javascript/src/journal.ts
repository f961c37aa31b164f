// Every write of this package, as steps that can be taken back. A step is what one call or one `batch` has written. Taking
// back a write is another write, and only where what was written is still there: what somebody else, or the server, has
// written over it since stands.
import * as Y from 'yjs'
import { Derived } from './emitter.js'
import { same } from './json.js'
import type { Part } from './part.js'
import { LOCAL } from './replica.js'
import type { Json } from './schema.js'
import type { Person, Undo } from './types.js'

const MOST_STEPS = 200
const MOST_WRITTEN = 2000

interface At { readonly part: Part, readonly root: string, readonly record: string }
type Write =
  | At & { readonly sort: 'set', readonly key: string | null, readonly before: Json | undefined, readonly after: Json | undefined }
  | At & { readonly sort: 'added' }
  | At & { readonly sort: 'text', readonly key: string, readonly start: Y.RelativePosition, readonly removed: string, readonly inserted: string }
type Step = Write[]

const isStamp = (value: Json | undefined): value is { readonly at: string, readonly by: string } =>
  typeof value === 'object' && value !== null && 'at' in value && 'by' in value

/** Whether an index is between the two units of one character. Yjs makes two others of it where it is cut there. */
const isInside = (text: string, index: number): boolean => index > 0 && (text.codePointAt(index - 1) ?? 0) > 0xffff

/** Where two texts differ, in whole characters: from, how much of the first, and what of the second. */
const difference = (before: string, after: string): { readonly from: number, readonly removed: string, readonly inserted: string } => {
  let from = 0
  while (from < before.length && from < after.length && before[from] === after[from]) from++
  if (isInside(before, from) || isInside(after, from)) from--
  let end = 0
  while (end < before.length - from && end < after.length - from && before.at(-1 - end) === after.at(-1 - end)) end++
  if (isInside(before, before.length - end) || isInside(after, after.length - end)) end--
  return { from, removed: before.slice(from, before.length - end), inserted: after.slice(from, after.length - end) }
}

export class Journal {
  readonly undoable = new Derived<Undo>(() => ({ canUndo: this.#undo.length > 0, canRedo: this.#redo.length > 0 }))
  #undo: Step[] = []
  #redo: Step[] = []
  #step: Step | undefined
  readonly #written = new Map<string, Json | undefined>()

  constructor (readonly person: () => Person, readonly now: () => string, readonly parts: () => Iterable<Part>) {}

  /** The user and the moment of an action. */
  stamp (): { readonly at: string, readonly by: string } {
    return { at: this.now(), by: this.person().id }
  }

  /** All that `work` writes is one transaction of each document, and one step. */
  batch<T> (work: () => T): T {
    if (this.#step !== undefined) return work()
    const step: Step = this.#step = []
    try {
      return this.#transact(work)
    } finally {
      this.#step = undefined
      if (step.length > 0) this.#push(step)
    }
  }

  #transact<T> (work: () => T): T {
    const docs = [...this.parts()].flatMap(({ replica }) => replica?.doc ?? [])
    const nested = docs.reduce<() => T>((inner, doc) => () => doc.transact(inner, LOCAL), work)
    return nested()
  }

  #push (step: Step): void {
    this.#redo = []
    this.#undo = [...this.#undo.slice(1 - MOST_STEPS), step]
    this.undoable.changed()
  }

  // -- writes

  /** Writes a key of a record, or a row that is one value (key null). undefined deletes it. */
  set (at: At, key: string | null, value: Json | undefined): void {
    const [map, name] = this.#mapOf(at, key)
    if (map === undefined) return
    const before = map.get(name) as Json | undefined
    if (same(before, value)) return
    this.batch(() => {
      if (value === undefined) map.delete(name)
      else map.set(name, value)
      this.#keep({ ...at, sort: 'set', key, before, after: value })
    })
  }

  /** Adds a record. */
  add (at: At, entries: readonly (readonly [key: string, value: Json | Y.Text])[]): void {
    this.batch(() => {
      at.part.doc.getMap(at.root).set(at.record, new Y.Map<any>(entries.map(([key, value]) => [key, value])))
      this.#keep({ ...at, sort: 'added' })
      for (const [key, value] of entries) this.#remember({ ...at }, key, value instanceof Y.Text ? value.toString() : value)
    })
  }

  /** Makes a shared text this; only what differs is written. */
  setText (at: At, key: string, text: Y.Text, value: string): void {
    const { from, removed, inserted } = difference(text.toString(), value)
    if (removed !== '' || inserted !== '') this.batch(() => this.#splice(at, key, text, from, removed, inserted))
  }

  #splice (at: At, key: string, text: Y.Text, from: number, removed: string, inserted: string): void {
    if (removed !== '') text.delete(from, removed.length)
    if (inserted !== '') text.insert(from, inserted)
    const start = Y.createRelativePositionFromTypeIndex(text, from, inserted === '' ? -1 : 0)
    this.#keep({ ...at, sort: 'text', key, start, removed, inserted })
    this.#remember(at, key, text.toString())
  }

  #keep (write: Write): void {
    this.#step?.push(write)
    if (write.sort === 'set') this.#remember(write, write.key, write.after)
  }

  #mapOf ({ part, root, record }: At, key: string | null): readonly [map: Y.Map<any> | undefined, name: string] {
    const rows = part.doc.getMap(root)
    if (key === null) return [rows, record]
    if (record === '') return [rows, key]
    const row = rows.get(record)
    return [row instanceof Y.Map ? row : undefined, key]
  }

  // -- what was written

  #remember ({ part, root, record }: At, key: string | null, value: Json | undefined): void {
    const name = [part.name, root, record, key ?? ''].join('/')
    this.#written.delete(name)
    this.#written.set(name, value)
    if (this.#written.size > MOST_WRITTEN) this.#written.delete(this.#written.keys().next().value!)
  }

  /** What was written last at a place, if it was written here. */
  written (part: string, root: string, record: string, key: string | null): Json | undefined {
    if (key !== null) return this.#written.get([part, root, record, key].join('/'))
    const whole = this.#written.get([part, root, record, ''].join('/'))
    if (whole !== undefined) return whole
    const prefix = [part, root, record, ''].join('/')
    const keys = [...this.#written].filter(([name]) => name.startsWith(prefix))
    return keys.length === 0 ? undefined : Object.fromEntries(keys.map(([name, value]) => [name.slice(prefix.length), value ?? null]))
  }

  // -- taking back

  undo (): boolean {
    return this.#turn(this.#undo, this.#redo)
  }

  redo (): boolean {
    return this.#turn(this.#redo, this.#undo)
  }

  /** Steps of documents that are begun anew are gone. */
  forget (part: Part): void {
    for (const steps of [this.#undo, this.#redo]) {
      const rest = steps.map((step) => step.filter((write) => write.part !== part)).filter((step) => step.length > 0)
      steps.splice(0, steps.length, ...rest)
    }
    this.undoable.changed()
  }

  #turn (from: Step[], to: Step[]): boolean {
    const step = from.pop()
    if (step === undefined) return false
    const back: Step = this.#step = []
    try {
      this.#transact(() => { for (const write of step.reverse()) this.#invert(write) })
    } finally {
      this.#step = undefined
      if (back.length > 0) to.push(back)
      this.undoable.changed()
    }
    return back.length > 0
  }

  #invert (write: Write): void {
    if (!write.part.isOpen) return
    if (write.sort === 'added') this.#removeAdded(write)
    else if (write.sort === 'text') this.#invertText(write)
    else this.#invertSet(write)
  }

  /** An addition is not taken away, which no record comes back from: it is deleted as `remove` does. */
  #removeAdded (at: At): void {
    const [record] = this.#mapOf(at, 'deleted')
    if (record !== undefined && !record.has('deleted')) this.set(at, 'deleted', this.stamp())
  }

  #invertSet (write: Extract<Write, { sort: 'set' }>): void {
    const [map, name] = this.#mapOf(write, write.key)
    if (map === undefined || !same(map.get(name) as Json | undefined, write.after)) return
    const spec = write.part.rootSpec(write.root)
    if (write.key === null && spec?.final) return this.#withdraw(write, spec.withdrawals)
    // The server takes no stamp in the name of somebody else, also not the one that stood here.
    const before = isStamp(write.before) && write.before.by !== this.person().id ? { ...write.before, ...this.stamp() } : write.before
    this.set(write, write.key, before)
  }

  /** What is never changed once it is written is withdrawn: a payment is voided, a message taken back. */
  #withdraw (write: At, withdrawals: string | undefined): void {
    if (withdrawals === undefined) return
    const at = { part: write.part, root: withdrawals, record: write.record }
    if (!at.part.doc.getMap(withdrawals).has(write.record)) this.set(at, null, this.stamp())
  }

  #invertText (write: Extract<Write, { sort: 'text' }>): void {
    const [map] = this.#mapOf(write, write.key)
    const text = map?.get(write.key)
    const found = Y.createAbsolutePositionFromRelativePosition(write.start, write.part.doc)
    if (!(text instanceof Y.Text) || found === null || found.type !== text) return
    const there = text.toString().slice(found.index, found.index + write.inserted.length)
    if (there === write.inserted) this.#splice(write, write.key, text, found.index, write.inserted, write.removed)
  }
}
