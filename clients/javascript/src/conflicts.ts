// What edits of several people have made of each other: the records that the server writes into `review` of every document.
// A choice is one write; what follows from it the server does.
import * as Y from 'yjs'
import { Emitter } from './emitter.js'
import { UnknownRecord } from './errors.js'
import type { Journal } from './journal.js'
import { frozen, same, textOf } from './json.js'
import { byUnit } from './order.js'
import type { Part } from './part.js'
import { fieldName, valueAt } from './rows.js'
import type { Json } from './schema.js'
import type { Conflict, ConflictOption, ConflictParty, Conflicts, Listener, Place, Unsubscribe } from './types.js'
import type { Words } from './words.js'

const UNDO_MS = 24 * 60 * 60 * 1000
const SEVERITIES = ['critical', 'error', 'warning', 'info']
const REVIEW = 'review'

/** A field that somebody wrote, and what it held when it was last read. */
interface Disputed { readonly part: Part, readonly subject: Json, readonly current: Json | undefined }

const listOf = (value: unknown): readonly Json[] => (Array.isArray(value) ? value : [])
const rank = ({ severity }: Conflict): number => SEVERITIES.indexOf(severity)
const worstFirst = (one: Conflict, other: Conflict): number =>
  rank(one) - rank(other) || byUnit(other.at, one.at) || byUnit(one.id, other.id)

/** The field of records that are older than the places of what each wrote: a value alone says something only where all wrote the same. */
const onlyField = (subjects: readonly Json[]): Json | undefined =>
  new Set(subjects.map((each) => `${textOf(each, 'root')}/${textOf(each, 'key')}`)).size === 1 ? subjects[0] : undefined

const currentOf = (part: Part, subject: Json): Json | undefined =>
  valueAt(part, textOf(subject, 'root'), textOf(subject, 'record'), textOf(subject, 'key'))

export class Reviews implements Conflicts {
  readonly #changed = new Emitter<void>()
  /** The roots that are followed, of each document. */
  readonly #parts = new Map<Part, Map<string, Unsubscribe>>()
  #all: readonly Conflict[] | undefined
  #disputed: Disputed[] = []
  readonly #lists = new Map<string, readonly Conflict[]>()

  constructor (readonly journal: Journal, readonly words: Words, readonly nowMs: () => number) {}

  /** Follows the conflicts of a document, too. */
  add (part: Part): void {
    if (part.kind === undefined || this.#parts.has(part)) return
    this.#parts.set(part, new Map([[REVIEW, part.watch(REVIEW, () => this.forget())]]))
    this.forget()
  }

  drop (part: Part): void {
    for (const end of this.#parts.get(part)?.values() ?? []) end()
    this.#parts.delete(part)
    this.forget()
  }

  /** Names and values that conflicts show may have changed. */
  forget (): void {
    this.#all = undefined
    this.#disputed = []
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
    const canUndo = state === 'auto' && options.length > 0 && this.nowMs() - Date.parse(closedAt ?? '') < UNDO_MS
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
      isMoot: text('_outcome') === 'moot',
      canUndo,
      undo: canUndo ? options.find(({ id }) => id === record.get('_undo')) : undefined
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

  #people (part: Part, record: Y.Map<any>): ConflictParty[] {
    const subjects = listOf(record.get('_subject'))
    return listOf(record.get('_parties')).map((party) => this.#party(part, party, subjects))
  }

  #party (part: Part, party: Json, subjects: readonly Json[]): ConflictParty {
    const [user, me] = [textOf(party, 'user'), this.journal.person()]
    const { value, before, subject } = party as { value?: Json, before?: Json, subject?: number }
    const written = subject === undefined ? undefined : subjects[subject]
    const field = written ?? onlyField(subjects)
    const collection = `${textOf(field, 'document', part.name)}.${textOf(field, 'root')}`
    const text = (each: Json | undefined): string => (field === undefined ? '' : this.words.value(collection, textOf(field, 'key') || undefined, each))
    const isYou = user === me.id || user === me.user
    const held = written === undefined ? undefined : this.#held(part, written)
    return {
      user,
      name: this.words.person(user) || (isYou ? me.name : ''),
      role: textOf(party, 'role').replaceAll('_', ' '),
      isYou,
      place: written === undefined ? undefined : this.#place(part, written),
      wrote: text(value),
      before: before === undefined ? undefined : text(before),
      text: textOf(party, 'text'),
      value,
      stands: held !== undefined && same(held.current, value),
      current: held?.current,
      now: held === undefined ? undefined : text(held.current),
      at: textOf(party, 'at') || undefined
    }
  }

  /** What a field holds now, and follows it; undefined where its document is not open. */
  #held (part: Part, subject: Json): Disputed | undefined {
    const [document, root] = [textOf(subject, 'document', part.name), textOf(subject, 'root')]
    const home = [...this.#parts.keys()].find(({ name }) => name === document)
    if (home === undefined) return undefined
    const roots = this.#parts.get(home)!
    if (!roots.has(root)) roots.set(root, home.watch(root, () => this.#compare()))
    const held = { part: home, subject, current: currentOf(home, subject) }
    this.#disputed.push(held)
    return held
  }

  /** Most changes of a document concern no conflict. */
  #compare (): void {
    if (this.#disputed.some(({ part, subject, current }) => !same(current, currentOf(part, subject)))) this.forget()
  }
}
