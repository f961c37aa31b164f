// Who is here, from awareness: { user: { name, color }, cursor }. All of it is written by others and may have any
// shape; nothing of it reaches the page but as text, a checked colour and a number.
import { COLOURS } from './place.js'
import { selectionOf } from './carets.js'

const HEX = /^#[0-9a-f]{6}$/i
const PALETTE = Object.values(COLOURS)

const nameOf = (user) => (typeof user?.name === 'string' && user.name.trim().slice(0, 40)) || 'Somebody'
const colourOf = (user, id) => (HEX.test(user?.color) ? user.color : PALETTE[id % PALETTE.length])
const initials = (name) => {
  const words = name.split(/\s+/).map((word) => [...word][0])
  return (words.length > 1 ? words[0] + words.at(-1) : words[0]).toLocaleUpperCase()
}

/** Everybody in the note, ourselves first, then by name. */
export const peopleIn = (awareness, doc, ytext) =>
  [...awareness.getStates()]
    .filter(([, state]) => state !== null && typeof state === 'object')
    .map(([id, state]) => ({
      id,
      isYou: id === awareness.clientID,
      name: nameOf(state.user),
      colour: colourOf(state.user, id),
      selection: selectionOf(doc, ytext, state)
    }))
    .sort((a, b) => b.isYou - a.isYou || a.name.localeCompare(b.name) || a.id - b.id)

const face = (person) => {
  const span = document.createElement('span')
  span.className = 'face'
  span.style.setProperty('--person', person.colour)
  span.textContent = initials(person.name)
  span.setAttribute('aria-hidden', 'true')
  return span
}

const doing = ({ selection, isYou }, text) => {
  if (selection === null) return isYou ? 'not in the text' : 'reading along'
  return 'at line ' + (text.slice(0, selection.head).split('\n').length)
}

const row = (person, text) => {
  const item = document.createElement('li')
  item.dataset.client = person.id
  const who = document.createElement('span')
  who.className = 'who'
  who.textContent = person.name
  if (person.isYou) who.append(Object.assign(document.createElement('i'), { textContent: ' (you)' }))
  const what = Object.assign(document.createElement('span'), { className: 'what', textContent: doing(person, text) })
  item.append(face(person), who, what)
  return item
}

/** Fills the list of people and the row of faces. */
export const showPeople = (list, faces, people, text) => {
  list.replaceChildren(...people.map((person) => row(person, text)))
  const first = people.slice(0, 5).map(face)
  if (people.length > 5) first.push(face({ name: '+' + (people.length - 5), colour: COLOURS.slate }))
  faces.replaceChildren(...first.map((span) => {
    const item = document.createElement('li')
    item.append(span)
    return item
  }))
}
