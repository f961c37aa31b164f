// The page: reads place and person from the URL, opens the wedding, and shows the tab that is chosen.
import { BudgetView } from './budget.js'
import { ConflictsView, reviews } from './conflicts.js'
import { h, say } from './dom.js'
import { GuestsView } from './guests.js'
import { NoteView } from './note.js'
import { markRecords, showPeople } from './people.js'
import { COLOURS, TABS, linkTo, readPlace, writePlace } from './place.js'
import { DOCUMENTS, Planner } from './planner.js'
import { text } from './records.js'
import { SeatingView } from './seating.js'
import { TimelineView } from './timeline.js'
import { toast } from './toast.js'
import { showYou, watchYou } from './you.js'

const $ = (id) => document.getElementById(id)
const badge = (id, state, label) => {
  $(id).dataset.state = state
  say($(id).querySelector('.label'), label)
}

const CONNECTION = { connecting: 'Connecting', connected: 'Live', disconnected: 'Offline', closed: 'Closed' }
const CLOSED = {
  4400: 'The server could not read what this tab sent. Copy what is not saved and reload.',
  4401: 'This link has no token, or one that has expired. Open a new link (#token=...).',
  4403: 'You may not open this in this role.',
  4404: 'There is no such wedding or document.',
  4409: 'The server refused a change of this tab. Copy what is not saved and reload.',
  4410: 'This has been erased.'
}

// One view for each tab but the note, whose textarea stands in the page from the start.
const views = {
  timeline: new TimelineView($('panel-timeline')),
  budget: new BudgetView($('panel-budget')),
  guests: new GuestsView($('panel-guests')),
  seating: new SeatingView($('panel-seating')),
  conflicts: new ConflictsView($('panel-conflicts'))
}

let place = readPlace()
let planner = null
let note = null
let known = new Map() // the people seen last, key -> name
let frame = 0

/** Shows everything anew with the next frame, however many updates come before it. */
const refresh = () => {
  cancelAnimationFrame(frame)
  frame = requestAnimationFrame(() => {
    views[place.tab]?.render(planner)
    const open = reviews(planner, 'open').length
    $('open-conflicts').hidden = open === 0
    say($('open-conflicts'), String(open))
    say($('wedding-title'), text(planner.map('wedding', 'meta'), 'title', place.wedding))
    showYou(planner, place)
    showPresence()
  })
}

const showPresence = () => {
  const { people } = planner
  showPeople($('people'), $('faces'), people, labelOf)
  say($('people-count'), String(people.length))
  $('alone').hidden = people.length > 1
  markRecords($('panel-' + place.tab), people)
  const now = new Map(people.filter(({ isYou }) => !isYou).map(({ key, name }) => [key, name]))
  for (const [key, name] of now) if (!known.has(key)) say($('announcer'), `${name} is here`)
  for (const [key, name] of known) if (!now.has(key)) say($('announcer'), `${name} has left`)
  known = now
}

/** What a record is called, for saying where somebody is; nothing for places that this page does not have. */
const labelOf = ({ document, root, record }) => {
  if (root === 'assignments' || root === 'guests') return text(planner.map('guests', 'guests').get(record), 'firstName')
  if (!DOCUMENTS.includes(document) || !['items', 'categories', 'tables', 'review'].includes(root)) return ''
  const found = planner.map(document, root).get(record)
  return ['title', 'name', 'label', '_summary'].map((key) => text(found, key)).find(Boolean) ?? document
}

const showState = () => {
  const { status, waiting, synced, everSynced } = planner
  badge('connection', status, planner.offline ? 'Offline, as you asked' : CONNECTION[status])
  $('offline').setAttribute('aria-checked', String(planner.offline))
  $('text').disabled = !planner.note.everSynced
  if (!everSynced) badge('saved', 'loading', 'Loading')
  else if (waiting === 0) badge('saved', 'saved', 'Saved')
  else if (synced) badge('saved', 'saving', 'Saving')
  else badge('saved', 'kept', 'Not saved: kept in this tab')
  $('saved').title = waiting === 0 ? '' : `${waiting} edits wait for the server's receipt`
}

const sentence = (words) => (/[.!?]$/.test(words) ? words : words + '.')

