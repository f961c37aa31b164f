// The document of a conversation, `thread.{id}`, as documents/README.md describes it. Everybody who takes part may write
// any shape, so everything here takes the shape that it needs.
import { byUnit } from './records.js'

export const EMOJI = ['👍', '❤️', '🎉', '😂', '✅']
export const LONGEST_MESSAGE = 4000

const asText = (value) => (typeof value === 'string' ? value : '')
const last = Number.MAX_SAFE_INTEGER

const filesIn = (attachments) => (Array.isArray(attachments) ? attachments : [])
  .map((each) => ({ id: asText(each?.id), name: asText(each?.name) })).filter(({ id }) => id !== '')

const reactionsIn = (doc) => {
  const found = new Map() // message -> emoji -> users
  for (const key of doc.getMap('reactions').keys()) {
    const [message, emoji, user] = key.split('|')
    if (user === undefined) continue
    if (!found.has(message)) found.set(message, new Map())
    const emojis = found.get(message)
    emojis.set(emoji, [...(emojis.get(emoji) ?? []), user])
  }
  return found
}

/**
 * [id, message] in the order of arrival; behind them those that the server has not received, by id. A message is
 * { from, at, kind, body, inReplyTo, attachments, sequence, isRedacted, reactions }: `sequence` null without a stamp,
 * `reactions` as [emoji, users], `attachments` as { id, name }.
 */
export const messagesIn = (doc) => {
  const [stamps, redactions, reactions] = [doc.getMap('stamps'), doc.getMap('redactions'), reactionsIn(doc)]
  const messages = []
  for (const [id, value] of doc.getMap('messages')) {
    if (value === null || typeof value !== 'object') continue
    const { sequence } = stamps.get(id) ?? {}
    const isRedacted = redactions.has(id)
    messages.push([id, {
      from: asText(value.from),
      at: asText(value.at),
      kind: asText(value.kind),
      body: isRedacted ? '' : asText(value.body),
      inReplyTo: asText(value.inReplyTo),
      attachments: isRedacted ? [] : filesIn(value.attachments),
      sequence: Number.isSafeInteger(sequence) ? sequence : null,
      isRedacted,
      reactions: [...reactions.get(id) ?? []].sort(([a], [b]) => byUnit(a, b))
    }])
  }
  return messages.sort(([a, one], [b, other]) => (one.sequence ?? last) - (other.sequence ?? last) || byUnit(a, b))
}

/** Writes a message of `user`. `at` is the instant by our clock, `attachments` are as the server has answered them. */
export const writeMessage = (doc, id, user, at, body, inReplyTo, attachments = []) => {
  const more = { ...(inReplyTo ? { inReplyTo } : {}), ...(attachments.length > 0 ? { attachments } : {}) }
  doc.getMap('messages').set(id, { from: user, at, kind: 'text', body, ...more })
}

/** Takes a message back: its text goes everywhere. */
export const takeBack = (doc, id, user, at) => {
  if (!doc.getMap('redactions').has(id)) doc.getMap('redactions').set(id, { at, by: user })
}

/** Gives a reaction, or takes it back where it was given. */
export const react = (doc, id, emoji, user) => {
  const [reactions, key] = [doc.getMap('reactions'), `${id}|${emoji}|${user}`]
  if (reactions.has(key)) reactions.delete(key)
  else reactions.set(key, true)
}

/** The beginning of a text, in one line. */
export const excerpt = (text, characters = 80) => {
  const line = [...text.replace(/\s+/g, ' ').trim()]
  return line.length > characters ? line.slice(0, characters).join('') + '…' : line.join('')
}

/** The names of others who are in a conversation, and of those among them who are typing. */
export const presentIn = (states, ownId) => {
  const others = [...states].filter(([id, state]) => id !== ownId && state !== null && typeof state === 'object')
  const names = (list) => [...new Set(list.map(([, { user }]) => asText(user?.name).trim().slice(0, 40)).filter(Boolean))].sort(byUnit)
  return { here: names(others), typing: names(others.filter(([, { typing }]) => typing === true)) }
}
