// The way into a wedding: asks the server, and where it does not know us, the person in front of the page.
import { Refused, join } from './calls.js'
import { say } from './dom.js'
import { isToken } from './session.js'

const RETRY_MS = [1000, 2000, 5000, 10_000]
const $ = (id) => document.getElementById(id)

const REASONS = {
  403: 'You are not part of this wedding, or not any more. With another token or an invitation you may come in.',
  404: 'There is no such wedding.'
}

/** Why there is no way in, in words for a person. */
const reasonOf = ({ status, detail }, hadToken) => {
  if (status === 401) return hadToken ? `This is not valid, or not any more (${detail}).` : ''
  return REASONS[status] ?? `The server answered: ${detail || status}.`
}

/** Takes the form away. */
export const leave = () => {
  $('entry').hidden = true
  delete document.body.dataset.entry
}

/** Shows the form until something is entered. */
const ask = (why) => new Promise((resolve) => {
  const form = $('entry')
  say($('entry-why'), why)
  $('entry-why').hidden = why === ''
  form.hidden = false
  document.body.dataset.entry = 'open'
  $('proof').focus()
  form.onsubmit = (event) => {
    event.preventDefault()
    const typed = $('proof').value.trim()
    if (typed === '') return
    form.onsubmit = null
    $('proof').value = ''
    leave()
    resolve(typed)
  }
})

const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * What may be done in the wedding of a place: the answer of `join`. Renews the tokens of a session, or asks for others,
 * as often as it takes. Where an invitation is for another wedding, `place.wedding` is that one afterwards. Ends with
 * null where it `isOver`: the page went somewhere else.
 */
export const enter = async (place, session, isOver) => {
  for (let tries = 0; !isOver();) {
    try {
      return await join(place, session.token)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      if (isOver()) break
      if ([0, 408, 429].includes(error.status) || error.status >= 500) {
        await later(RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)])
        continue
      }
      if (error.status === 401 && await renewed(session)) continue
      await comeIn(place, session, reasonOf(error, session.token !== ''))
    }
  }
  return null
}

const renewed = async (session) => {
  try {
    return await session.renew()
  } catch {
    await later(RETRY_MS[0])
    return true // the server did not answer: the next try shows
  }
}

const comeIn = async (place, session, why) => {
  for (;;) {
    const typed = await ask(why)
    if (isToken(typed)) return session.take(typed)
    try {
      place.wedding = await session.accept(typed)
      return
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      why = error.status === 401 ? 'This is no token, and no invitation that is still good.' : reasonOf(error, true)
    }
  }
}
