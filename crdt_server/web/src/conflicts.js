// What edits of several people have made of each other: the records that the server writes into `review` of every
// document. A choice is one write; what follows from it the server does.
import { ago } from './clock.js'
import { h, keyed, say } from './dom.js'
import { byUnit, list, text, whole } from './records.js'
import { DOCUMENTS } from './planner.js'

const UNDO_MS = 24 * 60 * 60 * 1000
const SEVERITIES = ['critical', 'error', 'warning', 'info']

const rank = (record) => (SEVERITIES.indexOf(text(record, '_severity')) + SEVERITIES.length + 1) % (SEVERITIES.length + 1)

const readable = (value) => {
  const said = typeof value === 'string' ? value : JSON.stringify(value)
  return said.length > 80 ? said.slice(0, 80) + '…' : said
}

/** [key, { document, record }] of the records of all documents in one state, the worst first. */
export const reviews = (planner, state) =>
  DOCUMENTS.flatMap((document) => [...planner.map(document, 'review')].map(([id, record]) => [`${document}/${id}`, { document, id, record }]))
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
    parties.replaceChildren(...list(record, '_parties').map((party) => this.#party(party)))
    const offered = list(record, '_options').filter((option) => Number.isInteger(option?.id))
    const chosen = offered.find((option) => option.id === whole(record, 'choice'))
    keyed(options, offered.map((option) => [option.id, option]), (option) => this.#option(document, id, option),
      (button, option) => {
        say(button, String(option.text ?? option.id))
        button.disabled = chosen !== undefined
      })
    say(choice, chosen === undefined ? '' : `Chosen: ${chosen.text}. The server carries it out.`)
  }

  #party (party) {
    const member = this.planner.map('wedding', 'members').get(party?.user)
    const name = text(member, 'name', String(party?.user ?? 'Somebody'))
    const value = party?.value === undefined ? '' : `: ${readable(party.value)}`
    return h('li', { dir: 'auto' }, h('b', {}, name), ` (${String(party?.role ?? '').replaceAll('_', ' ')})${value}`)
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
