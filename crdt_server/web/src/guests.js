// The guest list. All rows stay on the page: searching hides those that do not fit.
import { editable, h, keyed, offer, say, show } from './dom.js'
import { folded, fullName, live, text, write } from './records.js'

const ANSWERS = [['', '–'], ['pending', 'pending'], ['yes', 'yes'], ['no', 'no'], ['maybe', 'maybe']]
const MEALS = ['beef', 'fish', 'vegan']

/** The id of the event whose answers and seats are shown: the reception, else the first that asks for answers. */
export const receptionOf = (planner) => {
  const events = live(planner.map('wedding', 'events'))
  const asked = events.filter(([, event]) => event.get('rsvp') === true)
  return [events.find(([id]) => id === 'e_reception'), asked[0]].filter(Boolean).map(([id]) => id)[0] ?? 'e_reception'
}

export class GuestsView {
  constructor (panel) {
    this.summary = h('p', { class: 'summary', role: 'status' })
    this.search = h('input', { type: 'search', id: 'guest-search', placeholder: 'Name or household', oninput: () => this.#filter() })
    const heads = ['Name', 'Household', 'Comes to the reception', 'Meal'].map((each) => h('th', { scope: 'col' }, each))
    this.rows = h('tbody')
    panel.append(
      h('header', { class: 'head' }, h('h2', {}, 'Guests'), this.summary,
        h('div', { class: 'search' }, h('label', { htmlFor: 'guest-search', class: 'unseen' }, 'Search'), this.search)),
      h('table', { class: 'guests' }, h('thead', {}, h('tr', {}, ...heads)), this.rows)
    )
  }

  render (planner) {
    this.planner = planner
    this.answer = `rsvp:${receptionOf(planner)}`
    this.households = planner.map('guests', 'households')
    this.guests = live(planner.map('guests', 'guests'))
    const meals = new Set([...MEALS, ...this.guests.map(([, guest]) => text(guest, 'meal')).filter(Boolean)])
    this.meals = [['', '–'], ...[...meals].sort().map((meal) => [meal, meal.replaceAll('_', ' ')])]
    keyed(this.rows, this.guests, (id) => this.#row(id), (row, guest, id) => this.#fill(row, guest, id))
    this.#filter()
  }

  #row (id) {
    const set = (key) => (value) => {
      const guest = this.planner.map('guests', 'guests').get(id)
      if (guest) write(guest, key(), value)
    }
    const parts = {
      name: h('th', { scope: 'row', dir: 'auto' }),
      household: h('td', { dir: 'auto' }),
      answer: editable(h('select', { 'aria-label': 'Comes to the reception' }), set(() => this.answer)),
      meal: editable(h('select', { 'aria-label': 'Meal' }), set(() => 'meal'))
    }
    offer(parts.answer, ANSWERS)
    const row = h('tr', { data: { at: `guests/guests/${id}` } },
      parts.name, parts.household, h('td', {}, parts.answer), h('td', {}, parts.meal))
    row.parts = parts
    return row
  }

  #fill (row, guest, id) {
    const { name, household, answer, meal } = row.parts
    say(name, fullName(guest))
    say(household, text(this.households.get(text(guest, 'household')), 'name'))
    show(answer, text(guest, this.answer))
    answer.dataset.answer = answer.value
    offer(meal, this.meals)
    show(meal, text(guest, 'meal'))
    const may = (key) => this.planner.mayWrite('guests', { root: 'guests', id, record: guest, key })
    answer.disabled = !may(this.answer)
    meal.disabled = !may('meal')
    row.words = folded(`${name.textContent} ${household.textContent}`)
  }

  #filter () {
    const wanted = folded(this.search.value.trim()).split(/\s+/)
    let shown = 0
    for (const row of this.rows.children) {
      row.hidden = !wanted.every((word) => row.words.includes(word))
      shown += row.hidden ? 0 : 1
    }
    const count = (answer) => this.guests.filter(([, guest]) => text(guest, this.answer) === answer).length
    const all = `${this.guests.length} invited, ${count('yes')} come, ${count('no')} do not`
    say(this.summary, this.search.value.trim() === '' ? all : `${shown} of ${this.guests.length} found`)
  }
}
