// Calls of the server's API, and what proves to it who calls. A token travels in a header, or in the query of a
// WebSocket, which has no headers; never in an address that somebody can see or copy.

/** An answer that is no success: `status`, and `code` and `detail` of the problem. Status 0: there was none. */
export class Refused extends Error {
  constructor (status, { code = '', detail = '' } = {}) {
    super(detail || code || `status ${status}`)
    Object.assign(this, { status, code, detail })
  }
}

/** The URL of a path relative to the page, which may lie below a prefix. */
const urlOf = (path, query) => {
  const url = new URL(path, location.href)
  url.hash = ''
  url.search = String(new URLSearchParams(query))
  return url
}

/** The response to a call of the API, of which nothing is read yet. Rejects with Refused where it is no success. */
const respond = async (method, path, { token = '', query = {}, body, file, signal }) => {
  let answer
  try {
    answer = await fetch(urlOf(path, query), {
      method,
      signal,
      cache: 'no-store',
      headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json' }) },
      body: file ?? (body && JSON.stringify(body))
    })
  } catch (error) {
    throw new Refused(0, { detail: error.message })
  }
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})))
  return answer
}

/** POST of JSON. Rejects with Refused. */
export const post = async (path, options = {}) => (await respond('POST', path, options)).json().catch(() => ({}))

/** The query of a WebSocket: a token, else the person that --dev believes. */
export const proofOf = ({ user, role, vendor, guest, side, enforce }, token) => {
  if (token) return { token }
  const more = Object.entries({ vendor, guest, side, enforce }).filter(([, value]) => value)
  return { user, role, ...Object.fromEntries(more) }
}

/** What somebody may do in a wedding, and which documents they may open. */
export const join = (place, token) =>
  post(`api/weddings/${encodeURIComponent(place.wedding)}/join`, { token, query: token ? {} : proofOf(place, '') })

/** The API of one wedding. `proof()` is what proves now who calls: a token, or the person that --dev believes. */
export class Api {
  constructor (wedding, proof) {
    this.wedding = wedding
    this.proof = proof
  }

  /** The answer of a call below the wedding, {} where it has no body. Rejects with Refused. */
  async call (method, path, { query = {}, body } = {}) {
    return (await this.#respond(method, path, { query, body })).json().catch(() => ({}))
  }

  /** The answer to a file that is sent as it is. Rejects with Refused. */
  async upload (path, query, file) {
    return (await this.#respond('POST', path, { query, file })).json()
  }

  /** The file below a path, as a Blob. Rejects with Refused. */
  async download (path) {
    return (await this.#respond('GET', path, {})).blob()
  }

  /** The texts of an answer as they come. Rejects with Refused, and where the connection ends. */
  async * stream (path, query, signal) {
    const { body } = await this.#respond('GET', path, { query, signal })
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value
  }

  #respond (method, path, { query, ...more }) {
    const { token = '', ...person } = this.proof()
    const below = `api/weddings/${encodeURIComponent(this.wedding)}/${path}`
    return respond(method, below, { token, query: { ...person, ...query }, ...more })
  }
}
