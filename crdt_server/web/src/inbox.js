// The inbox: what reached this person, live. The view lists it, the feed keeps it and the number of unread items.
import { ago } from './clock.js'
import { h, keyed, say } from './dom.js'
import { EventParser, countOf, placeOf, withItem, wordsOf } from './notices.js'

const RETRY_MS = [1000, 2000, 5000, 10_000]
const COUNT_MS = 100
const PAGE = 50

/** The items of a person, the newest first, and how many are unread; both follow the server's stream until `close`. */
export class InboxFeed {
  /** `on` is told: changed() when there is something else to show, item(item) of each that comes. */
  constructor (api, on) {
    Object.assign(this, { api, on, items: [], unread: { unread: 0, more: false }, hasOlder: false, newest: 0, counting: 0 })
    this.ending = new AbortController()
    this.#follow()
  }

  close () {
    this.ending.abort()
    clearTimeout(this.counting)
  }

  get isClosed () {
    return this.ending.signal.aborted
  }

  async #follow () {
    for (let tries = 0; !this.isClosed;) {
      try {
        await this.load()
        const parser = new EventParser()
        for await (const part of this.api.stream('inbox/stream', { after: this.newest }, this.ending.signal)) {
          tries = 0
          for (const event of parser.take(part)) this.#take(event)
        }
      } catch {
        // The server or the way there is gone, or our token has run out: again in a while, behind the newest item.
      }
      if (!this.isClosed) await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]))
    }
  }

  #take ({ event, data }) {
    if (this.isClosed || data === '') return
    const content = JSON.parse(data)
    if (event === 'unread') {
      this.#count(content)
      this.load().catch(() => {}) // items were read elsewhere; the next load shows it
      return
    }
    this.items = withItem(this.items, content)
    this.newest = Math.max(this.newest, content.id)
    this.on.item(content)
    this.on.changed()
    clearTimeout(this.counting)
    this.counting = setTimeout(() => this.#recount(), COUNT_MS)
  }

  async #recount () {
    try {
      this.#count(await this.api.call('GET', 'inbox/unread'))
    } catch {
      // The stream ends as well then, and all is loaded anew.
    }
  }

  #count (unread) {
    if (this.isClosed) return
    this.unread = unread
    this.on.changed()
  }

  /** Loads the newest items and the number of unread ones anew. */
  async load () {
    const [{ items, next }, unread] = await Promise.all([
      this.api.call('GET', 'inbox', { query: { limit: PAGE } }),
      this.api.call('GET', 'inbox/unread')
    ])
    const behind = next === null ? [] : this.items.filter(({ id }) => id < next)
    this.items = [...items, ...behind]
    this.hasOlder = behind.length === 0 ? items.length === PAGE : this.hasOlder
    this.newest = Math.max(this.newest, items[0]?.id ?? 0)
    this.#count(unread)
  }

  /** Loads the items before those that are here. */
  async older () {
    const before = this.items.at(-1)?.id
    if (before === undefined) return
    const { items } = await this.api.call('GET', 'inbox', { query: { before, limit: PAGE } })
    this.items = [...this.items, ...items]
    this.hasOlder = items.length === PAGE
    this.on.changed()
  }

  /** Marks items as read: { ids } or { up_to }. */
  async read (which) {
    const unread = await this.api.call('POST', 'inbox/read', { body: which })
    const at = new Date().toISOString()
    const isMarked = ({ id }) => which.ids?.includes(id) ?? id <= which.up_to
    this.items = this.items.map((item) => (item.read_at === null && isMarked(item) ? { ...item, read_at: at } : item))
    this.#count(unread)
  }
}

export class InboxView {
  /** `go(place, at)` leads to the record of an item, `attempt(promise)` says where a call was refused. */
  constructor (panel, { go, attempt }) {
    Object.assign(this, { go, attempt, feed: null })
    this.summary = h('p', { class: 'summary', role: 'status' })
    this.list = h('ul', { class: 'notices' })
    this.all = h('button', {
      type: 'button',
      class: 'quiet small',
      onclick: () => attempt(this.feed.read({ up_to: this.feed.newest }))
    }, 'Mark all as read')
    this.older = h('button', { type: 'button', class: 'quiet small', onclick: () => attempt(this.feed.older()) }, 'Older')
    panel.append(h('header', { class: 'head' }, h('h2', {}, 'Inbox'), this.summary, this.all), this.list, h('p', { class: 'more' }, this.older))
  }

  render () {
    if (this.feed === null) return
    const { items, unread, hasOlder } = this.feed
    const now = Date.now()
    say(this.summary, unread.unread === 0 ? 'Nothing unread.' : `${countOf(unread)} unread`)
    this.all.disabled = unread.unread === 0
    this.older.hidden = !hasOlder
    keyed(this.list, items.map((item) => [item.id, item]), () => this.#row(), (row, item) => this.#fill(row, item, now))
  }

  #row () {
    const open = () => {
      const found = placeOf(row.item)
      if (row.item.read_at === null) this.attempt(this.feed.read({ ids: [row.item.id] }))
      if (found !== null) this.go(found.change, found.at)
    }
    const parts = {
      title: h('button', { type: 'button', class: 'title', dir: 'auto', onclick: open }),
      body: h('p', { class: 'body', dir: 'auto' }),
      about: h('p', { class: 'hint', dir: 'auto' }),
      read: h('button', { type: 'button', class: 'quiet small', onclick: () => this.attempt(this.feed.read({ ids: [row.item.id] })) }, 'Mark as read')
    }
    const row = h('li', { class: 'notice-item' }, ...Object.values(parts))
    row.parts = parts
    return row
  }

  #fill (row, item, now) {
    const { title, body, about, read } = row.parts
    const words = wordsOf(item)
    row.item = item
    row.dataset.read = String(item.read_at !== null)
    row.dataset.priority = item.priority
    say(title, words.title)
    title.disabled = placeOf(item) === null && item.read_at !== null
    say(body, words.body)
    body.hidden = words.body === ''
    say(about, [words.about, ago(item.at, now)].filter(Boolean).join(' · '))
    read.hidden = item.read_at !== null
  }
}
