// Where we are and who we are, kept in the URL's hash: #wedding=demo&note=welcome&name=Ann&colour=rose
// A link to a note carries wedding and note only; the name last used is remembered by the browser.

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

// What the server accepts in a URL without escaping.
const NAME_IN_URL = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const FIRST_NAMES = ['Ada', 'Bao', 'Chloé', 'Dara', 'Emeka', 'Freya', 'Goran', 'Hana', 'Ines', 'Jonas', 'Kofi', 'Lina']
const REMEMBERED = 'wedding-notes.you'

const pick = (list) => list[Math.floor(Math.random() * list.length)]

const remembered = () => {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED)) ?? {}
  } catch {
    return {} // storage may be forbidden, or hold what another program wrote
  }
}

const remember = (name, colour) => {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify({ name, colour }))
  } catch {
    // Storage may be forbidden: the hash still keeps name and colour.
  }
}

export const isNameInUrl = (value) => NAME_IN_URL.test(value)

/** Reads the hash; what it lacks or spells wrongly is filled from memory or chosen. */
export const readPlace = () => {
  const hash = new URLSearchParams(location.hash.slice(1))
  const you = remembered()
  const valid = (key, fallback) => (isNameInUrl(hash.get(key) ?? '') ? hash.get(key) : fallback)
  const colour = [hash.get('colour'), you.colour].find((name) => Object.hasOwn(COLOURS, name ?? ''))
  const name = (hash.get('name') ?? (typeof you.name === 'string' ? you.name : '')).trim().slice(0, 40)
  return {
    wedding: valid('wedding', 'demo'),
    note: valid('note', 'welcome'),
    name: name || pick(FIRST_NAMES),
    colour: colour ?? pick(Object.keys(COLOURS))
  }
}

/** Writes the hash without adding to the browser's history. */
export const writePlace = ({ wedding, note, name, colour }) => {
  remember(name, colour)
  history.replaceState(null, '', '#' + new URLSearchParams({ wedding, note, name, colour }))
}

/** The URL to give to somebody else. */
export const linkTo = ({ wedding, note }) => {
  const url = new URL(location.href)
  url.hash = String(new URLSearchParams({ wedding, note }))
  return url.href
}
