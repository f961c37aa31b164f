// The page: reads place and person from the URL, opens what that person may see of the wedding, and shows the tab that
// is chosen.
import { BudgetView } from './budget.js'
import { proofOf } from './calls.js'
import { ConflictsView, reviews } from './conflicts.js'
import { h, say } from './dom.js'
import { enter, leave } from './entry.js'
import { GuestsView } from './guests.js'
import { Messaging } from './messaging.js'
import { NoteView } from './note.js'
import { markRecords, showPeople } from './people.js'
import { COLOURS, TABS, linkTo, proven, readPlace, writePlace } from './place.js'
import { Planner } from './planner.js'
import { text } from './records.js'
import { Renewal } from './renewal.js'
import { PARTS, sameRights, tabsFor } from './rights.js'
import { SeatingView } from './seating.js'
import { Session, tokenIn } from './session.js'
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
  4401: 'Your token is not valid any more. Reload the page to come in with another one.',
  4403: 'You may not be here, or not any more: your role does not open this, or you were taken out of the wedding. What you wrote here since is not stored.',
  4404: 'There is no such wedding or document, or none that you may open.',
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
const messaging = new Messaging({ go: (change, at) => go(change, at), changed: () => refresh() })
Object.assign(views, messaging.views)

let place = readPlace()
let session = new Session(place.wedding)
let tabs = TABS
let planner = null // none while we ask the server what we may open
let opening = 0
let note = null
let known = new Map() // the people seen last, key -> name
let frame = 0
let wanted = null // { document, record } to be brought into view as soon as it is there

