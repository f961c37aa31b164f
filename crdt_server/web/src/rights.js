// What the server has said that a person may open and write: the answer of `join`. It decides what the page offers; the
// server decides what counts.

/** Parts of the plan, each a document or what is derived from it for an audience. */
export const PARTS = ['wedding', 'timeline', 'budget', 'guests', 'care', 'seating']
const SHOWN = ['timeline', 'budget', 'guests', 'seating'] // each in a tab of its name

/** The part that a document shows: `timeline@public` the timeline. */
export const partOf = (name) => name.split('@')[0]

export const isDerived = (name) => name.includes('@')

/** The document that shows a part of the plan: the whole one, else a derived one, else null. */
export const documentFor = ({ documents }, part) =>
  documents.find(({ name }) => name === part) ?? documents.find(({ name }) => name.startsWith(part + '@')) ?? null

/** A note, if it may be opened, also where there is none yet. */
export const noteFor = ({ documents, families }, note) => {
  const name = `notes.${note}`
  const family = families.find((each) => each.name === 'notes.*')
  return documents.find((each) => each.name === name) ?? (family === undefined ? null : { ...family, name })
}

/** What somebody may do with conversations: `read`, `write`, `write_own`, … Without any of it there is no inbox either. */
export const messageRights = ({ permissions = {} }) => permissions.messages ?? []

/** The tabs with something to see. */
export const tabsFor = (joined, note) => [
  ...SHOWN.filter((part) => documentFor(joined, part) !== null),
  ...(joined.documents.some(({ name }) => PARTS.includes(name)) ? ['conflicts'] : []),
  ...(noteFor(joined, note) === null ? [] : ['note']),
  ...(messageRights(joined).length === 0 ? [] : ['messages', 'inbox', 'preferences'])
]

/** Whether a record is one's own, as far as the record says. */
const isOwn = ({ role, vendor, guest, side }, { root, id, record }) => {
  const value = (key) => (typeof record?.get === 'function' ? record.get(key) : undefined)
  if (root === 'items') return vendor !== '' && value(`vendor:${vendor}`) === true
  if (root === 'vendors') return id === vendor || vendor === ''
  if (root !== 'guests' && root !== 'households') return true
  if (role === 'family') return side !== '' && value('side') === side
  return role !== 'guest' || id === guest || value('plusOneOf') === guest
}

/** Whether a person may write a field `{ root, id, record, key }` of a document. */
export const mayWrite = (document, person, field) => {
  if (document === null || document === undefined || document.write === 'none') return false
  if (document.write === 'all') return true
  const { root, key } = field
  const parts = [root, `${root}.${key}`, `${root}.${key.split(':')[0]}:`]
  return document.writable.some((part) => parts.includes(part)) && isOwn(person, field)
}

/** Whether two answers open and allow the same. */
export const sameRights = (one, other) => {
  const [a, b] = [one, other].map(({ person, documents, families, permissions }) => {
    const rights = ({ name, write, writable }) => [name, write, writable]
    const listed = documents.filter(({ name }) => !name.includes('.') || isDerived(name))
    return JSON.stringify([person, listed.map(rights), families.map(rights), permissions?.messages])
  })
  return a === b
}
