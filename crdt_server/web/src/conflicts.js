// What edits of several people have made of each other: the records that the server writes into `review` of every
// document. A choice is one write; what follows from it the server does.
import { ago, formatClock } from './clock.js'
import { h, keyed, say } from './dom.js'
import { formatMoney } from './money.js'
import { byUnit, list, text, whole } from './records.js'
import { PARTS } from './rights.js'

const UNDO_MS = 24 * 60 * 60 * 1000
const MONEY = ['estimated', 'quoted', 'actual', 'limit', 'allocated', 'mustApproveOver']
const SEVERITIES = ['critical', 'error', 'warning', 'info']

const rank = (record) => (SEVERITIES.indexOf(text(record, '_severity')) + SEVERITIES.length + 1) % (SEVERITIES.length + 1)

const readable = (value) => {
  const said = typeof value === 'string' ? value : JSON.stringify(value)
  return said.length > 80 ? said.slice(0, 80) + '…' : said
}

/** The key that all parties wrote; null where they wrote several: a value alone would say nothing. */
const fieldOf = (record) => {
  const subjects = list(record, '_subject')
  return subjects.length === 1 ? subjects[0]?.key ?? null : null
}

/** [key, { document, record }] of the records of all documents in one state, the worst first. */
export const reviews = (planner, state) =>
  PARTS.flatMap((document) => [...planner.map(document, 'review')].map(([id, record]) => [`${document}/${id}`, { document, id, record }]))
    .filter(([, { record }]) => typeof record?.get === 'function' && text(record, '_state') === state)
    .sort(([a, one], [b, other]) => rank(one.record) - rank(other.record) ||
      -byUnit(text(one.record, '_at'), text(other.record, '_at')) || byUnit(a, b))

export class ConflictsView {
  constructor (panel) {
    this.summary = h('p', { class: 'summary', role: 'status' })
    this.open = h('ul', { class: 'reviews' })
    this.auto = h('ul', { class: 'reviews' })
    this.autoTitle = h('h3', {}, 'Settled by the server in the last 24 hours')
    panel.append(h('header', { class: 'head' }, h('h2', {}, 'Conflicts'), this.summary), this.open, this.autoTitle, this.auto)
  }

  render (planner) {
    this.planner = planner
    const now = Date.now()
    const open = reviews(planner, 'open')
    const auto = reviews(planner, 'auto').filter(([, { record }]) =>
      now - Date.parse(text(record, '_closedAt') || text(record, '_at')) < UNDO_MS)
    const fill = (row, entry) => this.#fill(row, entry, now)
    keyed(this.open, open, () => this.#row(), fill)
    keyed(this.auto, auto, () => this.#row(), fill)
    this.autoTitle.hidden = auto.length === 0
    say(this.summary, open.length === 0 ? 'Nothing to decide.' : `${open.length} to decide`)
  }

  #row () {
    const parts = {
      severity: h('span', { class: 'severity' }),
      summary: h('p', { class: 'what-happened', dir: 'auto' }),
      parties: h('ul', { class: 'parties' }),
      options: h('div', { class: 'options' }),
      choice: h('p', { class: 'hint', role: 'status' })
    }
    const row = h('li', { class: 'review' }, ...Object.values(parts))
    row.parts = parts
    return row
  }

  #fill (row, { document, id, record }, now) {
    const { severity, summary, parties, options, choice } = row.parts
    row.dataset.severity = text(record, '_severity', 'info')
    row.dataset.at = `${document}/review/${id}`
    say(severity, [row.dataset.severity, document, ago(text(record, '_at'), now)].filter(Boolean).join(' · '))
    say(summary, text(record, '_summary', 'Two edits do not fit together.'))
    parties.replaceChildren(...this.#people(record).map((each) => h('li', { dir: 'auto' }, each)))
    const mayChoose = ({ roles }) => !Array.isArray(roles) || roles.includes(this.planner.place.role)
    const offered = list(record, '_options').filter((option) => Number.isInteger(option?.id) && mayChoose(option))
    const chosen = offered.find((option) => option.id === whole(record, 'choice'))
    keyed(options, offered.map((option) => [option.id, option]), (option) => this.#option(document, id, option),
      (button, option) => {
        say(button, String(option.text ?? option.id))
        button.disabled = chosen !== undefined || !this.planner.mayWrite(document, { root: 'review', id, record, key: 'choice' })
      })
    say(choice, chosen === undefined ? '' : `Chosen: ${chosen.text}. The server carries it out.`)
  }

  /** Who takes part, each once, and what they wrote where that can be said in short. */
  #people (record) {
    const people = new Map()
    for (const party of list(record, '_parties')) {
      const who = `${this.#name(party?.user)} (${String(party?.role ?? '').replaceAll('_', ' ')})`
      if (!people.has(who)) people.set(who, new Set())
      people.get(who).add(this.#value(party?.value, fieldOf(record)))
    }
    return [...people].map(([who, values]) => [who, [...values].filter(Boolean).join('; ')].filter(Boolean).join(': '))
  }

  /** Members have the name that the wedding has for them; only others the one that they give themselves. */
  #name (user) {
    const { place, people } = this.planner
    if (user === place.user) return 'You'
    const member = text(this.planner.map('wedding', 'members').get(user), 'name')
    return member || people.find((person) => person.user === user)?.name || String(user ?? 'Somebody')
  }

  #value (value, field) {
    if (typeof value?.table === 'string') {
      const table = text(this.planner.map('seating', 'tables').get(value.table), 'label', 'that is gone')
      return `table ${table}` + (Number.isInteger(value.seat) ? `, seat ${value.seat}` : '')
    }
    if (field === null || value === undefined) return ''
    if (Number.isSafeInteger(value) && field === 'start') return formatClock(value)
    if (Number.isSafeInteger(value) && MONEY.includes(field)) {
      return formatMoney(value, text(this.planner.map('wedding', 'meta'), 'currency'))
    }
    return readable(value)
  }

  #option (document, id, option) {
    return h('button', {
      type: 'button',
      class: 'quiet small',
      dir: 'auto',
      data: { option },
      onclick: () => this.planner.map(document, 'review').get(id)?.set('choice', option)
    })
  }
}