/** Shows everything anew with the next frame, however many updates come before it. */
const refresh = () => {
  cancelAnimationFrame(frame)
  frame = requestAnimationFrame(() => {
    if (planner === null) return
    views[place.tab]?.render(planner)
    const open = reviews(planner, 'open').length
    $('open-conflicts').hidden = open === 0
    say($('open-conflicts'), String(open))
    messaging.renderCount()
    showRecord()
    say($('wedding-title'), text(planner.map('wedding', 'meta'), 'title', planner.joined.title ?? place.wedding))
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
  if (!PARTS.includes(document) || !['items', 'categories', 'tables', 'review'].includes(root)) return ''
  const found = planner.map(document, root).get(record)
  return ['title', 'name', 'label', '_summary'].map((key) => text(found, key)).find(Boolean) ?? document
}

const showState = () => {
  const { status, waiting, synced, everSynced } = planner
  badge('connection', status, planner.offline ? 'Offline, as you asked' : CONNECTION[status])
  $('offline').setAttribute('aria-checked', String(planner.offline))
  $('text').disabled = !planner.note?.everSynced
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

/** Brings the record into view that somebody has come for. */
const showRecord = () => {
  if (wanted === null) return
  const { document: name, record } = wanted
  const found = [...$('panel-' + place.tab).querySelectorAll('[data-at]')].find(({ dataset: { at } }) =>
    at.startsWith(`${name}/`) && at.endsWith(`/${record}`))
  if (found === undefined) return
  wanted = null
  found.scrollIntoView({ block: 'center' })
  if (!found.matches('button, input')) found.tabIndex = -1
  found.focus({ preventScroll: true })
}

const on = {
  changed: (name) => {
    messaging.documentChanged(name)
    refresh()
  },
  presence: refresh,
  state: () => { if (planner) showState() },
  closed: ({ name, closed: { code, reason } }) => {
    if (name.startsWith('thread.') && (code === 4403 || code === 4404)) {
      toast('This conversation is not open to you, or not any more.')
      if (name === 'thread.' + place.thread) go({ thread: '' })
      return
    }
    const words = `${name}: ${CLOSED[code] ?? `The server closed the connection: ${reason || code}.`} `
    if (code === 4401 || code === 4403) rejoin(words)
    else notify(words)
    if (name.startsWith('notes.')) $('text').readOnly = true
  },
  denied: (name, { reverted, why }) => toast([
    sentence(`${name}: ${why || 'You may not change this'}`),
    ...(reverted.length > 0 ? [`Taken back: ${takenBack(name, reverted)}.`] : [])
  ].join(' '))
}

const notify = (words) => {
  $('notice').hidden = false
  $('notice').append(h('span', {}, words))
}

const showNote = () => {
  $('note').value = place.note
  say($('note-title'), place.note)
  note = null
  if (planner.note === undefined) return
  $('text').readOnly = !planner.mayWrite('notes.' + place.note, { root: 'text', id: '', key: '' })
  note = new NoteView(planner.note, $('text'), $('mirror'), $('count'))
}

const close = () => {
  messaging.close()
  note?.close()
  planner?.close()
  note = planner = null
  known = new Map()
  $('notice').hidden = true
  $('notice').replaceChildren()
}

/** Opens the wedding of the place, once the server has said what we may see of it. */
const open = async () => {
  opening += 1
  const turn = opening
  leave()
  close()
  badge('connection', 'connecting', CONNECTION.connecting)
  badge('saved', 'loading', 'Loading')
  if (session.wedding !== place.wedding) session = new Session(place.wedding)
  place.isProven = session.token !== ''
  writePlace(place) // takes a token out of the address bar
  const joined = await enter(place, session, () => turn !== opening)
  if (joined !== null && turn === opening) show(joined)
}

const show = (joined) => {
  close()
  if (session.token !== '') place = proven(place, joined.person)
  $('wedding').value = place.wedding
  planner = new Planner(place, joined, proofOf(place, session.token), on)
  renewal.plan(session)
  showNote()
  messaging.open(planner)
  arrive()
  showState()
}

// Tokens are renewed before they run out, and where the server does not take one any more.
const renewal = new Renewal(() => planner?.renew(proofOf(place, session.token)))

/** Asks anew what we may do: goes on with another token, or opens what is different now, or says why it cannot. */
const rejoin = async (words) => {
  if (!renewal.begin(words)) {
    if (!renewal.isBusy) notify(words)
    return
  }
  const turn = opening
  const { joined: before, proof } = planner
  const joined = await enter(place, session, () => turn !== opening)
  const reasons = renewal.end()
  if (joined === null || turn !== opening) return
  if (!sameRights(before, joined)) {
    if (planner.waiting === 0) show(joined)
    else notify('Your rights have changed. Copy what is not saved and reload.')
  } else if ((proof.token ?? '') !== session.token) {
    planner.renew(proofOf(place, session.token))
    renewal.plan(session)
  } else reasons.forEach(notify)
}

/** Shows the tab of the place, or the first there is, and says in the URL where we are. */
const arrive = () => {
  tabs = tabsFor(planner.joined, place.note)
  if (!tabs.includes(place.tab)) place = { ...place, tab: tabs[0] ?? place.tab }
  if (tabs.length === 0) notify('There is nothing of this wedding that you may see.')
  for (const tab of TABS) $('tab-' + tab).hidden = !tabs.includes(tab)
  planner.openThread(tabs.includes('messages') ? place.thread : '')
  messaging.arrive(place)
  writePlace(place)
  document.title = `${place.tab === 'note' ? place.note : place.tab} · ${place.wedding} · Wedding planner`
  for (const tab of TABS) {
    $('panel-' + tab).hidden = tab !== place.tab || tabs.length === 0
    $('tab-' + tab).setAttribute('aria-selected', String(tab === place.tab))
    $('tab-' + tab).tabIndex = tab === place.tab ? 0 : -1
  }
  refresh()
}

const leaveAnyway = () =>
  (planner?.waiting ?? 0) === 0 || confirm('Some edits are not saved yet and would be lost. Leave all the same?')

/** Goes where `change` says: to another wedding, note, conversation, tab or person, and to a record `at` there. */
const go = (change, at = null) => {
  const next = { ...place, ...change }
  const differs = (...keys) => keys.some((key) => next[key] !== place[key])
  if (differs('note') && change.tab === undefined) next.tab = 'note'
  if (differs('wedding') && change.thread === undefined) next.thread = ''
  const reopen = planner === null || differs('wedding', 'user', 'role', 'vendor', 'guest', 'side', 'enforce')
  const otherNote = differs('note')
  if ((reopen || otherNote || differs('thread')) && !leaveAnyway()) {
    writePlace(place)
    return
  }
  const renamed = differs('name', 'colour')
  place = next
  wanted = at
  if (reopen) open()
  else {
    if (otherNote) {
      note?.close()
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
  go({ tab: tabs[(tabs.indexOf(place.tab) + step + tabs.length) % tabs.length] })
  $('tab-' + place.tab).focus()
})
$('panels').addEventListener('focusin', ({ target }) => {
  const [document, root, record] = target.closest('[data-at]')?.dataset.at.split('/') ?? []
  planner?.goTo(record === undefined ? null : { document, root, record })
})
$('panels').addEventListener('focusout', ({ relatedTarget }) => {
  if (!$('panels').contains(relatedTarget)) planner?.goTo(null)
})
$('offline').addEventListener('click', () => planner?.setOffline(!planner.offline))
$('copy').addEventListener('click', async () => {
  const link = linkTo(place)
  try {
    await navigator.clipboard.writeText(link)
    say($('copy'), 'Link copied')
  } catch {
    prompt('The link to this page', link) // no clipboard outside secure contexts
  }
})
/** Uses the token of the address, if it has one. */
const takeToken = (wedding) => {
  const token = tokenIn(location.hash)
  if (token === '') return false
  session = new Session(wedding)
  session.take(token)
  return true
}

addEventListener('hashchange', () => {
  const { wedding, tab, note, thread, colour, ...person } = readPlace()
  const isNew = takeToken(wedding)
  if (isNew && leaveAnyway()) {
    place = { ...place, wedding, tab, note, thread, colour }
    open()
  } else go({ wedding, tab, note, thread, colour, ...(place.isProven ? {} : person) })
})
addEventListener('beforeunload', (event) => { if ((planner?.waiting ?? 0) > 0) event.preventDefault() })
watchYou(COLOURS, go)
takeToken(place.wedding)
open()
