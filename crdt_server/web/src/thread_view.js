// One conversation: its messages, who takes part, and a field to write in.
import { ago } from './clock.js'
import { h, keyed, say } from './dom.js'
import { FileField, showFiles } from './files.js'
import { newUlid } from './ids.js'
import { EMOJI, LONGEST_MESSAGE, excerpt, messagesIn, presentIn, react, takeBack, writeMessage } from './thread.js'

const TYPING_MS = 4000
const button = (label, onclick, more = {}) => h('button', { type: 'button', class: 'quiet small', onclick, ...more }, label)
const now = () => new Date().toISOString()

export class ThreadView {
  /** `calls` changes what the server keeps: change(fields), add(user), remove(user), mute(muted), upload(file), open(file). */
  constructor (calls) {
    Object.assign(this, { calls, link: null, thread: undefined, rights: null, answering: '', typing: 0 })
    this.title = h('h3', { dir: 'auto' })
    this.status = button('', () => calls.change({ status: this.thread.status === 'open' ? 'closed' : 'open' }))
    this.mute = button('', () => calls.mute(!this.thread.muted))
    this.participants = h('ul', { class: 'participants', 'aria-label': 'Participants' })
    this.messages = h('ol', { class: 'messages', 'aria-label': 'Messages', 'aria-live': 'polite' })
    this.present = h('p', { class: 'hint', role: 'status', dir: 'auto' })
    this.element = h('section', { class: 'conversation', hidden: true },
      h('div', { class: 'line' }, this.title, this.status, this.mute),
      this.participants, this.#adding(), this.messages, this.present, this.#writing())
  }

  #adding () {
    this.known = h('datalist', { id: 'known-people' })
    this.added = h('input', { name: 'participant', maxLength: 255, 'aria-label': 'Person to add', placeholder: 'Id of a person' })
    this.added.setAttribute('list', 'known-people')
    this.adding = h('form', {
      class: 'line',
      autocomplete: 'off',
      onsubmit: (event) => {
        event.preventDefault()
        if (this.added.value.trim() === '') return
        this.calls.add(this.added.value.trim())
        this.added.value = ''
      }
    }, this.added, this.known, h('button', { type: 'submit', class: 'quiet small' }, 'Add'))
    return this.adding
  }

  #writing () {
    this.quoted = h('p', { class: 'quoted', dir: 'auto' })
    this.noAnswer = button('No reply', () => this.#answer(''))
    this.input = h('textarea', {
      name: 'body',
      rows: 2,
      maxLength: LONGEST_MESSAGE,
      dir: 'auto',
      'aria-label': 'Message',
      placeholder: 'Write a message. @name mentions somebody.',
      oninput: () => this.#type(),
      onkeydown: (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
        event.preventDefault()
        this.writing.requestSubmit()
      }
    })
    this.files = new FileField((file) => this.calls.upload(file))
    this.writing = h('form', { class: 'write', onsubmit: (event) => this.#send(event) },
      this.quoted, this.noAnswer, h('div', { class: 'line' }, this.input, h('button', { type: 'submit', class: 'small' }, 'Send')), this.files.element)
    return this.writing
  }

  #send (event) {
    event.preventDefault()
    if (this.link === null) return
    const names = this.files.attached.map(({ name }) => name).join(', ').slice(0, LONGEST_MESSAGE)
    const body = this.input.value.trim() || names
    if (body === '') return
    writeMessage(this.link.doc, newUlid(Date.now()), this.rights.person.id, now(), body, this.answering, this.files.use())
    this.input.value = ''
    this.#answer('')
    this.#stopTyping()
  }

