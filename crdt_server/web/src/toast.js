// Short messages that go away by themselves.
import { h } from './dom.js'

const SHOWN_MS = 12_000

/** Says `message` in a corner of the page, and to screen readers. */
export const toast = (message) => {
  const close = h('button', { type: 'button', class: 'quiet small', onclick: () => element.remove() }, 'Close')
  const element = h('div', { class: 'toast', dir: 'auto' }, h('p', {}, message), close)
  document.getElementById('toasts').append(element)
  setTimeout(() => element.remove(), SHOWN_MS)
}
