// Search over the messages and notes that a person may read now. The server finds; nothing is searched here.
import { h, say } from './dom.js'
import { placeOf } from './notices.js'

/** An excerpt as nodes; `highlights` are pairs of positions in it, in code points. */
export const marked = (excerpt, highlights) => {
  const letters = [...excerpt]
  const nodes = []
  let at = 0
  for (const [begin, end] of highlights) {
    nodes.push(letters.slice(at, begin).join(''), h('mark', {}, letters.slice(begin, end).join('')))
    at = end
  }
  return [...nodes, letters.slice(at).join('')]
}

export class SearchView {
  /** `go(change, at)` leads to a place, `attempt(promise)` says where a call was refused, `name(user)` names people. */
  constructor ({ go, attempt, name }) {
    Object.assign(this, { go, attempt, name, api: null, query: '', next: null })
    this.input = h('input', { type: 'search', name: 'q', maxLength: 200, 'aria-label': 'Search', placeholder: 'Search messages and notes' })
    this.status = h('p', { class: 'hint', role: 'status' })
    this.hits = h('ol', { class: 'notices', 'aria-label': 'Found' })
    this.more = h('button', { type: 'button', class: 'quiet small', hidden: true, onclick: () => attempt(this.#find(this.next)) }, 'More')
    this.element = h('form', { class: 'find', role: 'search', autocomplete: 'off', onsubmit: (event) => this.#submit(event) },
      h('div', { class: 'line' }, this.input, h('button', { type: 'submit', class: 'small' }, 'Search')), this.status, this.hits, this.more)
  }

  /** Begins for a person, or, with null, ends. */
  use (api) {
    Object.assign(this, { api, query: '', next: null })
    this.input.value = ''
    this.#clear()
  }

  #clear () {
    this.hits.replaceChildren()
    this.more.hidden = true
    say(this.status, '')
  }

  #submit (event) {
    event.preventDefault()
    this.query = this.input.value.trim()
    this.#clear()
    if (this.query !== '' && this.api !== null) this.attempt(this.#find(null))
  }

  async #find (after) {
    const { api, query } = this
    const { hits, next } = await api.call('GET', 'search', { query: { q: query, ...(after === null ? {} : { after }) } })
    if (this.api !== api || this.query !== query) return
    this.next = next
    this.more.hidden = next === null
    this.hits.append(...hits.map((hit) => this.#row(hit)))
    say(this.status, this.hits.children.length === 0 ? 'Nothing found.' : '')
  }

  #row (hit) {
    const place = placeOf({ type: '', ...hit })
    const from = hit.from ? this.name(hit.from) : hit.document
    const open = h('button', { type: 'button', class: 'title', dir: 'auto', disabled: place === null, onclick: () => this.go(place.change, place.at) }, from)
    return h('li', { class: 'notice-item' }, open, h('p', { class: 'body', dir: 'auto' }, ...marked(hit.excerpt, hit.highlights)))
  }
}
