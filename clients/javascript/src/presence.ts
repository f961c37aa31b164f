// Who is here and where: the awareness of all documents, in one published shape. A state is
//   { user: { id, name, role, color }, tab, section, at: { root, record, field }, typing, zone, battery }
// in every document; `at` only in the document in which the person is. Names and roles are the server's where it admits by
// tokens. All of it is written by others and may have any shape.
import { Derived } from './emitter.js'
import { isObject } from './json.js'
import { byUnit } from './order.js'
import type { Part } from './part.js'
import type { Replica } from './replica.js'
import type { Listener, Person, Presence, PresenceFields, PresencePlace, PresentPerson, Unsubscribe } from './types.js'

const PALETTE = ['#b0416b', '#b3541e', '#66701c', '#2f7a58', '#1f7488', '#3566b8', '#7a4fb5', '#5a6478']
const HEX = /^#[0-9a-f]{6}$/i
const LONGEST = 80

type State = { readonly [member: string]: unknown }

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value.slice(0, LONGEST) : undefined)

/** A colour that is always the same for a person. */
const colorFor = (user: string): string =>
  PALETTE[[...user].reduce((sum, character) => (sum * 31 + character.codePointAt(0)!) % 65_521, 7) % PALETTE.length]!

export class Presences implements Presence {
  readonly #tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('')
  readonly #others: Derived<readonly PresentPerson[]>
  readonly #shown = new Map<Part, Unsubscribe>()
  #fields: PresenceFields = {}

  constructor (readonly person: () => Person) {
    this.#others = new Derived(() => this.#find())
  }

  /** Shows this person in a document, and those who are there. */
  add (part: Part): void {
    this.drop(part)
    const { replica } = part
    if (replica === undefined) return
    const ends = [replica.present.on(() => this.#others.changed()), replica.reset.on(() => this.#show(part, replica))]
    this.#shown.set(part, () => { for (const end of ends) end() })
    this.#show(part, replica)
  }

  drop (part: Part): void {
    this.#shown.get(part)?.()
    this.#shown.delete(part)
    this.#others.changed()
  }

  set (fields: PresenceFields): void {
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
    this.#fields = { ...this.#fields, ...given }
    for (const part of this.#shown.keys()) if (part.replica !== undefined) this.#show(part, part.replica)
  }

  others (): readonly PresentPerson[] {
    return this.#others.get()
  }

  subscribe (listener: Listener<readonly PresentPerson[]>): Unsubscribe {
    return this.#others.subscribe(listener)
  }

  #show (part: Part, replica: Replica): void {
    const { id, name, role } = this.person()
    const { color, section, at, typing, zone, battery } = this.#fields
    const shade = color ?? colorFor(id)
    // Names of the fields of `user` as the editor bindings for Yjs have them.
    const state = { user: { id, name: name || id, role, color: shade, colorLight: shade + '33' }, tab: this.#tab }
    const more = { section, at: this.#atIn(part, at), typing: typing || undefined, zone, battery }
    const { awareness } = replica.provider
    const { cursor } = awareness.getLocalState() ?? {}
    const own = Object.fromEntries(Object.entries({ ...more, cursor }).filter(([, value]) => value !== undefined && value !== null))
    awareness.setLocalState({ ...state, ...own })
  }

  #atIn (part: Part, at: PresencePlace | null | undefined): object | undefined {
    const collection = at?.collection ?? ''
    if (collection !== part.name && collection.slice(0, collection.lastIndexOf('.')) !== part.name) return undefined
    const root = collection.slice(part.name.length + 1)
    return { root, ...(at?.record === undefined ? {} : { record: at.record }), ...(at?.field === undefined ? {} : { field: at.field }) }
  }

  #find (): readonly PresentPerson[] {
    const me = this.person().id
    const people = new Map<string, PresentPerson>()
    for (const part of this.#shown.keys()) {
      for (const [id, state] of part.replica?.provider.awareness.getStates() ?? []) {
        if (!isObject<unknown>(state) || Object.keys(state).length === 0) continue
        const tab = text(state['tab'])
        const user = userOf(state)
        const key = JSON.stringify([user['id'], tab ?? `${part.name} ${id}`]) // the server vouches for the user, not for the tab
        if (tab === this.#tab && user['id'] === me) continue
        const found = personOf(key, user, state, part)
        const known = people.get(key)
        people.set(key, known === undefined ? found : { ...known, at: known.at ?? found.at, typing: known.typing || found.typing })
      }
    }
    return Object.freeze([...people.values()].sort((one, other) => byUnit(one.name, other.name) || byUnit(one.key, other.key)))
  }

  /** Takes this person out of all documents. */
  end (): void {
    for (const part of [...this.#shown.keys()]) this.drop(part)
  }
}

const userOf = ({ user }: State): State => (isObject<unknown>(user) ? user : {})

const personOf = (key: string, user: State, state: State, part: Part): PresentPerson => {
  const id = text(user['id']) ?? ''
  const color = text(user['color']) ?? ''
  return {
    key,
    user: id,
    name: text(user['name'])?.trim() ?? '',
    role: text(user['role']) ?? '',
    color: HEX.test(color) ? color : colorFor(id),
    section: text(state['section']),
    at: placeIn(state['at'], part),
    typing: state['typing'] === true,
    zone: text(state['zone']),
    battery: typeof state['battery'] === 'number' ? state['battery'] : undefined
  }
}

const placeIn = (at: unknown, { name }: Part): PresencePlace | undefined => {
  const root = isObject(at) ? text(at['root']) : undefined
  if (!isObject(at) || root === undefined) return undefined
  const [record, field] = [text(at['record']), text(at['field'])]
  const collection = root === '' ? name : `${name}.${root}`
  return { collection, ...(record === undefined ? {} : { record }), ...(field === undefined ? {} : { field }) }
}
