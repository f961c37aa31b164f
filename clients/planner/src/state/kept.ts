// What the client package does not keep of a wedding: lists that the server answers with. The last ones stay on this device
// for whoever was here, until they sign out or are shut out.
import type { Wedding } from 'crdt-server-client'

const PREFIX = 'wedding-planner.kept.'

/** Weddings that are left: an answer that comes later is not kept any more. */
const forgotten = new WeakSet<Wedding>()

const keyOf = ({ name, person }: Wedding, what: string): string =>
  `${PREFIX}${encodeURIComponent(name)}/${encodeURIComponent(person.user)}/${what}`

/** What was kept last; undefined where nothing was. */
export const kept = <T>(wedding: Wedding, what: string): T | undefined => {
  try {
    const text = localStorage.getItem(keyOf(wedding, what))
    return text === null ? undefined : JSON.parse(text) as T
  } catch {
    return undefined // storage may be forbidden, or hold what another program wrote
  }
}

export const keep = (wedding: Wedding, what: string, value: unknown): void => {
  if (forgotten.has(wedding)) return
  try {
    localStorage.setItem(keyOf(wedding, what), JSON.stringify(value))
  } catch {
    // Storage may be forbidden or full: it is there as long as the page.
  }
}

/** Deletes all that was kept of this person in this wedding, and keeps nothing more. */
export const forgetKept = (wedding: Wedding): void => {
  forgotten.add(wedding)
  const own = keyOf(wedding, '')
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(own)) localStorage.removeItem(key)
  } catch {
    // Storage is forbidden: nothing was kept.
  }
}
