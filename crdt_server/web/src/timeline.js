// The running order as a list by time. Every field of an item can be edited where it stands.
import { dayName, dayOf, formatClock, parseClock, timeOfDay } from './clock.js'
import { editable, h, keyed, offer, say, show } from './dom.js'
import { byTime, family, fullName, live, text, whole, write } from './records.js'

const STATUS = ['planned', 'ready', 'live', 'done', 'skipped'].map((each) => [each, each])
const LONGEST = 14 * 24 * 60

const parseLength = (value) => (/^\d{1,5}$/.test(value) && Number(value) <= LONGEST ? Number(value) : null)

export class TimelineView {
  constructor (panel) {
    this.summary = h('p', { class: 'summary' })
    this.list = h('ol', { class: 'items' })
    panel.append(h('header', { class: 'head' }, h('h2', {}, 'Timeline'), this.summary), this.list)
  }

  render (planner) {
    this.planner = planner
    const items = byTime(planner.map('timeline', 'items'))
    this.places = [['', 'No place'], ...live(planner.map('wedding', 'places')).map(([id, place]) => [id, text(place, 'name', id)])]
    keyed(this.list, this.#withDays(items), (id) => this.#make(id), (row, entry, id) => this.#fill(row, entry, id))
    const done = items.filter(([, item]) => text(item, 'status') === 'done').length
    say(this.summary, items.length === 0 ? 'Nothing is planned yet.' : `${items.length} items, ${done} done`)
  }

  /** Items with a heading in front of each day's first. */
  #withDays (items) {
    const rows = []
    let last = null
    for (const [id, item] of items) {
      const day = dayOf(whole(item, 'start') ?? 0)
      if (day !== last) rows.push([`day:${day}`, day])
      last = day
      rows.push([id, item])
    }
    return rows
  }

  #make (id) {
    if (id.startsWith('day:')) return h('li', { class: 'day' }, h('h3'))
    const set = (key, parse, wrong) => (value) => {
      const parsed = value === '' ? '' : parse(value)
      if (parsed === null) return wrong
      const item = this.planner.map('timeline', 'items').get(id)
      if (item) write(item, key, parsed)
    }
    const field = (tag, name, label, props, commit) =>
      editable(h(tag, { class: name, 'aria-label': label, autocomplete: 'off', ...props }), commit)
    const same = (value) => value
    const inputs = {
      start: field('input', 'start', 'Start', { maxLength: 10, placeholder: '15:30' },
        set('start', parseClock, 'A time such as 15:30, or 18:00 -1 for the day before')),
      duration: field('input', 'duration', 'Minutes', { maxLength: 5, inputMode: 'numeric', placeholder: 'min' },
        set('duration', parseLength, 'Minutes, such as 45')),
      title: field('input', 'title', 'Title', { maxLength: 200, dir: 'auto' }, set('title', same)),
      place: field('select', 'place', 'Place', {}, set('place', same)),
      status: field('select', 'status', 'Status', {}, set('status', same))
    }
    offer(inputs.status, STATUS)
    const parts = { ...inputs, until: h('span', { class: 'until' }), who: h('span', { class: 'with', dir: 'auto' }) }
    const row = h('li', { class: 'item', data: { at: `timeline/items/${id}` } }, ...Object.values(parts))
    row.parts = parts
    return row
  }

  #fill (row, item, id) {
    if (id.startsWith('day:')) {
      say(row.firstChild, dayName(item))
      return
    }
    const { start, duration, title, place, status, until, who } = row.parts
    const [from, length] = [whole(item, 'start'), whole(item, 'duration')]
    show(start, formatClock(from))
    show(duration, length === null ? '' : String(length))
    show(title, text(item, 'title'))
    const at = text(item, 'place')
    offer(place, this.places.some(([known]) => known === at) ? this.places : [...this.places, [at, 'A place that is gone']])
    show(place, at)
    show(status, text(item, 'status', 'planned'))
    for (const [key, input] of Object.entries({ start, duration, title, place, status })) {
      input.disabled = !this.planner.mayWrite('timeline', { root: 'items', id, record: item, key })
    }
    row.dataset.status = status.value
    say(until, from === null || length === null ? '' : 'until ' + this.#end(from, from + length))
    say(who, this.#with(item))
  }

  /** The end, with its day if that is another than the day of the start. */
  #end (from, to) {
    return dayOf(from) === dayOf(to) ? timeOfDay(to) : formatClock(to)
  }

  #with (item) {
    const [vendors, guests] = [this.planner.map('wedding', 'vendors'), this.planner.map('guests', 'guests')]
    const person = (id) => (guests.has(id) ? fullName(guests.get(id)) : id)
    return [
      ...(text(item, 'rigidity') === 'fixed' ? ['Fixed'] : []),
      ...family(item, 'vendor').map((id) => text(vendors.get(id), 'name', 'A vendor that is gone')),
      ...family(item, 'person').map(person)
    ].join(' · ')
  }
}
