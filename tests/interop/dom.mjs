/** A DOM of jsdom for editors that run in Node. */
import { JSDOM } from 'jsdom'

export const { window } = new JSDOM('<!doctype html><body></body>', { pretendToBeVisual: true })
Object.defineProperty(globalThis, 'navigator', { value: window.navigator, configurable: true })
for (const name of ['window', 'document', 'Node', 'Element', 'HTMLElement', 'DOMParser', 'MutationObserver', 'getComputedStyle']) {
  globalThis[name] ??= name === 'window' ? window : window[name]
}
globalThis.requestAnimationFrame ??= window.requestAnimationFrame.bind(window)
globalThis.innerHeight ??= 600
window.document.elementFromPoint ??= () => null

/** A place on the page for one editor. */
export function newElement () {
  const element = window.document.createElement('div')
  window.document.body.append(element)
  return element
}
