// Calls of the server's API, and what proves to it who calls. A token travels in a header, or in the query of a
// WebSocket, which has no headers; never in an address that somebody can see or copy.

/** An answer that is no success: `status`, and `code` and `detail` of the problem. Status 0: there was none. */
export class Refused extends Error {
  constructor (status, { code = '', detail = '' } = {}) {
    super(detail || code || `status ${status}`)
    Object.assign(this, { status, code, detail })
  }
}

/** POST of JSON. `path` is relative to the page, which may lie below a prefix. Rejects with Refused. */
export const post = async (path, { token = '', query = {}, body } = {}) => {
  const url = new URL(path, location.href)
  url.hash = ''
  url.search = String(new URLSearchParams(query))
  let answer
  try {
    answer = await fetch(url, {
      method: 'POST',
      cache: 'no-store',
      headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body)
    })
  } catch (error) {
    throw new Refused(0, { detail: error.message })
  }
  const content = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Refused(answer.status, content)
  return content
}

/** The query of a WebSocket: a token, else the person that --dev believes. */
export const proofOf = ({ user, role, vendor, guest, side, enforce }, token) => {
  if (token) return { token }
  const more = Object.entries({ vendor, guest, side, enforce }).filter(([, value]) => value)
  return { user, role, ...Object.fromEntries(more) }
}

/** What somebody may do in a wedding, and which documents they may open. */
export const join = (place, token) =>
  post(`api/weddings/${encodeURIComponent(place.wedding)}/join`, { token, query: token ? {} : proofOf(place, '') })
