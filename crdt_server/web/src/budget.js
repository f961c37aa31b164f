// What the wedding costs, by category. Amounts are written in minor units; sums are made here and never stored.
import { editable, h, keyed, say, show } from './dom.js'
import { amountOf, formatMoney, moneyToText, sum, textToMoney } from './money.js'
import { live, text, whole, write } from './records.js'

const FIELDS = ['estimated', 'quoted', 'actual']
const NONE = 'none:' // no id has a colon

export class BudgetView {
  constructor (panel) {
    this.total = h('p', { class: 'summary' })
    this.used = h('meter', { min: 0, 'aria-label': 'Part of the limit that is used' })
    this.sections = h('div', { class: 'categories' })
    panel.append(h('header', { class: 'head' }, h('h2', {}, 'Budget'), this.total, this.used), this.sections)
  }

  render (planner) {
    this.planner = planner
    this.currency = text(planner.map('wedding', 'meta'), 'currency')
    if (planner.isDerived('budget')) {
      this.#contributions(planner)
      return
    }
    const items = live(planner.map('budget', 'items'))
    this.#total(items.map(([, item]) => item), whole(planner.map('budget', 'meta'), 'limit'))
    const categories = live(planner.map('budget', 'categories'))
    const known = new Set(categories.map(([id]) => id))
    const groups = new Map([...categories, [NONE, null]].map(([id, category]) => [id, { category, items: [] }]))
    for (const [id, item] of items) {
      const category = text(item, 'category')
      groups.get(known.has(category) ? category : NONE).items.push([id, item])
    }
    if (groups.get(NONE).items.length === 0) groups.delete(NONE)
    keyed(this.sections, [...groups], (id) => this.#section(id), (section, group) => this.#fill(section, group))
  }

  /** What families see: what they give, and what all give together. */
  #contributions (planner) {
    const own = [...planner.map('budget', 'contributions').values()].map((each) => each?.amount).filter(Number.isSafeInteger)
    const all = whole(planner.map('budget', 'totals').get('contributions'), 'amount')
    const given = own.reduce((total, each) => total + each, 0)
    this.used.hidden = true
    this.total.dataset.over = 'false'
    say(this.total, `You give ${formatMoney(given, this.currency)}, all together ${formatMoney(all ?? given, this.currency)}`)
    keyed(this.sections, [], () => null, () => {})
  }

  #total (items, limit) {
    const { total, without } = sum(items, this.currency)
    const parts = [formatMoney(total, this.currency)]
    if (limit !== null) parts.push(`of ${formatMoney(limit, this.currency)}`)
    if (without > 0) parts.push(`and ${without} in other currencies without a rate`)
    say(this.total, items.length === 0 ? 'Nothing costs anything yet.' : parts.join(' '))
    this.used.hidden = limit === null
    Object.assign(this.used, { max: limit || 1, high: limit || 1, optimum: 0, value: total })
    this.total.dataset.over = String(limit !== null && total > limit)
  }

  #section (id) {
    const parts = { name: h('span', { class: 'name', dir: 'auto' }), sum: h('span', { class: 'sum' }), rows: h('tbody') }
    const heads = ['What', 'Estimated', 'Quoted', 'Actual'].map((each) => h('th', { scope: 'col' }, each))
    const section = h('section', { data: { at: `budget/categories/${id}` } },
      h('h3', {}, parts.name, parts.sum),
      h('table', { class: 'money' }, h('thead', {}, h('tr', {}, ...heads)), parts.rows))
    section.parts = parts
    return section
  }

  #fill ({ parts }, { category, items }) {
    const { total } = sum(items.map(([, item]) => item), this.currency)
    const allocated = whole(category, 'allocated')
    say(parts.name, category === null ? 'In no category' : text(category, 'name', 'No name'))
    say(parts.sum, formatMoney(total, this.currency) + (allocated === null ? '' : ` of ${formatMoney(allocated, this.currency)}`))
    parts.sum.dataset.over = String(allocated !== null && total > allocated)
    keyed(parts.rows, items, (id) => this.#row(id), (row, item, id) => this.#show(row, item, id))
  }

  #row (id) {
    const item = () => this.planner.map('budget', 'items').get(id)
    const currency = () => text(item(), 'currency', this.currency)
    const name = editable(h('input', { maxLength: 200, dir: 'auto', 'aria-label': 'What' }), (value) => {
      if (item()) write(item(), 'name', value)
    })
    const amounts = FIELDS.map((field) => editable(
      h('input', { inputMode: 'decimal', maxLength: 24, autocomplete: 'off', 'aria-label': field, data: { field } }),
      (value) => {
        const minor = value === '' ? '' : textToMoney(value, currency())
        if (minor === null) return `An amount such as ${moneyToText(125050, currency())}`
        if (item()) write(item(), field, minor)
      }
    ))
    const unit = h('span', { class: 'unit' })
    const row = h('tr', { data: { at: `budget/items/${id}` } },
      h('th', { scope: 'row' }, h('div', { class: 'cell' }, name, unit)), ...amounts.map((input) => h('td', {}, input)))
    row.parts = { name, amounts, unit }
    return row
  }

  #show ({ parts }, item, id) {
    const may = (key) => this.planner.mayWrite('budget', { root: 'items', id, record: item, key })
    const currency = text(item, 'currency', this.currency)
    show(parts.name, text(item, 'name'))
    parts.name.disabled = !may('name')
    say(parts.unit, currency === this.currency ? '' : `in ${currency}`)
    const counts = amountOf(item)
    FIELDS.forEach((field, nth) => {
      const value = whole(item, field)
      show(parts.amounts[nth], moneyToText(value, currency))
      parts.amounts[nth].disabled = !may(field)
      parts.amounts[nth].dataset.counts = String(value !== null && value === counts)
    })
  }
}
