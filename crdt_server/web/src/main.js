// The page: reads the place from the URL, opens a session there, and shows what the session tells.
import { COLOURS, isNameInUrl, linkTo, readPlace, writePlace } from './place.js'
import { Session } from './session.js'
import { showPeople } from './people.js'

const $ = (id) => document.getElementById(id)
const say = (id, state, label) => {
  const element = $(id)
  if (element.dataset.state !== state) element.dataset.state = state
  const text = element.querySelector('.label')
  if (text.textContent !== label) text.textContent = label
}

const CONNECTION = { connecting: 'Connecting', connected: 'Live', disconnected: 'Offline' }
const CLOSED = {
  4400: 'The server could not read what this tab sent. Copy your unsaved text and reload.',
  4401: 'The server wants a token. This page only works with a server started with --dev.',
  4403: 'You may not open this note.',
  4404: 'There is no such wedding or note.',
  4409: 'The server refused a change of this tab. Copy your unsaved text and reload.',
  4410: 'This note has been erased.'
}

let place = readPlace()
let session = null
let waiting = 0
let everSynced = false
let known = new Map() // the people seen last, id -> name

const page = {
  connection (status) {
    say('connection', status, CONNECTION[status])
  },
  receipts (count, synced) {
    waiting = count
    everSynced ||= synced
    $('text').disabled = !everSynced
    if (!everSynced) say('saved', 'loading', 'Loading')
    else if (count === 0) say('saved', 'saved', 'Saved')
    else if (synced) say('saved', 'saving', 'Saving')
    else say('saved', 'kept', 'Not saved: kept in this tab')
  },
  text (text) {
    const words = text.trim() === '' ? 0 : text.trim().split(/\s+/).length
    $('count').textContent = `${words} ${words === 1 ? 'word' : 'words'}`
  },
  people (people, text) {
    showPeople($('people'), $('faces'), people, text)
    $('people-count').textContent = people.length
    $('alone').hidden = people.length > 1
    announce(people)
  },
  closed (code, reason) {
    $('notice').hidden = false
    $('notice').textContent = CLOSED[code] ?? `The server closed the connection: ${reason || code}.`
    say('connection', 'closed', 'Closed')
    $('text').readOnly = true
  }
}

const announce = (people) => {
  const now = new Map(people.filter(({ isYou }) => !isYou).map(({ id, name }) => [id, name]))
  for (const [id, name] of now) if (!known.has(id)) $('announcer').textContent = `${name} is here`
  for (const [id, name] of known) if (!now.has(id)) $('announcer').textContent = `${name} has left`
  known = now
}

const open = () => {
  session?.close()
  everSynced = false
  known = new Map()
  writePlace(place)
  document.title = `${place.note} · Wedding notes`
  $('wedding-title').textContent = $('wedding').value = place.wedding
  $('note-title').textContent = $('note').value = place.note
  $('name').value = place.name
  $('notice').hidden = true
  $('text').readOnly = false
  page.receipts(0, false)
  page.connection('connecting')
  session = new Session(place, place, { area: $('text'), mirror: $('mirror') }, page)
}

const rename = (change) => {
  place = { ...place, ...change }
  writePlace(place)
  session.introduce(place)
}

const swatch = (colour) => {
  const label = document.createElement('label')
  label.title = colour
  label.style.setProperty('--person', COLOURS[colour])
  const input = Object.assign(document.createElement('input'), {
    type: 'radio', name: 'colour', value: colour, checked: colour === place.colour
  })
  input.setAttribute('aria-label', colour)
  input.addEventListener('change', () => rename({ colour }))
  label.append(input)
  return label
}

const leaveAnyway = () => waiting === 0 || confirm('Some edits are not saved yet and would be lost. Leave this note?')

$('swatches').append(...Object.keys(COLOURS).map(swatch))
$('you').addEventListener('submit', (event) => event.preventDefault())
$('name').addEventListener('input', () => {
  const name = $('name').value.trim()
  if (name !== '') rename({ name })
})
for (const id of ['wedding', 'note']) {
  $(id).addEventListener('input', () => {
    const wrong = !isNameInUrl($(id).value.trim())
    $(id).setCustomValidity(wrong ? 'Letters, digits, - and _; the first a letter or digit' : '')
  })
}
$('place').addEventListener('submit', (event) => {
  event.preventDefault()
  if (!leaveAnyway()) return
  place = { ...place, wedding: $('wedding').value.trim(), note: $('note').value.trim() }
  open()
})
$('copy').addEventListener('click', async () => {
  const link = linkTo(place)
  try {
    await navigator.clipboard.writeText(link)
    $('copy').textContent = 'Link copied'
  } catch {
    prompt('The link to this note', link) // no clipboard outside secure contexts
  }
})
addEventListener('hashchange', () => {
  const next = readPlace()
  const elsewhere = next.wedding !== place.wedding || next.note !== place.note
  if (elsewhere && !leaveAnyway()) {
    writePlace(place)
    return
  }
  place = next
  for (const input of document.querySelectorAll('[name=colour]')) input.checked = input.value === place.colour
  $('name').value = place.name
  if (elsewhere) open()
  else rename(place)
})
addEventListener('beforeunload', (event) => {
  if (waiting > 0) event.preventDefault()
})
open()
