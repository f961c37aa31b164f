// The items of an inbox: how they come, how they are said, and where what they are about is on this page. Their `params`
// were typed by people: plain text.
import { formatClock } from './clock.js'
import { formatMoney } from './money.js'
import { byUnit } from './records.js'

const TAB_OF = { timeline: 'timeline', budget: 'budget', guests: 'guests', seating: 'seating' }
const THREAD = 'thread.'
const NOTE = 'notes.'

/** Cuts a stream of server-sent events into them, wherever its parts end. */
export class EventParser {
  constructor () {
    this.rest = ''
  }

  /** The events that are complete with this part: { id, event, data }. Comments and other fields are left out. */
  take (part) {
    const blocks = (this.rest + part).split('\n\n')
    this.rest = blocks.pop()
    return blocks.map((block) => {
      const found = { id: '', event: '', data: '' }
      for (const line of block.split('\n')) {
        const [name, ...value] = line.split(':')
        if (name in found) found[name] = value.join(':').replace(/^ /, '')
      }
      return found
    })
  }
}

const subject = ({ type, document, record }) => `${type} ${document} ${record}`

/** Items, the newest first, with a new one, which replaces an unread one about the same. */
export const withItem = (items, item) =>
  [item, ...items.filter((each) => each.id !== item.id && (each.read_at !== null || subject(each) !== subject(item)))]
    .sort((one, other) => other.id - one.id)

const value = (params, name) => {
  const [minutes, minor] = [params[name + '_minutes'], params[name + '_minor']]
  if (minutes !== undefined) return formatClock(Number(minutes))
  if (minor !== undefined) return formatMoney(Number(minor), params.currency ?? '')
  return params[name] ?? ''
}

/** What an item says: { title, body, about }. `about` is the sort of event, its actor, and how many there were. */
export const wordsOf = ({ type, params = {}, count }) => {
  const sort = type.replaceAll(/[._]/g, ' ')
  const [before, after] = [value(params, 'before'), value(params, 'after')]
  const changed = before || after ? `${before || '–'} → ${after || '–'}` : ''
  return {
    title: params.title || sort,
    body: params.text || changed || value(params, 'amount') || params.reason || '',
    about: [params.title ? sort : '', params.actor || (params.role ?? '').replaceAll('_', ' '), count > 1 ? `${count} times` : '']
      .filter(Boolean).join(' · ')
  }
}

/** Where the record of an item is shown: a change of the place, and what `data-at` begins and ends with; or null. */
export const placeOf = ({ type, document, record }) => {
  if (document.startsWith(THREAD)) return { change: { tab: 'messages', thread: document.slice(THREAD.length) }, at: null }
  if (document.startsWith(NOTE)) return { change: { tab: 'note', note: document.slice(NOTE.length) }, at: null }
  const [part] = document.split('@')
  const tab = type.startsWith('conflict.') ? 'conflicts' : TAB_OF[part]
  return tab === undefined ? null : { change: { tab }, at: record === '' ? null : { document: part, record } }
}

/** The number for a badge. */
export const countOf = ({ unread, more }) => (more ? `${unread}+` : String(unread))

/** Preferences as they are sent: of group -> channel -> mode only what somebody has chosen. */
export const preferencesOf = ({ language, timezone, start, end, digestHour, modes }) => {
  const types = {}
  for (const [group, channel, mode] of [...modes].sort(([a], [b]) => byUnit(a, b))) {
    if (mode !== '') types[group] = { ...types[group], [channel]: mode }
  }
  return {
    language: language.trim(),
    timezone: timezone.trim(),
    quiet_hours: start === '' && end === '' ? null : { start, end },
    digest_hour: Number(digestHour),
    types
  }
}
