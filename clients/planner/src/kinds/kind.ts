// What a person can add, rename, change, remove and restore: one description of each kind, from which rows, drawers and
// lists of what was removed are made.
import type { Collection, Fields, Row } from 'crdt-server-client'
import type { Key } from '../i18n/index.js'
import type { Plan } from '../state/plan.js'
import type { Choice } from '../ui/field.js'

/** How a field is shown and typed. */
export type Sort = 'text' | 'code' | 'long' | 'number' | 'money' | 'date' | 'clock' | 'duration' | 'choice' | 'segments' | 'flag' | 'email' | 'phone'

export interface KindField<T> {
  readonly name: string & keyof T
  readonly label: Key
  readonly sort: Sort
  /** Of a code: the family of the words that stand for its values. */
  readonly words?: string
  /** Below the input. */
  readonly hint?: Key
  /** Of a family: which member. */
  readonly member?: string
  /** In place of `label`, where it depends on the wedding. */
  readonly text?: string
  readonly choices?: (plan: Plan, row: Row<T>) => readonly Choice[]
  /** What a choice counts as where nothing is written. */
  readonly absent?: string
}

export interface Kind<T> {
  readonly name: Key
  readonly collection: (plan: Plan) => Collection<T>
  readonly title: (row: Row<T>, plan: Plan) => string
  /** The fields that a name is written to. */
  readonly named: (name: string) => Fields<T>
  /** What else a new record begins with. */
  readonly fresh?: Partial<T>
  readonly fields: (plan: Plan, row: Row<T>) => readonly KindField<T>[]
}

export type AnyKind = Kind<any>

export const mayAdd = <T>(plan: Plan, kind: Kind<T>): boolean => kind.collection(plan).mayWrite()
export const mayRemove = <T>(plan: Plan, kind: Kind<T>, id: string): boolean => kind.collection(plan).mayWrite(id, 'deleted')
