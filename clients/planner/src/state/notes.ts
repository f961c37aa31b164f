// Which notes there are: names of documents, as the server lists them; those of the last time where it cannot be reached.
import { signal, type ReadonlySignal } from '@preact/signals'
import { ServerError, type Wedding } from 'crdt-server-client'
import { keep, kept } from './kept.js'

const PREFIX = 'notes.'
const KEPT = 'notes'
const LONGEST = 64

export interface NoteList {
  readonly names: ReadonlySignal<readonly string[]>
  /** Asks the server again; without a connection the list stays. */
  load (): Promise<void>
}

const lists = new WeakMap<Wedding, NoteList>()

const namesOf = async (wedding: Wedding): Promise<readonly string[]> => {
  const names: string[] = []
  for (let after: string | null = ''; after !== null;) {
    const { documents, next }: { documents: readonly { readonly name: string }[]; next: string | null } = await wedding.call('GET', 'documents', { query: { after } })
    names.push(...documents.flatMap(({ name }) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : [])))
    after = next
  }
  return names
}

export const notesOf = (wedding: Wedding): NoteList => {
  const found = lists.get(wedding)
  if (found !== undefined) return found
  const names = signal<readonly string[]>(kept<readonly string[]>(wedding, KEPT) ?? [])
  const load = async (): Promise<void> => {
    try {
      keep(wedding, KEPT, names.value = await namesOf(wedding))
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
    }
  }
  const list = { names, load }
  lists.set(wedding, list)
  return list
}

/** The name of a note in its address: `Packing list` is `Packing-list`; '' where nothing of it can be one. */
export const slugOf = (typed: string): string =>
  typed.normalize('NFKD').replace(/\p{M}/gu, '').replace(/[^A-Za-z0-9_]+/g, '-').replace(/^[-_]+|[-_]+$/g, '').slice(0, LONGEST)

/** As people read it. */
export const noteTitle = (slug: string): string => {
  const words = slug.replace(/[-_]+/g, ' ').trim()
  return words.charAt(0).toLocaleUpperCase() + words.slice(1)
}
