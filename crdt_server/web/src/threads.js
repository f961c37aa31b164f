// Conversations: the list, and the one that is open. Titles, participants and read pointers are the server's; the messages
// are in the document of the conversation, so that they are written without a connection, too.
import { ThreadView } from './thread_view.js'
import { h, keyed, offer, say } from './dom.js'
import { save } from './files.js'
import { messagesIn } from './thread.js'
import { messageRights } from './rights.js'
import { text } from './records.js'

const TYPES = ['general', 'vendor', 'planning', 'emergency', 'family']
const PAGE = 50
const SOON_MS = 200
const AGAIN_MS = 1000
const TRIES = 10
const path = (...parts) => ['threads', ...parts.map(encodeURIComponent)].join('/')

export class ThreadsView {
  /** `go(change)` opens a conversation, `attempt(promise)` says where a call was refused, `changed()` draws anew. */
  constructor (panel, { go, attempt, changed }) {
    Object.assign(this, { go, attempt, changed, api: null, planner: null })
    this.#reset()
    this.summary = h('p', { class: 'summary', role: 'status' })
    this.list = h('ul', { class: 'threads' })
    this.more = h('button', { type: 'button', class: 'quiet small', onclick: () => attempt(this.#older()) }, 'Older')
    this.view = new ThreadView({
      change: (body) => this.#call('PATCH', path(this.open.id), body),
      add: (user) => this.#call('PUT', path(this.open.id, 'participants', user)),
      remove: (user) => this.#remove(user),
      mute: (muted) => this.#call('PUT', path(this.open.id, 'muted'), { muted }),
      upload: (file) => this.#upload(file),
      open: ({ id, name }) => attempt(this.api.download(`${this.#files()}/${encodeURIComponent(id)}`).then((blob) => save(blob, name)))
    })
    panel.append(h('header', { class: 'head' }, h('h2', {}, 'Messages'), this.summary),
      h('div', { class: 'conversations' }, h('div', { class: 'choose' }, this.#form(), this.list, this.more), this.view.element))
  }

  #reset () {
    clearTimeout(this.timer)
    clearTimeout(this.reading)
    Object.assign(this, { threads: [], next: null, names: new Map(), thread: '', isShown: false, timer: 0, reading: 0 })
    this.#unreadAll()
  }

  /** Of another conversation we do not know yet what we have read. */
  #unreadAll () {
    Object.assign(this, { read: -1, wanted: -1, tries: 0 })
  }

  #form () {
    this.title = h('input', { name: 'title', maxLength: 200, 'aria-label': 'Title of a new conversation', placeholder: 'New conversation' })
    this.type = h('select', { name: 'type', 'aria-label': 'Type' })
    offer(this.type, TYPES.map((each) => [each, each]))
    this.type.value = TYPES[0]
    return h('form', { class: 'line', autocomplete: 'off', onsubmit: (event) => this.#make(event) },
      this.title, this.type, h('button', { type: 'submit', class: 'small' }, 'Start'))
  }

  /** Begins with another wedding or person, or, with null, ends. */
  use (api, planner) {
    this.#reset()
    this.api = api
    this.planner = planner
    if (api !== null && planner.joined.permissions.members?.includes('read')) this.#learnNames(api)
  }

  async #learnNames (api) {
    try {
      const { members } = await api.call('GET', 'members')
      if (this.api !== api) return
      this.names = new Map(members.map(({ user, name }) => [user, name]))
      this.changed()
    } catch {
      // People have the names that the wedding has for them, then.
    }
  }

  /** Shows a conversation, '' for none; `isShown`: whether a person sees it now. */
  arrive (thread, isShown) {
    const isOther = thread !== this.thread
    this.isShown = isShown
    this.thread = thread
    if (isOther) this.#unreadAll()
    if (isShown) this.attempt(this.load())
  }

  /** The conversation that is open, as the server describes it; nothing before it has. */
  get open () {
    return this.threads.find(({ id }) => id === this.thread)
  }

  /** Loads the list anew, soon: once, however often something has changed. */
  refresh () {
    if (this.api === null || this.timer !== 0) return
    this.timer = setTimeout(() => {
      this.timer = 0
      if (this.isShown) this.load().catch(() => {})
    }, AGAIN_MS)
  }

  async load () {
    const { api, thread } = this
    const { threads, next } = await api.call('GET', 'threads', { query: { limit: PAGE } })
    if (thread !== '' && next !== null && threads.every(({ id }) => id !== thread)) {
      threads.push(...await api.call('GET', path(thread)).then((found) => [found], () => []))
    }
    if (this.api !== api) return
    this.threads = threads
    this.next = next
    this.changed()
  }

  async #older () {
    const { threads, next } = await this.api.call('GET', 'threads', { query: { limit: PAGE, after: this.next } })
    const known = new Set(this.threads.map(({ id }) => id))
    this.threads = [...this.threads, ...threads.filter(({ id }) => !known.has(id))]
    this.next = next
    this.changed()
  }

  #call (method, where, body) {
    this.attempt(this.api.call(method, where, { body }).then(() => this.load()))
  }

  #remove (user) {
    const leave = user === this.planner.joined.person.user ? () => this.go({ thread: '' }) : () => this.load()
    this.attempt(this.api.call('DELETE', path(this.open.id, 'participants', user)).then(leave))
  }