/** What the server has taken back: the field of the record, or how many there are. */
const takenBack = (document, reverted) => {
  if (reverted.length > 1) return `${reverted.length} edits`
  const { root, record, key } = reverted[0] ?? {}
  return [key, labelOf({ document, root, record })].filter(Boolean).join(' of ') || 'one edit'
}

const on = {
  changed: refresh,
  presence: refresh,
  state: () => { if (planner) showState() },
  closed: ({ name, closed: { code, reason } }) => {
    const why = CLOSED[code] ?? `The server closed the connection: ${reason || code}.`
    $('notice').hidden = false
    $('notice').append(h('span', {}, `${name}: ${why} `))
    if (name.startsWith('notes.')) $('text').readOnly = true
  },
  denied: (name, { reverted, why }) => toast([
    sentence(`${name}: ${why || 'You may not change this'}`),
    ...(reverted.length > 0 ? [`Taken back: ${takenBack(name, reverted)}.`] : [])
  ].join(' '))
}

const showNote = () => {
  $('text').readOnly = false
  note = new NoteView(planner.note, $('text'), $('mirror'), $('count'))
  say($('note-title'), place.note)
  $('note').value = place.note
}

const open = () => {
  note?.close()
  planner?.close()
  planner = null
  known = new Map()
  $('notice').hidden = true
  $('notice').replaceChildren()
  $('wedding').value = place.wedding
  planner = new Planner(place, on)
  showNote()
  arrive()
  showState()
}

/** Shows the tab of the place, and says in the URL where we are. */
const arrive = () => {
  writePlace(place)
  document.title = `${place.tab === 'note' ? place.note : place.tab} · ${place.wedding} · Wedding planner`
  for (const tab of TABS) {
    $('panel-' + tab).hidden = tab !== place.tab
    $('tab-' + tab).setAttribute('aria-selected', String(tab === place.tab))
    $('tab-' + tab).tabIndex = tab === place.tab ? 0 : -1
  }
  refresh()
}

const leaveAnyway = () =>
  planner.waiting === 0 || confirm('Some edits are not saved yet and would be lost. Leave all the same?')

/** Goes where `change` says: to another wedding, note, tab or person. */
const go = (change) => {
  const next = { ...place, ...change }
  const differs = (...keys) => keys.some((key) => next[key] !== place[key])
  if (differs('note') && change.tab === undefined) next.tab = 'note'
  const reopen = differs('wedding', 'user', 'role', 'vendor', 'guest', 'token')
  const otherNote = differs('note')
  if ((reopen || otherNote) && !leaveAnyway()) {
    writePlace(place)
    return
  }
  const renamed = differs('name', 'colour')
  place = next
  if (reopen) open()
  else {
    if (otherNote) {
      note.close()
      planner.openNote(place.note)
      showNote()
    }
    if (renamed) planner.introduce(place)
    arrive()
  }
}

for (const tab of TABS) $('tab-' + tab).addEventListener('click', () => go({ tab }))
$('tabs').addEventListener('keydown', ({ key }) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key]
  if (step === undefined) return
  go({ tab: TABS[(TABS.indexOf(place.tab) + step + TABS.length) % TABS.length] })
  $('tab-' + place.tab).focus()
})
$('panels').addEventListener('focusin', ({ target }) => {
  const [document, root, record] = target.closest('[data-at]')?.dataset.at.split('/') ?? []
  planner.goTo(record === undefined ? null : { document, root, record })
})
$('panels').addEventListener('focusout', ({ relatedTarget }) => {
  if (!$('panels').contains(relatedTarget)) planner.goTo(null)
})
$('offline').addEventListener('click', () => planner.setOffline(!planner.offline))
$('copy').addEventListener('click', async () => {
  const link = linkTo(place)
  try {
    await navigator.clipboard.writeText(link)
    say($('copy'), 'Link copied')
  } catch {
    prompt('The link to this page', link) // no clipboard outside secure contexts
  }
})
addEventListener('hashchange', () => go(readPlace()))
addEventListener('beforeunload', (event) => { if (planner.waiting > 0) event.preventDefault() })
watchYou(COLOURS, go)
open()
