// Where we are and who we are, kept in the URL's hash: #wedding=demo&tab=timeline&note=welcome&thread=t_1&name=Ann
// &colour=rose&user=u_1&role=couple, and vendor, guest or side for those who are one. The query says the same where the
// hash says nothing. A link for others carries no person; who we were last is remembered by the browser. With a token the
// server says who we are, and neither hash nor memory does; a token in the hash is taken out of it at once (session.js).
import { newId } from './ids.js'
import { tokenIn, weddingOf } from './session.js'

export const COLOURS = {
  rose: '#b0416b',
  terracotta: '#b3541e',
  olive: '#66701c',
  sage: '#2f7a58',
  lagoon: '#1f7488',
  cornflower: '#3566b8',
  violet: '#7a4fb5',
  slate: '#5a6478'
}
export const TABS = ['timeline', 'budget', 'guests', 'seating', 'conflicts', 'note', 'messages', 'inbox', 'preferences']
export const ROLES = ['couple', 'planner', 'coordinator', 'venue', 'caterer', 'photographer', 'vendor', 'family',
  'wedding_party', 'guest']
const SIDES = ['a', 'b']

// What the server accepts in a URL without escaping.
const NAME_IN_URL = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const FIRST_NAMES = ['Ada', 'Bao', 'Chloé', 'Dara', 'Emeka', 'Freya', 'Goran', 'Hana', 'Ines', 'Jonas', 'Kofi', 'Lina']
const REMEMBERED = 'wedding-planner.you'

const pick = (list) => list[Math.floor(Math.random() * list.length)]

const remembered = () => {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED)) ?? {}
  } catch {
    return {} // storage may be forbidden, or hold what another program wrote
  }
}

const personIn = ({ name, colour, user, role, vendor, guest, side }) => {
  const more = Object.entries({ vendor, guest, side }).filter(([, value]) => value)
  return { name, colour, user, role, ...Object.fromEntries(more) }
}

const remember = (place) => {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify(personIn(place)))
  } catch {
    // Storage may be forbidden: the hash still says who we are.
  }
}

export const isNameInUrl = (value) => NAME_IN_URL.test(value)

/** Reads hash and query; what they lack or spell wrongly is filled from memory or chosen. */
export const readPlace = () => {
  const [hash, query, you] = [new URLSearchParams(location.hash.slice(1)), new URLSearchParams(location.search), remembered()]
  const said = (key) => hash.get(key) ?? query.get(key) ?? ''
  const own = (key) => said(key) || (typeof you[key] === 'string' ? you[key] : '')
  const among = (key, values, otherwise) => [said(key), you[key]].find((value) => values.includes(value)) ?? otherwise
  const valid = (value, otherwise) => (isNameInUrl(value) ? value : otherwise())
  return {
    wedding: valid(said('wedding') || weddingOf(tokenIn(location.hash)), () => 'demo'),
    tab: TABS.includes(said('tab')) ? said('tab') : said('note') ? 'note' : TABS[0],
    note: valid(said('note'), () => 'welcome'),
    thread: valid(said('thread'), () => ''), // the conversation that is open, if one is
    name: own('name').trim().slice(0, 40) || pick(FIRST_NAMES),
    colour: among('colour', Object.keys(COLOURS), pick(Object.keys(COLOURS))),
    user: valid(own('user'), () => newId('u')),
    role: among('role', ROLES, ROLES[0]),
    vendor: valid(own('vendor'), () => ''),
    guest: valid(own('guest'), () => ''),
    side: among('side', SIDES, ''),
    enforce: said('enforce') === '1' ? '1' : '',
    isProven: false
  }
}

/** A place with the person that the server knows. */
export const proven = (place, { name, ...person }) => ({ ...place, ...person, name: name || place.name, isProven: true })

/** Writes the hash without adding to the browser's history. */
export const writePlace = (place) => {
  if (!place.isProven) remember(place)
  const { wedding, tab, note, thread, colour, enforce } = place
  const person = place.isProven ? { colour } : { ...personIn(place), ...(enforce ? { enforce } : {}) }
  history.replaceState(null, '', '#' + new URLSearchParams({ wedding, tab, note, ...(thread ? { thread } : {}), ...person }))
}

/** The URL to give to somebody else. */
export const linkTo = ({ wedding, tab, note, thread }) => {
  const url = new URL(location.href)
  url.search = ''
  const which = { note: { note }, messages: thread ? { thread } : {} }[tab] ?? {}
  url.hash = String(new URLSearchParams({ wedding, tab, ...which }))
  return url.href
}