  #files () {
    return `documents/${encodeURIComponent(`thread.${this.thread}`)}/attachments`
  }

  async #upload (file) {
    let kept
    await this.attempt(this.api.upload(this.#files(), { filename: file.name }, file).then((found) => { kept = found }))
    return kept
  }

  #make (event) {
    event.preventDefault()
    const body = { title: this.title.value.trim(), type: this.type.value }
    if (body.title === '') return
    this.attempt(this.api.call('POST', 'threads', { body }).then(({ id }) => {
      this.title.value = ''
      this.go({ thread: id })
    }))
  }

  /** What a person is called. */
  name (user) {
    const { person } = this.planner.joined
    if (user === person.id || user === person.user) return 'You'
    const member = text(this.planner.map('wedding', 'members').get(user), 'name')
    return member || this.names.get(user) || this.planner.people.find((each) => each.user === user)?.name || user || 'Somebody'
  }

  render (planner) {
    if (this.api === null) return
    const unread = this.threads.filter((each) => each.unread > 0).length
    say(this.summary, unread === 0 ? 'Nothing unread.' : `${unread} with unread messages`)
    this.more.hidden = this.next === null
    keyed(this.list, this.threads.map((each) => [each.id, each]), (id) => this.#row(id), (row, thread) => this.#fill(row, thread))
    const { thread: link } = planner
    const isOpen = this.thread !== '' && link !== undefined
    this.view.element.hidden = !isOpen
    if (!isOpen) return
    const rights = messageRights(planner.joined)
    const known = [...new Set([...this.names.keys(), ...planner.map('wedding', 'members').keys()])]
    this.view.render(link, this.open, {
      person: planner.joined.person,
      organizes: rights.includes('write'),
      takesPart: rights.includes('write') || rights.includes('write_own'),
      name: (user) => this.name(user),
      known
    })
    if (this.isShown) this.#markRead(link)
  }

  #row (id) {
    const [title, unread, about] = [h('b', { dir: 'auto' }), h('span', { class: 'number' }), h('span', { class: 'hint', dir: 'auto' })]
    const button = h('button', { type: 'button', class: 'thread', onclick: () => this.go({ thread: id }) }, title, unread, about)
    const row = h('li', {}, button)
    row.parts = { button, title, unread, about }
    return row
  }

  #fill (row, thread) {
    const { button, title, unread, about } = row.parts
    say(title, thread.title)
    say(unread, String(thread.unread))
    unread.hidden = thread.unread === 0
    unread.setAttribute('aria-label', `${thread.unread} unread`)
    say(about, [thread.type, thread.status === 'open' ? '' : thread.status, thread.participants.map(({ user }) => this.name(user)).join(', ')]
      .filter(Boolean).join(' · '))
    button.setAttribute('aria-current', String(thread.id === this.thread))
  }

  /** Moves our read pointer to the newest message that we see and the server counts: it does so a moment after it came. */
  #markRead ({ doc }) {
    const newest = messagesIn(doc).findLast(([, { sequence }]) => sequence !== null)?.[1].sequence ?? -1
    if (newest > this.wanted) Object.assign(this, { wanted: newest, tries: 0 })
    if (newest <= this.read || this.reading !== 0 || this.tries === TRIES || document.hidden) return
    this.tries += 1
    this.reading = setTimeout(async () => {
      await this.#moveRead(doc).catch(() => {}) // no answer, or we do not take part any more
      this.reading = 0
      this.changed()
    }, this.tries === 1 ? SOON_MS : AGAIN_MS)
  }

  async #moveRead (doc) {
    const { api, thread } = this
    const { messages: [message] } = await api.call('GET', path(thread, 'messages'), { query: { limit: 1 } })
    if (message === undefined || message.sequence <= this.read || !doc.getMap('messages').has(message.id)) return
    await api.call('PUT', path(thread, 'read'), { body: { message: message.id } })
    if (this.api !== api || this.thread !== thread) return
    this.read = message.sequence
    await this.load()
  }
}
