// Files of a conversation: chosen and uploaded before a message names them, and downloaded with the proof of who we are.
import { h, keyed, say } from './dom.js'

const KEPT_MS = 60_000

/** The field for the files of the next message. */
export class FileField {
  /** `upload(file)` resolves with what a message has of a file, or with undefined where it was refused. */
  constructor (upload) {
    Object.assign(this, { upload, attached: [], conversation: 0 })
    this.input = h('input', { type: 'file', name: 'file', multiple: true, 'aria-label': 'Files', onchange: () => this.#take() })
    this.list = h('ul', { class: 'participants', 'aria-label': 'Files of the message' })
    this.element = h('div', { class: 'line' }, this.input, this.list)
  }

  async #take () {
    const { conversation } = this
    const chosen = [...this.input.files]
    this.input.value = ''
    for (const file of chosen) {
      const kept = await this.upload(file)
      if (kept === undefined || this.conversation !== conversation) continue
      this.attached = [...this.attached, kept]
      this.#show()
    }
  }

  #show () {
    keyed(this.list, this.attached.map((each) => [each.id, each]), (id) => this.#row(id), (row, { name }) => say(row.firstChild, name))
  }

  #row (id) {
    const remove = () => {
      this.attached = this.attached.filter((each) => each.id !== id)
      this.#show()
    }
    return h('li', {}, h('span', { dir: 'auto' }), h('button', { type: 'button', class: 'quiet small', onclick: remove }, 'Remove'))
  }

  /** The files, which are those of a message now. */
  use () {
    const { attached } = this
    this.attached = []
    this.#show()
    return attached
  }

  /** Another conversation is open. */
  clear () {
    this.conversation += 1
    this.use()
  }
}

/** Shows the files of a message as buttons; `open(file)` downloads one. */
export const showFiles = (list, files, open) => {
  list.hidden = files.length === 0
  const fill = (row, file) => {
    row.file = file
    say(row.firstChild, file.name)
  }
  const make = () => {
    const row = h('li', {}, h('button', { type: 'button', class: 'quiet small', dir: 'auto', onclick: () => open(row.file) }))
    return row
  }
  keyed(list, files.map((file) => [file.id, file]), make, fill)
}

/** Hands a file to the person, under a name. */
export const save = (blob, name) => {
  const link = h('a', { href: URL.createObjectURL(blob), download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS)
}
