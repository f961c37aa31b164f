// Who is here and where, from the awareness of all documents: { user: { id, name, role, color }, tab, at, cursor }. All of
// it is written by others and may have any shape; nothing of it reaches the page but as text, a checked colour and a
// number.
import { h } from './dom.js'
import { COLOURS } from './place.js'
import { initials } from './records.js'

const HEX = /^#[0-9a-f]{6}$/i
const PALETTE = Object.values(COLOURS)

const nameOf = (user) => (typeof user?.name === 'string' && user.name.trim().slice(0, 40)) || 'Somebody'
const colourOf = (user, id) => (HEX.test(user?.color) ? user.color : PALETTE[id % PALETTE.length])

/** How a state of awareness is shown: { user, name, colour, role }. */
export const personOf = (state, id) => ({
  user: typeof state.user?.id === 'string' ? state.user.id : '',
  name: nameOf(state.user),
  colour: colourOf(state.user, id),
  role: typeof state.user?.role === 'string' ? state.user.role.slice(0, 32).replaceAll('_', ' ') : ''
})

const placesOf = ({ at }, document) =>
  (typeof at?.root === 'string' && typeof at.record === 'string' ? [{ document, root: at.root, record: at.record }] : [])

/** Everybody in these links, each tab once: ourselves first, then by name. `places` are records they are in. */
export const peopleIn = (links, ownTab) => {
  const people = new Map()
  for (const { part: document, awareness } of links) {
    for (const [id, state] of awareness.getStates()) {
      if (state === null || typeof state !== 'object') continue
      const key = typeof state.tab === 'string' ? state.tab : `${document} ${id}`
      if (!people.has(key)) people.set(key, { key, isYou: key === ownTab, ...personOf(state, id), places: [] })
      people.get(key).places.push(...placesOf(state, document))
    }
  }
  return [...people.values()].sort((a, b) => b.isYou - a.isYou || a.name.localeCompare(b.name) || (a.key < b.key ? -1 : 1))
}

const face = ({ name, colour }) => {
  const span = h('span', { class: 'face', 'aria-hidden': 'true' }, initials(name))
  span.style.setProperty('--person', colour)
  return span
}

const row = (person, where) => {
  const who = h('span', { class: 'who', dir: 'auto' }, person.name)
  if (person.isYou) who.append(h('i', {}, ' (you)'))
  const what = [person.role, person.places.map(where).filter(Boolean)[0]].filter(Boolean).join(' · ')
  return h('li', {}, face(person), who, h('span', { class: 'what', dir: 'auto' }, what || 'looking around'))
}

/** Fills the list of people and the row of faces. `where` says where a place is. */
export const showPeople = (list, faces, people, where) => {
  list.replaceChildren(...people.map((person) => row(person, where)))
  const first = people.slice(0, 5).map(face)
  if (people.length > 5) first.push(face({ name: '+' + (people.length - 5), colour: COLOURS.slate }))
  faces.replaceChildren(...first.map((span) => h('li', {}, span)))
}

let marked = []

/** Marks the records that others are in. A record on the page is an element with `data-at`. */
export const markRecords = (panel, people) => {
  for (const element of marked) {
    delete element.dataset.who
    element.style.removeProperty('--person')
  }
  marked = []
  for (const { name, colour, isYou, places } of people) {
    if (isYou) continue
    for (const { document, root, record } of places) {
      const element = panel.querySelector(`[data-at="${CSS.escape(`${document}/${root}/${record}`)}"]`)
      if (element === null) continue
      element.dataset.who = element.dataset.who ? `${element.dataset.who}, ${name}` : name
      element.style.setProperty('--person', colour)
      marked.push(element)
    }
  }
}
