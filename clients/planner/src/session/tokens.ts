// The tokens of this tab for one wedding, in its sessionStorage: one that was given, or those of an invitation, of which
// the second gets the next ones. That one may be used once: if it comes twice the server takes the device for stolen. A
// duplicated tab has a copy of the storage, so only the tab that holds a lock renews.
import { claimsOf, request } from 'crdt-server-client'

interface Tokens {
  readonly token: string
  readonly refresh: string
  /** When `token` expires, in milliseconds since 1970. */
  readonly until: number
  readonly device: string
}

const KEPT = 'wedding-planner.session.'
const LOCK_MS = 2000
/** Longer before its end than the client package requests the next one, which is a minute. */
const EARLY_MS = 120_000
const LONGEST_AGENT = 255
const EMPTY: Tokens = { token: '', refresh: '', until: 0, device: '' }

/** Whether a text is a token, not the code of an invitation. */
export const isToken = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)

/** The wedding that a token names, '' where it names none. What it says is the server's to verify. */
export const weddingOf = (token: string): string => {
  const { wedding } = claimsOf(token)
  return typeof wedding === 'string' ? wedding : ''
}

const read = (wedding: string): Tokens => {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT + wedding) ?? '{}') as Partial<Tokens>
    const { token = '', refresh = '', until = 0, device = '' } = kept
    return { token: String(token), refresh: String(refresh), until: Number(until), device: String(device) }
  } catch {
    return EMPTY // storage may be forbidden, or hold what another program wrote
  }
}

const urlOf = (path: string): URL => new URL(path, location.href.split('#')[0])
const post = (path: string, body: unknown): Promise<any> => request('', 'POST', urlOf(path), JSON.stringify(body))

const held = new Set<string>()

/** Makes this tab the one that renews the tokens of a device, for as long as it is there. False: another one is. */
const claim = (device: string): Promise<boolean> => new Promise((resolve) => {
  if (held.has(device) || navigator.locks === undefined) return resolve(true) // no locks outside secure contexts
  navigator.locks.request(KEPT + device, { signal: AbortSignal.timeout(LOCK_MS) }, () => {
    held.add(device)
    resolve(true)
    return new Promise<never>(() => {})
  }).catch(() => resolve(false))
})

export class TabTokens {
  #tokens: Tokens
  #claimed: Promise<boolean> | undefined
  #renewal: Promise<string> | undefined

  constructor (readonly wedding: string) {
    this.#tokens = read(wedding)
    if (this.#tokens.refresh !== '') this.#claimed = this.#claim()
  }

  get isThere (): boolean {
    return this.#tokens.token !== ''
  }

  /** Uses a token in place of all before. */
  take (token: string): void {
    this.#set({ ...EMPTY, token })
  }

  forget (): void {
    this.#set(EMPTY)
  }

  /** Forgets the tokens, and ends the session of an invitation at the server. Rejects with ServerError where that fails. */
  async revoke (): Promise<void> {
    const { device } = this.#tokens
    const token = await this.next().finally(() => this.forget())
    if (device === '') return
    const path = `api/weddings/${encodeURIComponent(this.wedding)}/devices/${encodeURIComponent(device)}`
    await request(token, 'DELETE', urlOf(path), undefined, { keepalive: true })
  }

  /** The token for now, a new one where the last is about to expire. Rejects with ServerError where none came. */
  async next (): Promise<string> {
    const { token, refresh, until } = this.#tokens
    if (refresh === '' || until - EARLY_MS > Date.now() || !await this.#claimed) return token
    this.#renewal ??= this.#renew().finally(() => { this.#renewal = undefined })
    return this.#renewal
  }

  /** One at a time: a refresh token that comes twice is taken for a stolen one. */
  async #renew (): Promise<string> {
    this.#opened(await post('api/sessions/refresh', { refresh_token: this.#tokens.refresh }))
    return this.#tokens.token
  }

  #opened ({ access_token: token, refresh_token: refresh, expires_in: seconds, device }: any): void {
    this.#set({ token, refresh, until: Date.now() + seconds * 1000, device })
    this.#claimed = this.#claim()
  }

  async #claim (): Promise<boolean> {
    const isOurs = await claim(this.#tokens.device)
    if (!isOurs) this.#set({ ...this.#tokens, refresh: '' })
    return isOurs
  }

  #set (tokens: Tokens): void {
    this.#tokens = tokens
    try {
      sessionStorage.setItem(KEPT + this.wedding, JSON.stringify(tokens))
    } catch {
      // Storage may be forbidden: the tokens last as long as the page.
    }
  }

  /** Uses up the code of an invitation. Returns the tokens of the wedding that it is for. Rejects with ServerError. */
  static async accept (code: string): Promise<TabTokens> {
    const opened = await post('api/sessions', { code, device: navigator.userAgent.slice(0, LONGEST_AGENT) })
    const tokens = new TabTokens(opened.wedding)
    tokens.#opened(opened)
    return tokens
  }
}
