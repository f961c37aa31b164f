// What is done with records, and how it is said afterwards, with the way back.
import { problemsIn, type Fields, type Row } from 'crdt-server-client'
import { t, word } from '../i18n/index.js'
import type { Plan } from '../state/plan.js'
import { toast } from '../ui/toast.js'
import type { Kind } from './kind.js'

const NEW_MS = 2000

/** Writes fields if the schema allows them. Returns what is wrong in words, or nothing. */
export const change = <T>(plan: Plan, kind: Kind<T>, id: string, fields: Fields<T>): string | undefined => {
  const collection = kind.collection(plan)
  const [problem] = problemsIn(collection.name, fields)
  if (problem !== undefined) return t('form.problem', { rule: word('rule', problem.rule), expected: problem.expected })
  collection.update(id, fields)
  return undefined
}

/** Adds a record by its name. Returns its id; undefined where the name is no good. */
export const addNamed = <T>(plan: Plan, kind: Kind<T>, name: string, more: Partial<T> = {}): string | undefined => {
  const collection = kind.collection(plan)
  const fields = { ...kind.fresh, ...kind.named(name), ...more } as Fields<T>
  const [problem] = problemsIn(collection.name, fields)
  if (problem !== undefined) {
    toast(t('form.problem', { rule: word('rule', problem.rule), expected: problem.expected }), { kind: 'bad' })
    return undefined
  }
  return collection.add(fields as Fields<T> & { id?: string })
}

export const titleOf = <T>(plan: Plan, kind: Kind<T>, row: Row<T>): string => kind.title(row, plan) || t('record.unnamed')

/** Removes records; the toast brings them back. */
export const remove = <T>(plan: Plan, kind: Kind<T>, ids: readonly string[]): void => {
  const collection = kind.collection(plan)
  const rows = ids.flatMap((id) => collection.get(id) ?? [])
  plan.wedding.batch(() => { for (const { id } of rows) collection.remove(id) })
  const text = rows.length === 1 ? t('record.removed', { name: titleOf(plan, kind, rows[0]!) }) : t('record.removedMany', { n: rows.length })
  const restore = (): void => { plan.wedding.batch(() => { for (const { id } of rows) collection.restore(id) }) }
  toast(text, { action: { label: t('action.undo'), run: restore } })
}

export const restore = <T>(plan: Plan, kind: Kind<T>, id: string): void => {
  const collection = kind.collection(plan)
  const row = collection.get(id)
  collection.restore(id)
  if (row !== undefined) toast(t('record.restored', { name: titleOf(plan, kind, row) }))
}

let lastTurn = 0

/** Takes back, or does again, the last thing that was written here. */
export const turnBack = (plan: Plan, direction: 'undo' | 'redo'): void => {
  const isDone = plan.wedding[direction]()
  if (isDone || performance.now() - lastTurn < NEW_MS) return
  lastTurn = performance.now()
  toast(t('undo.nothing'))
}
