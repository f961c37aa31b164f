// Rows as applications have them, and records as documents have them: `rsvp.e_1` is the key `rsvp:e_1`, `state` is
// `_state`, and a shared text is a string.
import * as Y from 'yjs'
import { frozen, isObject } from './json.js'
import type { Part } from './part.js'
import type { FieldSpec, Json, RootSpec } from './schema.js'

type FieldSpecs = { readonly [name: string]: FieldSpec }
const NONE: FieldSpecs = {}

const fieldsOf = (spec: RootSpec | undefined): FieldSpecs => spec?.fields ?? NONE

/** Key in the document -> name in rows, of keys that are called otherwise, and of all families. */
const names = new WeakMap<FieldSpecs, { readonly keys: Map<string, string>, readonly families: Map<string, string> }>()

const namesOf = (fields: FieldSpecs): { readonly keys: Map<string, string>, readonly families: Map<string, string> } => {
  const known = names.get(fields)
  if (known !== undefined) return known
  const made = { keys: new Map<string, string>(), families: new Map<string, string>() }
  for (const [name, { key = name, family }] of Object.entries(fields)) (family ? made.families : made.keys).set(key, name)
  names.set(fields, made)
  return made
}

/** Where a key of a document is in rows: name, and member of a family. */
export const placeOf = (spec: RootSpec | undefined, key: string): readonly [name: string, member?: string] => {
  const { keys, families } = namesOf(fieldsOf(spec))
  const name = keys.get(key)
  if (name !== undefined) return [name]
  const at = key.indexOf(':')
  const family = at < 0 ? undefined : families.get(key.slice(0, at))
  return family === undefined ? [key] : [family, key.slice(at + 1)]
}

/** A key of a document as applications write it: `rsvp.e_1`. */
export const fieldName = (spec: RootSpec | undefined, key: string): string => placeOf(spec, key).join('.')

const plain = (value: unknown): Json => (value instanceof Y.AbstractType ? String(value) : value as Json)

/** A record as a frozen row. */
export const rowOf = (spec: RootSpec | undefined, id: string | undefined, record: Y.Map<any>): Record<string, Json> => {
  const row: Record<string, any> = id === undefined ? {} : { id }
  for (const [key, value] of record) {
    const [name, member] = placeOf(spec, key)
    if (member === undefined) row[name] = plain(value)
    else (row[name] ??= {})[member] = plain(value)
  }
  return frozen(row)
}

/** What a document holds at a place, a record as JSON. Without a key ('' or null): the record, or a row that is one value. */
export const valueAt = (part: Pick<Part, 'map'>, root: string, record: string, key: string | null): Json | undefined => {
  const map = part.map(root)
  const row = record === '' ? map : map?.get(record)
  const value = key === null || key === '' ? row : row instanceof Y.Map ? row.get(key) : undefined
  return value instanceof Y.AbstractType ? value.toJSON() as Json : value as Json | undefined
}

export interface Entry {
  /** In the document. */
  readonly key: string
  /** null: the key is deleted. */
  readonly value: Json
  readonly isText: boolean
}

/** What is to be written, key by key. What is undefined is left out; what no schema has is written as it is. */
export const entriesOf = (spec: RootSpec | undefined, fields: object): Entry[] => {
  const specs = fieldsOf(spec)
  const found: Entry[] = []
  for (const [name, value] of Object.entries(fields) as [string, Json | undefined][]) {
    if (value === undefined || name === 'id') continue
    const field = specs[name]
    const key = field?.key ?? name
    if (field?.family === undefined || !isObject<Json | undefined>(value)) found.push({ key, value, isText: field?.type === 'text' })
    else for (const [member, each] of Object.entries(value)) if (each !== undefined) found.push({ key: `${key}:${member}`, value: each, isText: false })
  }
  return found
}

/** The shared texts of a record: made together with it, since of two that are made at once one would be lost. */
export const textsOf = (spec: RootSpec | undefined): string[] =>
  Object.entries(fieldsOf(spec)).filter(([, { type }]) => type === 'text').map(([name, { key = name }]) => key)
