// Where we are, in the hash of the address: `#/demo/guests/g_1`, wedding, view and record. It holds no person and no
// token; a token or a wedding in an older form of the hash is taken out of it as soon as it is read.
import { computed, signal } from '@preact/signals'

export const VIEWS = ['overview', 'guests', 'arrivals', 'seating', 'diets', 'timeline', 'budget', 'tasks', 'vendors', 'conflicts', 'messages', 'notes', 'settings'] as const
export type View = (typeof VIEWS)[number]

export interface Route {
  readonly wedding: string
  readonly view: View
  /** What is open in the view; '' for none. */
  readonly record: string
}

const NAME_IN_URL = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const FIRST_WEDDING = 'demo'
/** The note that is open where none is named. */
export const FIRST_NOTE = 'welcome'

export const isNameInUrl = (name: string): boolean => NAME_IN_URL.test(name)
const isView = (name: string | undefined): name is View => (VIEWS as readonly string[]).includes(name ?? '')

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}

/** The route that a hash says; what it lacks or spells wrongly is that of the start page. */
export const routeOf = (hash: string): Route => {
  const [wedding = '', view, record = ''] = hash.replace(/^#\/?/, '').split('/').map(decoded)
  const older = new URLSearchParams(hash.replace(/^#/, '')).get('wedding') ?? ''
  const named = [wedding, older].find(isNameInUrl) ?? FIRST_WEDDING
  return { wedding: named, view: isView(view) ? view : 'overview', record }
}

export const hashOf = ({ wedding, view, record }: Route): string =>
  '#/' + [wedding, view, ...(record === '' ? [] : [record])].map(encodeURIComponent).join('/')

const current = signal(routeOf(location.hash))

export const route = computed(() => current.value)
export const view = computed(() => current.value.view)
export const weddingName = computed(() => current.value.wedding)
export const openRecord = computed(() => current.value.record)

export const hrefOf = (to: Partial<Route>): string => hashOf({ ...current.value, record: '', ...to })

/** Goes somewhere else; a record is an entry of the browser's history, as a view is. */
export const go = (to: Partial<Route>): void => {
  const next = hrefOf(to)
  if (next !== location.hash) location.hash = next
}

/** Follows the address from now on, and gives back the token that stood in it, or ''. */
export const startRouter = (): string => {
  const token = (new URLSearchParams(location.hash.replace(/^#/, '')).get('token') ?? '').trim()
  history.replaceState(null, '', hashOf(current.value))
  addEventListener('hashchange', () => { current.value = routeOf(location.hash) })
  return token
}
