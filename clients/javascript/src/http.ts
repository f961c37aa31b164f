// Calls of the server's API. A token travels in a header, or in the query of a WebSocket, which has no headers.
import type { ServerClock } from './clock.js'
import { ServerError } from './errors.js'
import type { Session } from './session.js'
import type { Person } from './types.js'

export interface OpenDocument {
  readonly name: string
  readonly write: 'all' | 'own' | 'none'
  readonly writable: readonly string[]
}

/** The answer of `POST …/join`. */
export interface Joined {
  readonly person: Person
  readonly title: string | null
  readonly phase: string | null
  readonly permissions: Readonly<Record<string, readonly string[]>>
  readonly documents: readonly OpenDocument[]
  readonly families: readonly OpenDocument[]
  readonly expires_at: number | null
  readonly websocket: string
  readonly now?: number
}

export interface Call {
  readonly body?: unknown
  readonly query?: Readonly<Record<string, string>>
  /** An `Idempotency-Key`. */
  readonly key?: string
}

interface More {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** Sends it also when the page is left. */
  readonly keepalive?: boolean
}

/** `ws:` becomes `http:`, and no slash is at the end. */
export const baseOf = (url: string): string => url.replace(/^ws(?=s?:)/, 'http').replace(/\/+$/, '')

export class Api {
  readonly base: string

  constructor (url: string, readonly wedding: string, readonly session: Session, readonly clock: ServerClock) {
    this.base = baseOf(url)
  }

  /** The answer of a call below the wedding, {} where it has no body. Rejects with ServerError. */
  async call (method: string, path: string, { body, query, key }: Call = {}): Promise<any> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers: Record<string, string> = key === undefined ? {} : { 'Idempotency-Key': key }
    return request(this.session.token, method, this.#url(path, query), text, { headers })
  }

  /** An answer that goes on, such as a stream of events. Rejects with ServerError. */
  async stream (path: string, { query, ...more }: Pick<Call, 'query'> & More): Promise<Response> {
    const response = await respond(this.session.token, 'GET', this.#url(path, query), undefined, more)
    if (!response.ok) await contentOf(response)
    return response
  }

  /** The answer to a file that is sent as it is. Rejects with ServerError. */
  async upload (path: string, file: Blob, query?: Call['query']): Promise<any> {
    return request(this.session.token, 'POST', this.#url(path, query), file)
  }

  /** The file below a path. Rejects with ServerError. */
  async download (path: string): Promise<Blob> {
    return (await this.stream(path, {})).blob()
  }

  async join (): Promise<Joined> {
    const begun = Date.now()
    const joined: Joined = await this.call('POST', 'join')
    // The page of a hotel's network that answers everything says nothing, and is not to be kept as what may be opened.
    if (joined.person === undefined) throw new ServerError(0, 'no_answer', 'what answers is no server of weddings')
    if (joined.now !== undefined) this.clock.set(joined.now * 1000, Date.now() - begun)
    return joined
  }

  /** What the URL of every document's socket begins with. */
  socketUrl ({ websocket }: Pick<Joined, 'websocket'>): string {
    return new URL(websocket, this.base).href.replace(/^http/, 'ws')
  }

  #url (path: string, query: Call['query']): URL {
    const below = `${this.base}/api/weddings/${encodeURIComponent(this.wedding)}`
    const url = new URL(path === '' ? below : `${below}/${path}`)
    for (const [name, value] of Object.entries({ ...this.session.personInQuery, ...query })) url.searchParams.set(name, value)
    return url
  }
}

/** The answer to a call as JSON, {} where it has no body. `token`: '' for none. Rejects with ServerError. */
export const request = async (token: string, method: string, url: URL, body?: string | Blob, more?: More): Promise<any> =>
  contentOf(await respond(token, method, url, body, more))

const contentOf = async (response: Response): Promise<any> => {
  const content = await response.json().catch(() => ({}))
  if (response.ok) return content
  throw new ServerError(response.status, content.code ?? '', content.detail ?? content.title ?? response.statusText, content)
}

/** An answer of the server, whatever it is. Rejects with ServerError where there is none. */
const respond = async (token: string, method: string, url: URL, body?: string | Blob, { headers, ...more }: More = {}): Promise<Response> => {
  const all = {
    ...(token === '' ? {} : { Authorization: `Bearer ${token}` }),
    ...(typeof body === 'string' ? { 'Content-Type': 'application/json' } : {}), // a file says its own
    ...headers
  }
  try {
    return await fetch(url, { method, headers: all, cache: 'no-store', ...(body === undefined ? {} : { body }), ...more })
  } catch (error) {
    throw new ServerError(0, 'no_answer', error instanceof Error ? error.message : String(error))
  }
}
