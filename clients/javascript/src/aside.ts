// Copies that the server refuses for good. Nothing of them is lost: they are kept, here and on this device, until somebody
// has saved or discarded them.
import * as Y from 'yjs'
import type { Copies } from './copies.js'
import { Derived } from './emitter.js'
import { newUlid } from './ids.js'
import { kindOf } from './kinds.js'
import type { Refusal, Replica } from './replica.js'
import type { Json } from './schema.js'
import type { Listener, SetAside, SetAsides, Unsubscribe } from './types.js'

/** What a document holds, root by root. */
const rowsIn = ({ doc, name }: Replica): Json => {
  const kind = kindOf(name)
  const shapes = kind === undefined ? [...doc.share.keys()].map((root) => [root, ''] as const) : Object.entries(kind.roots).map(([root, { shape }]) => [root, shape] as const)
  const entries = shapes.map(([root, shape]) => [root, shape === 'text' ? doc.getText(root).toString() : shape === '' ? doc.get(root).toJSON() : doc.getMap(root).toJSON()])
  return Object.fromEntries(entries) as Json
}

const base64 = (bytes: Uint8Array): string => {
  let text = ''
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}

export class Asides implements SetAsides {
  readonly #all: Derived<readonly SetAside[]>
  #kept: SetAside[] = []

  constructor (readonly copies: Copies | undefined, readonly nowMs: () => number) {
    this.#all = new Derived(() => Object.freeze([...this.#kept]))
  }

  /** Those that this device keeps from before. */
  async load (): Promise<void> {
    const before = await this.copies?.allSetAside().catch(() => []) ?? []
    this.#kept = [...before, ...this.#kept]
    if (before.length > 0) this.#all.changed()
  }

  /** Keeps what a document holds. */
  async keep (replica: Replica, { code, reason }: Refusal): Promise<SetAside> {
    const ms = this.nowMs()
    const kept: SetAside = {
      id: newUlid(ms),
      document: replica.name,
      at: new Date(ms).toISOString(),
      code,
      reason,
      update: Y.encodeStateAsUpdate(replica.doc),
      rows: rowsIn(replica),
      unsaved: replica.waiting
    }
    this.#kept.push(kept)
    this.#all.changed()
    await this.copies?.setAside(kept).catch(() => {}) // it stays as long as the program does
    return kept
  }

  get (): readonly SetAside[] {
    return this.#all.get()
  }

  subscribe (listener: Listener<readonly SetAside[]>): Unsubscribe {
    return this.#all.subscribe(listener)
  }

  download (id: string): Blob {
    const found = this.#kept.find((each) => each.id === id)
    if (found === undefined) throw new RangeError(`nothing was set aside as ${id}`)
    const content = JSON.stringify({ ...found, update: base64(found.update) }, null, 2)
    return new Blob([content], { type: 'application/json' })
  }

  async discard (id: string): Promise<void> {
    this.#kept = this.#kept.filter((each) => each.id !== id)
    this.#all.changed()
    await this.copies?.discardAside(id)
  }
}