  #answer (message) {
    this.answering = message
    this.#showAnswered()
    if (message !== '') this.input.focus()
  }

  #showAnswered () {
    const answered = this.answering === '' ? undefined : this.shown?.get(this.answering)
    this.quoted.hidden = this.noAnswer.hidden = answered === undefined
    say(this.quoted, answered === undefined ? '' : `Reply to ${this.rights.name(answered.from)}: ${excerpt(answered.body)}`)
  }

  #type () {
    const { awareness } = this.link
    if (awareness.getLocalState()?.typing !== true) awareness.setLocalStateField('typing', true)
    clearTimeout(this.typing)
    this.typing = setTimeout(() => this.#stopTyping(), TYPING_MS)
  }

  #stopTyping () {
    clearTimeout(this.typing)
    if (this.link?.awareness.getLocalState()?.typing === true) this.link.awareness.setLocalStateField('typing', false)
  }

  /**
   * Shows a conversation: its link, its description by the server (undefined before it has come), and `rights`: our
   * `person`, whether we organize or take part, `name(user)`, and the users that are `known`.
   */
  render (link, thread, rights) {
    const isOther = link !== this.link
    if (isOther) {
      this.#stopTyping()
      this.input.value = ''
      this.files.clear()
      this.answering = ''
    }
    Object.assign(this, { link, thread, rights })
    const wasAtEnd = isOther || this.messages.scrollHeight - this.messages.scrollTop - this.messages.clientHeight < 40
    const messages = messagesIn(link.doc)
    const count = this.messages.children.length
    this.shown = new Map(messages)
    const at = Date.now()
    keyed(this.messages, messages, (id) => this.#row(id), (row, message, id) => this.#fill(row, message, id, at))
    if (wasAtEnd && this.messages.children.length !== count) this.messages.scrollTop = this.messages.scrollHeight
    this.#showAnswered()
    this.writing.hidden = !rights.takesPart || link.closed !== null
    this.#showThread(thread, rights)
    this.#showPresent(link)
  }

  #showPresent ({ awareness, doc }) {
    const newest = [...this.shown.keys()].at(-1) ?? ''
    if (awareness.getLocalState() !== null && awareness.getLocalState().viewing !== newest) awareness.setLocalStateField('viewing', newest)
    const { here, typing } = presentIn(awareness.getStates(), doc.clientID)
    say(this.present, typing.length > 0 ? `${typing.join(', ')} is writing…` : here.length > 0 ? `Here: ${here.join(', ')}` : '')
  }

  #showThread (thread, { person, organizes, name, known }) {
    say(this.title, thread?.title ?? '')
    const users = thread?.participants.map(({ user }) => user) ?? []
    const mayChange = thread !== undefined && (organizes || thread.by === person.user)
    this.status.hidden = this.adding.hidden = !mayChange
    this.mute.hidden = !users.includes(person.user)
    say(this.mute, thread?.muted ? 'Unmute' : 'Mute')
    say(this.status, thread?.status === 'open' ? 'Close' : 'Open again')
    keyed(this.participants, users.map((user) => [user, user]), (user) => this.#participant(user), (row, user) => {
      say(row.firstChild, name(user))
      row.lastChild.hidden = !mayChange && user !== person.user
      say(row.lastChild, user === person.user ? 'Leave' : 'Remove')
    })
    const options = known.filter((user) => !users.includes(user)).map((user) => [user, name(user)])
    keyed(this.known, options, (user) => h('option', { value: user }), (option, label) => { option.label = label })
  }

  #participant (user) {
    return h('li', {}, h('span', { dir: 'auto' }), button('', () => this.calls.remove(user)))
  }

  #row (id) {
    const own = () => this.rights.person.id
    const parts = {
      from: h('span', { class: 'from', dir: 'auto' }),
      quoted: h('p', { class: 'quoted', dir: 'auto' }),
      body: h('p', { class: 'body', dir: 'auto' }),
      files: h('ul', { class: 'participants', 'aria-label': 'Files' }),
      reactions: h('div', { class: 'reactions' }, ...EMOJI.map((emoji) =>
        button('', () => react(this.link.doc, id, emoji, own()), { data: { emoji }, 'aria-label': emoji }))),
      others: h('span', { class: 'hint', dir: 'auto' }),
      reply: button('Reply', () => this.#answer(id)),
      back: button('Take back', () => takeBack(this.link.doc, id, own(), now()))
    }
    const { from, quoted, body, files, reactions, others, reply, back } = parts
    const row = h('li', { class: 'message', data: { id } }, from, quoted, body, files, h('div', { class: 'line' }, reactions, others, reply, back))
    row.parts = parts
    return row
  }

  #fill (row, message, id, at) {
    const { from, quoted, body, files, reactions, others, reply, back } = row.parts
    const { person, organizes, takesPart, name } = this.rights
    const answered = message.inReplyTo === '' ? undefined : this.shown.get(message.inReplyTo)
    row.dataset.own = String(message.from === person.id)
    row.dataset.kind = message.kind
    say(from, [name(message.from), ago(message.at, at), message.sequence === null ? 'not received yet' : ''].filter(Boolean).join(' · '))
    say(quoted, answered === undefined ? '' : `${name(answered.from)}: ${answered.isRedacted ? 'taken back' : excerpt(answered.body)}`)
    quoted.hidden = answered === undefined
    say(body, message.isRedacted ? 'This message was taken back.' : message.body)
    body.classList.toggle('taken-back', message.isRedacted)
    showFiles(files, message.attachments, (file) => this.calls.open(file))
    const given = new Map(message.reactions)
    for (const each of reactions.children) {
      const users = given.get(each.dataset.emoji) ?? []
      say(each, users.length === 0 ? each.dataset.emoji : `${each.dataset.emoji} ${users.length}`)
      each.setAttribute('aria-pressed', String(users.includes(person.id)))
      each.disabled = !takesPart
      each.title = users.map(name).join(', ')
    }
    say(others, message.reactions.filter(([emoji]) => !EMOJI.includes(emoji)).map(([emoji, users]) => `${emoji} ${users.length}`).join(' '))
    reply.hidden = !takesPart || message.isRedacted
    back.hidden = message.isRedacted || !takesPart || !(organizes || message.from === person.id)
  }
}
