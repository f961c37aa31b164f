// Preferences: what reaches this person where and when, and the addresses. All of it is the server's, and only this
// person's; nothing is kept in the documents of the wedding.
import { h, keyed, offer, say } from './dom.js'
import { preferencesOf } from './notices.js'

const CHANNELS = { 'in-app': 'Inbox', mail: 'Mail', sms: 'SMS', push: 'Push' }
const ADDRESSES = [['mail', 'Mail'], ['sms', 'SMS'], ['push', 'Push']]
const hours = Array.from({ length: 24 }, (_, hour) => [String(hour), `${String(hour).padStart(2, '0')}:00`])

const field = (label, input) => h('label', {}, label, input)

export class PreferencesView {
  /** `attempt(promise)` says where a call was refused. */
  constructor (panel, { attempt }) {
    Object.assign(this, { attempt, api: null, selects: [] })
    this.status = h('p', { class: 'summary', role: 'status' })
    this.inputs = {
      language: h('input', { maxLength: 20, placeholder: 'that of the wedding', spellcheck: false }),
      timezone: h('input', { maxLength: 64, placeholder: 'that of the wedding', spellcheck: false }),
      start: h('input', { type: 'time' }),
      end: h('input', { type: 'time' }),
      digestHour: h('select')
    }
    for (const [name, input] of Object.entries(this.inputs)) input.name = name
    offer(this.inputs.digestHour, hours)
    this.zones = h('datalist', { id: 'zones' }, ...(Intl.supportedValuesOf?.('timeZone') ?? []).map((zone) => h('option', { value: zone })))
    this.inputs.timezone.setAttribute('list', 'zones')
    this.table = h('table', { class: 'modes' })
    this.form = h('form', { class: 'preferences', autocomplete: 'off', onsubmit: (event) => this.#submit(event) },
      h('div', { class: 'fields' }, field('Language', this.inputs.language), field('Time zone', this.inputs.timezone),
        field('Quiet from', this.inputs.start), field('Quiet until', this.inputs.end), field('Digest at', this.inputs.digestHour)),
      this.zones, this.table, h('button', { type: 'submit', class: 'small' }, 'Save'))
    panel.append(h('header', { class: 'head' }, h('h2', {}, 'Preferences'), this.status), this.form, this.#addresses())
  }

  #addresses () {
    this.contacts = h('ul', { class: 'contacts' })
    this.channel = h('select', { 'aria-label': 'Channel', name: 'channel' })
    offer(this.channel, ADDRESSES)
    this.channel.value = 'mail'
    this.address = h('input', { 'aria-label': 'Address', name: 'address', maxLength: 1000, placeholder: 'chloe@example.org' })
    return h('section', { class: 'preferences' }, h('h3', {}, 'Addresses'), this.contacts,
      h('form', { class: 'line', autocomplete: 'off', onsubmit: (event) => this.#add(event) },
        this.channel, this.address, h('button', { type: 'submit', class: 'small' }, 'Add')))
  }

  /** Loads what is stored. */
  async load () {
    const { api } = this
    say(this.status, '')
    const [own, { contacts }] = await Promise.all([api.call('GET', 'preferences'), api.call('GET', 'contacts')])
    if (this.api !== api) return
    this.#show(own)
    this.#list(contacts)
  }

  render () {}

  #show ({ preferences, timezone, language, modes }) {
    const { inputs } = this
    inputs.language.value = preferences.language
    inputs.language.placeholder = language
    inputs.timezone.value = preferences.timezone
    inputs.timezone.placeholder = timezone
    inputs.start.value = preferences.quiet_hours?.start ?? ''
    inputs.end.value = preferences.quiet_hours?.end ?? ''
    inputs.digestHour.value = String(preferences.digest_hour)
    const channels = Object.keys(Object.values(modes)[0] ?? {})
    this.selects = []
    this.table.replaceChildren(
      h('thead', {}, h('tr', {}, ...['Events', ...channels.map((each) => CHANNELS[each] ?? each)].map((each) => h('th', { scope: 'col' }, each)))),
      h('tbody', {}, ...Object.entries(modes).map(([group, each]) => h('tr', {}, h('th', { scope: 'row' }, group),
        ...channels.map((channel) => h('td', {}, this.#select(group, channel, each[channel], preferences.types[group]?.[channel])))))))
  }

  #select (group, channel, modes, chosen = '') {
    if (modes.length === 0) return '–'
    const select = h('select', { 'aria-label': `${group}, ${CHANNELS[channel] ?? channel}`, data: { group, channel } })
    offer(select, [['', 'as usual'], ...modes.map((mode) => [mode, mode])])
    select.value = chosen
    this.selects.push(select)
    return select
  }

  #submit (event) {
    event.preventDefault()
    const { language, timezone, start, end, digestHour } = this.inputs
    const modes = this.selects.map((select) => [select.dataset.group, select.dataset.channel, select.value])
    const body = preferencesOf({
      language: language.value, timezone: timezone.value, start: start.value, end: end.value, digestHour: digestHour.value, modes
    })
    say(this.status, 'Saving')
    this.attempt(this.api.call('PUT', 'preferences', { body }).then((own) => {
      this.#show(own)
      say(this.status, 'Saved')
    }), () => say(this.status, 'Not saved'))
  }

  #list (contacts) {
    keyed(this.contacts, contacts.map((each) => [each.id, each]), (id) => this.#contact(id), (row, each) => this.#fill(row, each))
  }

  #fill (row, { channel, address, disabled_at: disabled, confirmed_at: confirmed }) {
    const isOpen = disabled === null && confirmed === null
    const state = disabled ? 'does not exist any more' : isOpen ? 'enter the code that was sent there' : ''
    say(row.firstChild, [CHANNELS[channel] ?? channel, address, state].filter(Boolean).join(' · '))
    row.querySelector('form').hidden = !isOpen
  }

  #contact (id) {
    const remove = () => this.attempt(this.api.call('DELETE', `contacts/${encodeURIComponent(id)}`).then(() => this.load()))
    const code = h('input', { name: 'code', inputMode: 'numeric', maxLength: 6, pattern: '[0-9]{6}', required: true, 'aria-label': 'Code' })
    const confirm = (event) => {
      event.preventDefault()
      const body = { code: code.value }
      this.attempt(this.api.call('POST', `contacts/${encodeURIComponent(id)}/confirmation`, { body }).then(() => this.load()))
    }
    const form = h('form', { class: 'line', autocomplete: 'off', onsubmit: confirm }, code, h('button', { type: 'submit', class: 'small' }, 'Confirm'))
    return h('li', { class: 'line' }, h('span', { dir: 'auto' }), form, h('button', { type: 'button', class: 'quiet small', onclick: remove }, 'Remove'))
  }

  #add (event) {
    event.preventDefault()
    const body = { channel: this.channel.value, address: this.address.value.trim() }
    if (body.address === '') return
    this.attempt(this.api.call('PUT', 'contacts', { body }).then(() => {
      this.address.value = ''
      return this.api.call('GET', 'contacts')
    }).then(({ contacts }) => this.#list(contacts)))
  }
}
