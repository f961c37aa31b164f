// The tokens of this tab for one wedding, in its sessionStorage: one that was given, or those of an invitation, of
// which the second gets the next ones. That one may be used once: if it comes twice the server takes the device for
// stolen. A duplicated tab has a copy of the storage, so only the tab that holds a lock keeps it; the copy stays in as
// long as its first token lasts.
import { post } from './calls.js'

const KEPT = 'wedding-planner.session.'
const LOCK_MS = 2000
const EARLY_MS = 60_000
const EMPTY = { token: '', refresh: '', until: 0, device: '' }

/** The token in the fragment of a URL; '' where there is none. */
export const tokenIn = (hash) => (new URLSearchParams(hash.replace(/^#/, '')).get('token') ?? '').trim()

/** The wedding that a token names; '' where it names none. What it says is the server's to verify. */
export const weddingOf = (token) => {
  try {
    const { wedding } = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')))
    return typeof wedding === 'string' ? wedding : ''
  } catch {
    return ''
  }
}

/** Whether a text is a token, not the code of an invitation. */
export const isToken = (text) => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)

const read = (wedding) => {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT + wedding)) ?? {}
    return Object.fromEntries(Object.entries(EMPTY).map(([key, none]) => [key, typeof kept[key] === typeof none ? kept[key] : none]))
  } catch {
    return { ...EMPTY } // storage may be forbidden, or hold what another program wrote
  }
}

const keep = (wedding, tokens) => {
  try {
    sessionStorage.setItem(KEPT + wedding, JSON.stringify(tokens))
  } catch {
    // Storage may be forbidden: the tokens last as long as the page.
  }
}

const held = new Set()

/** Makes this tab the one that renews the tokens of a device, for as long as it is there. False: another one is. */
const claim = (device) => new Promise((resolve) => {
  if (held.has(device) || globalThis.navigator?.locks === undefined) return resolve(true) // no locks outside secure contexts
  navigator.locks.request(KEPT + device, { signal: AbortSignal.timeout(LOCK_MS) }, () => {
    held.add(device)
    resolve(true)
    return new Promise(() => {})
  }).catch(() => resolve(false))
})

export class Session {
  constructor (wedding) {
    this.wedding = wedding
    this.tokens = read(wedding)
    this.claimed = this.tokens.refresh !== '' && this.#claim()
  }

  get token () {
    return this.tokens.token
  }

  /** When to renew the tokens, in milliseconds since 1970; 0: they cannot be. */
  get renewAt () {
    return this.tokens.refresh === '' ? 0 : Math.max(this.tokens.until - EARLY_MS, 0)
  }

  /** Uses a token in place of all before. */
  take (token) {
    this.#set({ ...EMPTY, token })
  }

  /** Uses up the code of an invitation. Returns the wedding that it is for. Rejects with Refused. */
  async accept (code) {
    const opened = await post('api/sessions', { body: { code, device: navigator.userAgent.slice(0, 255) } })
    this.wedding = opened.wedding
    this.#opened(opened)
    return opened.wedding
  }

  /** Gets the next tokens. Resolves with false where there can be none. Rejects with Refused where none came now. */
  async renew () {
    const { refresh } = this.tokens
    if (refresh === '' || !await this.claimed) return false
    if (this.tokens.refresh !== refresh) return true // renewed while it waited
    try {
      this.#opened(await post('api/sessions/refresh', { body: { refresh_token: refresh } }))
      return true
    } catch (error) {
      if (error.status !== 401 && error.status !== 403) throw error
      this.#set({ ...EMPTY })
      return false
    }
  }

  #opened ({ access_token: token, refresh_token: refresh, expires_in: seconds, device }) {
    this.#set({ token, refresh, until: Date.now() + seconds * 1000, device })
    this.claimed = this.#claim()
  }

  async #claim () {
    const isOurs = await claim(this.tokens.device)
    if (!isOurs) this.#set({ ...this.tokens, refresh: '' })
    return isOurs
  }

  #set (tokens) {
    this.tokens = tokens
    keep(this.wedding, tokens)
  }
}
