// What edits of several people have made of each other: the records that the server writes into `review` of every document.
// A choice is one write; what follows from it the server does.
import * as Y from 'yjs'
import { Emitter } from './emitter.js'
import { UnknownRecord } from './errors.js'
import type { Journal } from './journal.js'
import { frozen, textOf } from './json.js'
import { byUnit } from './order.js'
import type { Part } from './part.js'
import { fieldName } from './rows.js'
import type { Json } from './schema.js'
import type { Conflict, ConflictOption, ConflictParty, Conflicts, Listener, Place, Unsubscribe } from './types.js'
import type { Words } from './words.js'

const UNDO_MS = 24 * 60 * 60 * 1000
const SEVERITIES = ['critical', 'error', 'warning', 'info']
const REVIEW = 'review'

const listOf = (value: unknown): readonly Json[] => (Array.isArray(value) ? value : [])
const rank = ({ severity }: Conflict): number => SEVERITIES.indexOf(severity)
const worstFirst = (one: Conflict, other: Conflict): number =>
  rank(one) - rank(other) || byUnit(other.at, one.at) || byUnit(one.id, other.id)

export class Reviews implements Conflicts {
  readonly #changed = new Emitter<void>()
  readonly #parts = new Map<Part, Unsubscribe>()
  #all: readonly Conflict[] | undefined
  readonly #lists = new Map<string, readonly Conflict[]>()

  constructor (readonly journal: Journal, readonly words: Words, readonly nowMs: () => number) {}

  /** Follows the conflicts of a document, too. */
  add (part: Part): void {
    if (part.kind === undefined || this.#parts.has(part)) return
    this.#parts.set(part, part.watch(REVIEW, () => this.forget()))
    this.forget()
  }

  drop (part: Part): void {
    this.#parts.get(part)?.()
    this.#parts.delete(part)
    this.forget()
  }

  /** Names and values that conflicts show may have changed. */
  forget (): void {
    this.#all = undefined
    this.#lists.clear()
    this.#changed.emit()
  }

  list (state: Conflict['state'] = 'open'): readonly Conflict[] {
    let list = this.#lists.get(state)
    if (list === undefined) {
      this.#all ??= [...this.#parts.keys()].flatMap((part) => this.#of(part)).sort(worstFirst)
      this.#lists.set(state, list = Object.freeze(this.#all.filter((each) => each.state === state)))
    }
    return list
  }

  subscribe (listener: Listener<readonly Conflict[]>): Unsubscribe {
    const end = this.#changed.on(() => listener(this.list()))
    listener(this.list())
    return end
  }

  choose (conflict: string, option: number, remark?: string): void {
    const at = conflict.lastIndexOf('/')
    const [document, record] = [conflict.slice(0, at), conflict.slice(at + 1)]
    const part = [...this.#parts.keys()].find(({ name }) => name === document)
    const review = part?.map(REVIEW)?.get(record)
    if (part === undefined || !(review instanceof Y.Map)) throw new UnknownRecord(REVIEW, conflict)
    if (!this.#options(review).some(({ id }) => id === option)) throw new RangeError(`${conflict} has no option ${option} for you`)
    const where = { part, root: REVIEW, record }
    this.journal.batch(() => {
      if (remark !== undefined) this.journal.set(where, 'say', remark)
      this.journal.set(where, 'choice', option)
    })
  }

  #of (part: Part): Conflict[] {
    return [...part.map(REVIEW) ?? []].flatMap(([id, record]) => (record instanceof Y.Map ? this.#conflict(part, id, record) : []))
  }

  #conflict (part: Part, id: string, record: Y.Map<any>): Conflict {
    const text = (key: string, otherwise = ''): string => { const value = record.get(key); return typeof value === 'string' ? value : otherwise }
    const state = text('_state', 'open') as Conflict['state']
    const closedAt = text('_closedAt') || (state === 'open' ? undefined : text('_at'))
    const options = this.#options(record)
    return frozen<Conflict>({
      id: `${part.name}/${id}`,
      document: part.name,
      kind: text('_kind'),
      state,
      severity: text('_severity', 'info') as Conflict['severity'],
      summary: text('_summary', 'Two edits do not fit together.'),
      at: text('_at'),
      about: listOf(record.get('_subject')).map((subject) => this.#place(part, subject)),
      people: this.#people(part, record),
      options,
      chosen: typeof record.get('choice') === 'number' ? record.get('choice') : undefined,
      decidedBy: state === 'open' ? undefined : text('_by') || null,
      decidedAt: closedAt,
      canUndo: state === 'auto' && options.length > 0 && this.nowMs() - Date.parse(closedAt ?? '') < UNDO_MS
    })
  }

  #options (record: Y.Map<any>): ConflictOption[] {
    const { role } = this.journal.person()
    return listOf(record.get('_options')).flatMap((option) => {
      const { id, text, roles } = option as { id?: unknown, text?: unknown, roles?: unknown }
      if (typeof id !== 'number' || (Array.isArray(roles) && !roles.includes(role))) return []
      return [{ id, text: typeof text === 'string' ? text : String(id) }]
    })
  }

  #place (part: Part, subject: Json): Place {
    const collection = `${textOf(subject, 'document', part.name)}.${textOf(subject, 'root')}`
    const [record, key] = [textOf(subject, 'record'), textOf(subject, 'key')]
    const spec = this.words.part(textOf(subject, 'document', part.name))?.rootSpec(textOf(subject, 'root'))
    return { collection, record, field: key === '' ? undefined : fieldName(spec, key), label: this.words.label(collection, record) }
  }

  /** What each wrote can be said only where all wrote the same field: a value alone would say nothing. */
  #people (part: Part, record: Y.Map<any>): ConflictParty[] {
    const subjects = listOf(record.get('_subject'))
    const [subject] = subjects
    const field = new Set(subjects.map((each) => `${textOf(each, 'root')}/${textOf(each, 'key')}`)).size === 1 ? subject : undefined
    return listOf(record.get('_parties')).map((party) => this.#party(part, party, field))
  }

  #party (part: Part, party: Json, field: Json | undefined): ConflictParty {
    const [user, me] = [textOf(party, 'user'), this.journal.person()]
    const { value } = party as { value?: Json }
    const collection = `${textOf(field, 'document', part.name)}.${textOf(field, 'root')}`
    const isYou = user === me.id || user === me.user
    return {
      user,
      name: this.words.person(user) || (isYou ? me.name : '') || 'Somebody',
      role: textOf(party, 'role').replaceAll('_', ' '),
      isYou,
      wrote: field === undefined ? '' : this.words.value(collection, textOf(field, 'key') || undefined, value),
      value,
      at: textOf(party, 'at') || undefined
    }
  }
}
