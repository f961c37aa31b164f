// Who this browser says it is towards a server with `--dev`, which believes it. Kept by the browser, never in the address.
import { newId, type OpenOptions } from 'crdt-server-client'
import { signal } from '@preact/signals'
import { ROLES } from '../state/people.js'

export type Pretended = NonNullable<OpenOptions['dev']> & { readonly name: string }

const KEPT = 'wedding-planner.pretended'
const FIRST_NAMES = ['Ada', 'Bao', 'Chloé', 'Dara', 'Emeka', 'Freya', 'Goran', 'Hana', 'Ines', 'Jonas', 'Kofi', 'Lina']

export const newPerson = (): string => newId('people').replace(/^r_/, 'u_')

const read = (): Pretended => {
  const name = FIRST_NAMES[Math.floor(Math.random() * FIRST_NAMES.length)]!
  const fresh = { user: newPerson(), role: 'couple', name }
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? '{}') as Partial<Pretended>
    const isKnown = (ROLES as readonly string[]).includes(kept.role ?? '')
    return isKnown && typeof kept.user === 'string' && typeof kept.name === 'string' ? { ...fresh, ...kept } : fresh
  } catch {
    return fresh // storage may be forbidden, or hold what another program wrote
  }
}

const kept = signal(read())

const keep = (person: Pretended): void => {
  try {
    localStorage.setItem(KEPT, JSON.stringify(person))
  } catch {
    // Storage may be forbidden: the person lasts as long as the page.
  }
}
keep(kept.peek())

export const pretended = kept

/** Becomes somebody else. The wedding is to be opened anew. */
export const pretend = (person: Partial<Pretended>): void => {
  kept.value = { ...kept.peek(), ...person }
  keep(kept.peek())
}
