// What the server has said that a person may open and write: the answer of `join`. It decides what a program offers; the
// server decides what counts.
import type { Joined, OpenDocument } from './http.js'
import type { Person } from './types.js'

/** Documents that every wedding has. */
export const PARTS = ['wedding', 'timeline', 'budget', 'guests', 'care', 'seating'] as const

export interface FieldAt {
  readonly root: string
  readonly id: string
  /** Of the document: `rsvp:e_1`; '' for the record itself. */
  readonly key: string
  /** A value of the record, by its key in the document. */
  readonly value: (key: string) => unknown
}

/** The document that shows a part: the whole one, else a derived one. */
export const documentFor = ({ documents }: Joined, part: string): OpenDocument | undefined =>
  documents.find(({ name }) => name === part) ?? documents.find(({ name }) => name.startsWith(part + '@'))

/** A document of a family, such as `thread.t_1`, if it may be opened, also where there is none yet. */
export const documentOfFamily = ({ documents, families }: Joined, name: string): OpenDocument | undefined => {
  const family = families.find((each) => each.name === `${name.split('.')[0]}.*`)
  return documents.find((each) => each.name === name) ?? (family === undefined ? undefined : { ...family, name })
}

/** Whether a record is one's own, as far as the record says. */
const isOwn = ({ role, vendor, guest, side }: Person, { root, id, value }: FieldAt): boolean => {
  if (root === 'items') return vendor !== '' && value(`vendor:${vendor}`) === true
  if (root === 'vendors') return id === vendor || vendor === ''
  if (root !== 'guests' && root !== 'households') return true
  if (role === 'family') return id === '' || (side !== '' && value('side') === side)
  return role !== 'guest' || id === '' || id === guest || value('plusOneOf') === guest
}

/** Whether a person may write a field of a document. */
export const mayWrite = (document: OpenDocument | undefined, person: Person, field: FieldAt): boolean => {
  if (document === undefined || document.write === 'none') return false
  if (document.write === 'all') return true
  const { root, key } = field
  const parts = [root, ...(key === '' ? [] : [`${root}.${key}`, `${root}.${key.split(':')[0]}:`])]
  return document.writable.some((part) => parts.includes(part)) && isOwn(person, field)
}

/** Whether two answers open and allow the same. */
export const sameRights = (one: Joined, other: Joined): boolean => {
  const [a, b] = [one, other].map(({ person, documents, families }) => {
    const listed = documents.filter(({ name }) => !name.includes('.') || name.includes('@'))
    return JSON.stringify([person, listed, families])
  })
  return a === b
}
