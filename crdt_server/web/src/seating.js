// Tables with their chairs. Click a guest, then a chair: that is one write. Seats count from 0, here as in the document
// and in what the server says about them.
import { h, keyed, say } from './dom.js'
import { receptionOf } from './guests.js'
import { folded, fullName, initials, live, text, whole } from './records.js'

const MOST_CHAIRS = 60 // drawn, at one table

/** Where chair `nth` of `count` stands, in percent of the table's box. */
const spot = (shape, nth, count) => {
  if (shape === 'round' || shape === 'oval' || shape === 'square') {
    const angle = (nth / count) * 2 * Math.PI - Math.PI / 2
    return { x: 50 + 41 * Math.cos(angle), y: 50 + 41 * Math.sin(angle) }
  }
  const above = Math.ceil(count / 2)
  const row = nth < above ? [nth, above] : [nth - above, count - above]
  return { x: ((row[0] + 0.5) / row[1]) * 100, y: nth < above ? 14 : 86 }
}

export class SeatingView {
  constructor (panel) {
    this.selected = null
    this.summary = h('p', { class: 'summary', role: 'status' })
    this.search = h('input', { type: 'search', id: 'seat-search', placeholder: 'Guests without a chair', oninput: () => this.render(this.planner) })
    this.rise = h('button', { type: 'button', class: 'quiet small', hidden: true, onclick: () => this.#rise() }, 'Take the chair away')
    this.waiting = h('ul', { class: 'waiting' })
    this.tables = h('ul', { class: 'tables' })
    panel.append(
      h('header', { class: 'head' }, h('h2', {}, 'Seating'), this.summary, this.rise),
      h('div', { class: 'room' },
        h('div', { class: 'standing' }, h('label', { htmlFor: 'seat-search' }, 'Without a chair'), this.search, this.waiting),
        this.tables))
    panel.addEventListener('keydown', (event) => { if (event.key === 'Escape') this.#select(null) })
  }

  render (planner) {
    this.planner = planner
    this.guests = planner.map('guests', 'guests')
    this.assignments = planner.map('seating', 'assignments')
    this.seats = planner.map('seating', 'seats') // of derived documents, with names
    this.maySeat = planner.mayWrite('seating', { root: 'assignments', id: '', key: '' })
    const tables = live(planner.map('seating', 'tables'))
    this.at = new Map(tables.map(([id]) => [id, []]))
    for (const [guest, where] of this.assignments) this.at.get(where?.table)?.push([guest, where.seat])
    for (const [guest, seat] of live(this.seats)) this.at.get(text(seat, 'table'))?.push([guest, whole(seat, 'seat')])
    if (this.selected !== null && !this.#isGuest(this.selected)) this.selected = null
    keyed(this.tables, tables, (id) => this.#table(id), (element, table, id) => this.#fillTable(element, table, id))
    this.#fillWaiting()
    this.#tell()
  }

  #isGuest (id) {
    const guest = this.guests.get(id)
    return typeof guest?.get === 'function' && !guest.has('deleted')
  }

  #name (id) {
    if (this.seats.has(id)) return fullName(this.seats.get(id))
    return this.#isGuest(id) ? fullName(this.guests.get(id)) : 'A guest who is gone'
  }

  /** Those who come and have no table. */
  #fillWaiting () {
    const answer = `rsvp:${receptionOf(this.planner)}`
    const wanted = folded(this.search.value.trim())
    this.standing = live(this.guests).filter(([id, guest]) =>
      text(guest, answer) === 'yes' && !this.at.has(this.assignments.get(id)?.table))
    const shown = this.standing.filter(([, guest]) => folded(fullName(guest)).includes(wanted))
    keyed(this.waiting, shown, (id) => h('li', {}, this.#guest(id)), (row, _, id) => this.#fillGuest(row.firstChild, id))
  }

  #guest (id) {
    return h('button', { type: 'button', class: 'guest', dir: 'auto', data: { at: `seating/assignments/${id}` }, onclick: () => this.#select(id) })
  }

  #fillGuest (button, id) {
    say(button, this.#name(id))
    button.setAttribute('aria-pressed', String(id === this.selected))
  }

  #table (id) {
    const parts = {
      board: h('button', { type: 'button', class: 'board', onclick: () => this.#sit(id, null) }),
      chairs: h('div', { class: 'chairs' }),
      loose: h('ul', { class: 'loose' })
    }
    const element = h('li', { class: 'table', data: { at: `seating/tables/${id}` } },
      h('div', { class: 'top-view' }, parts.board, parts.chairs), parts.loose)
    element.parts = parts
    return element
  }

  #fillTable (element, table, id) {
    const { board, chairs, loose } = element.parts
    const [label, shape] = [text(table, 'label', '?'), text(table, 'shape', 'round')]
    const count = Math.min(Math.max(whole(table, 'capacity') ?? 0, 0), MOST_CHAIRS)
    element.dataset.shape = shape
    element.dataset.long = String(['rectangle', 'row'].includes(shape))
    say(board, label + (table.has('locked') ? ' (locked)' : ''))
    board.setAttribute('aria-label', `Table ${label}: anywhere`)
    const taken = Array.from({ length: count }, () => [])
    const rest = []
    for (const [guest, seat] of this.at.get(id)) (Number.isInteger(seat) && taken[seat] ? taken[seat] : rest).push(guest)
    keyed(chairs, taken.map((guests, nth) => [nth, guests]), (nth) => this.#chair(id, nth), (chair, guests, nth) => {
      const { x, y } = spot(shape, nth, count)
      Object.assign(chair.style, { left: `${x}%`, top: `${y}%` })
      this.#fillChair(chair, guests, `Table ${label}, seat ${nth}`)
    })
    keyed(loose, rest.map((guest) => [guest, null]), (guest) => h('li', {}, this.#guest(guest)),
      (row, _, guest) => this.#fillGuest(row.firstChild, guest))
  }

  #chair (table, nth) {
    const chair = h('button', { type: 'button', class: 'chair', data: { chair: `${table}/${nth}` } })
    chair.addEventListener('click', () => {
      if (chair.guests.length === 0) this.#sit(table, nth)
      else this.#select(chair.guests[(chair.guests.indexOf(this.selected) + 1) % (chair.guests.length + 1)] ?? null)
    })
    return chair
  }

  #fillChair (chair, guests, where) {
    chair.guests = guests
    const names = guests.map((id) => this.#name(id))
    const label = `${where}: ${names.join(' and ') || 'empty'}`
    say(chair, guests.length > 1 ? `${guests.length}!` : names.map(initials).join(''))
    chair.dataset.state = ['empty', 'taken'][guests.length] ?? 'twice'
    chair.title = label
    chair.setAttribute('aria-label', label)
    chair.setAttribute('aria-pressed', String(guests.includes(this.selected)))
    if (guests.length > 0) chair.dataset.at = `seating/assignments/${guests[0]}`
    else delete chair.dataset.at
  }

  #select (guest) {
    if (!this.maySeat && guest !== null) return
    this.selected = guest === this.selected ? null : guest
    this.render(this.planner)
  }

  #sit (table, seat) {
    if (this.selected === null) return
    const guest = this.selected
    this.selected = null
    this.assignments.set(guest, { table, seat })
    this.render(this.planner)
  }

  #rise () {
    this.assignments.delete(this.selected)
    this.#select(null)
  }

  #tell () {
    const seated = [...this.at.values()].reduce((sum, guests) => sum + guests.length, 0)
    const idle = this.at.size === 0 ? 'There are no tables yet.' : `${seated} sit, ${this.standing.length} come and have no table`
    say(this.summary, this.selected === null ? idle : `Now choose a chair for ${this.#name(this.selected)}`)
    this.rise.hidden = this.selected === null || !this.assignments.has(this.selected)
  }
}
