// The token of a person, and the next one. A token that the server refuses is never sent again: where `getToken` gives it
// once more, the person is signed out.
import type { OpenOptions } from './types.js'

/** The next token is requested so long before the old one expires. */
export const EARLY_MS = 60_000
const SOONEST_MS = 1000
const LONGEST_TIMER_MS = 2 ** 31 - 1

type Dev = NonNullable<OpenOptions['dev']>

/** What a token claims, {} of a text that is none. The server verifies it; here it names copies, and sets timers. */
export const claimsOf = (token: string): { readonly sub?: string; readonly exp?: number; readonly wedding?: unknown } => {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes)) ?? {}
  } catch {
    return {}
  }
}

const queryOf = ({ enforce, ...person }: Dev): Record<string, string> => {
  const given = Object.entries(person).filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '')
  return { ...Object.fromEntries(given), ...(enforce ? { enforce: '1' } : {}) }
}

export class Session {
  token = ''
  readonly #getToken: (() => string | Promise<string>) | undefined
  readonly #dev: Dev | undefined
  #refused = ''
  #timer: ReturnType<typeof setTimeout> | undefined
  #renewal: Promise<boolean> | undefined

  constructor ({ token = '', getToken, dev }: Pick<OpenOptions, 'token' | 'getToken' | 'dev'>) {
    this.token = token
    this.#getToken = getToken
    this.#dev = dev
  }

  /** The person that a server with `--dev` believes, for a query; {} with a token. */
  get personInQuery (): Record<string, string> {
    return this.#dev === undefined || this.token !== '' ? {} : queryOf(this.#dev)
  }

  /** The query of a socket. */
  get socketQuery (): Record<string, string> {
    return this.token === '' ? this.personInQuery : { token: this.token }
  }

  /** For whom copies on this device are kept. */
  get user (): string {
    return (this.token === '' ? this.#dev?.user : claimsOf(this.token).sub) ?? ''
  }

  use (token: string): void {
    this.token = token
  }

  /** The first token, where it was not given. Rejects as `getToken` does. */
  async begin (): Promise<void> {
    if (this.token === '' && this.#getToken !== undefined) this.token = await this.#getToken()
  }

  /** The token of now was refused, or is about to be. Whether there is another one. Rejects as `getToken` does. */
  renew (): Promise<boolean> {
    this.#renewal ??= this.#next().finally(() => { this.#renewal = undefined })
    return this.#renewal
  }

  /** Notes that the server has refused a token: it is not sent again. */
  refuse (token: string): void {
    this.#refused = token
  }

  async #next (): Promise<boolean> {
    const [before, getToken] = [this.token, this.#getToken]
    if (getToken === undefined) return false
    const next = await getToken()
    if (this.token !== before) return true // another one was given meanwhile
    if (next === '' || next === this.#refused || (next === before && before === this.#refused)) return false
    this.token = next
    return true
  }

  /**
   * Renews a minute before a token expires, at the latest when half of its time is over; not at once, as `getToken` may
   * have none but the expired one. `now` by the server's clock.
   */
  plan (expiresAtMs: number, nowMs: number, renew: () => void): void {
    clearTimeout(this.#timer)
    if (this.#getToken === undefined) return
    const left = expiresAtMs - nowMs
    const delay = Math.max(left - EARLY_MS, left / 2, SOONEST_MS)
    this.#timer = setTimeout(renew, Math.min(delay, LONGEST_TIMER_MS))
  }

  end (): void {
    clearTimeout(this.#timer)
  }
}
