// Documents as people call them.
import { t, type Key } from '../i18n/index.js'
import type { Plan } from '../state/plan.js'
import { threadsOf } from '../state/threads.js'

const NAMES: Readonly<Record<string, Key>> = {
  wedding: 'settings.wedding', guests: 'view.guests', care: 'care.title', seating: 'view.seating', timeline: 'view.timeline', budget: 'view.budget', thread: 'view.messages', notes: 'view.notes'
}

/** The name of the view, and the title of a conversation or the name of a note. */
export const nameOfDocument = (plan: Plan, document: string): string => {
  const [kind = '', id] = document.split(/[.@]/)
  const title = kind === 'notes' ? id : kind === 'thread' ? threadsOf(plan).threads.value.find((thread) => thread.id === id)?.title : undefined
  const key = NAMES[kind]
  return [key && t(key), title].filter(Boolean).join(': ') || document
}
