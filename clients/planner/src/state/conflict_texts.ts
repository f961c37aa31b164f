// What conflicts are about, in the language of the page. Their documents have it in English; in other languages the server
// says it, when one is there of which it has not been said yet. Without a connection they stay in English.
import { effect, signal, type ReadonlySignal } from '@preact/signals'
import type { Conflict } from 'crdt-server-client'
import { language } from '../i18n/index.js'
import { valueOf } from './follow.js'
import type { Plan } from './plan.js'

const TOGETHER_MS = 200

/** A record of `GET …/conflicts`, as far as it is words. */
interface Said {
  readonly id: string
  readonly document: string
  readonly _at?: string
  readonly _summary?: string
  readonly _options?: readonly { readonly id: number; readonly text: string }[]
  readonly _parties?: readonly { readonly text?: string }[]
}

/** One that is found again has another time. */
const keyOf = (target: string, id: string, at: string): string => `${target} ${id} ${at}`

const inWords = (conflict: Conflict, said: Said | undefined): Conflict => {
  if (said === undefined) return conflict
  const options = conflict.options.map((option) => ({ ...option, text: said._options?.find(({ id }) => id === option.id)?.text ?? option.text }))
  return {
    ...conflict,
    summary: said._summary ?? conflict.summary,
    options,
    undo: options.find(({ id }) => id === conflict.undo?.id),
    people: conflict.people.map((party, at) => ({ ...party, text: said._parties?.[at]?.text ?? party.text }))
  }
}

/** `conflicts` in words of the language of the page. */
export const translated = ({ wedding }: Plan, conflicts: ReadonlySignal<readonly Conflict[]>): () => readonly Conflict[] => {
  const texts = signal<ReadonlyMap<string, Said>>(new Map())
  const requested = new Set<string>()
  let soon: ReturnType<typeof setTimeout> | undefined

  const load = async (): Promise<void> => {
    soon = undefined
    const target = language.peek()
    const missing = conflicts.peek().map(({ id, at }) => keyOf(target, id, at)).filter((key) => !requested.has(key))
    missing.forEach((key) => requested.add(key))
    try {
      const found = new Map(texts.peek())
      let after = ''
      do {
        const page: { conflicts: readonly Said[]; next: string | null } = await wedding.call('GET', 'conflicts', { query: { language: target, after } })
        for (const said of page.conflicts) found.set(keyOf(target, `${said.document}/${said.id}`, said._at ?? ''), said)
        after = page.next ?? ''
      } while (after !== '')
      texts.value = found
    } catch {
      missing.forEach((key) => requested.delete(key)) // the next change, or connection, requests them again
    }
  }
  effect(() => {
    const target = language.value
    const isMissing = conflicts.value.some(({ id, at }) => !requested.has(keyOf(target, id, at)))
    const isOnline = valueOf(wedding.status).value.connection === 'online'
    if (target !== 'en' && isMissing && isOnline) soon ??= setTimeout(() => void load(), TOGETHER_MS)
  })
  return () => conflicts.value.map((conflict) => inWords(conflict, texts.value.get(keyOf(language.value, conflict.id, conflict.at))))
}
