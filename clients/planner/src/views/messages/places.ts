// Where something is shown that the server names by its document.
import type { Route, View } from '../../router.js'

const THREAD = 'thread.'
const NOTE = 'notes.'
const VIEWS: Readonly<Record<string, View>> = { timeline: 'timeline', budget: 'budget', guests: 'guests', seating: 'seating', care: 'guests', wedding: 'settings' }

/** Undefined where no view shows it. */
export const placeOf = ({ type = '', document, record }: { type?: string; document: string; record: string }): Partial<Route> | undefined => {
  if (document.startsWith(THREAD)) return { view: 'messages', record: document.slice(THREAD.length) }
  if (document.startsWith(NOTE)) return { view: 'notes', record: document.slice(NOTE.length) }
  if (type.startsWith('conflict.')) return { view: 'conflicts' }
  const view = VIEWS[document.split('@')[0] ?? '']
  return view && { view, record }
}
