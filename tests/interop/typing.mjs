/**
 * People who type into an editor without a pause, and an account of what the server has confirmed.
 *
 * A client gets `words` in the order they were typed, and `confirmed`: so many of them, from the first on, are stored
 * as far as its protocol says so.
 */
import { createHmac } from 'node:crypto'
import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Makes tokens of a person, which expire after so many seconds; the person is called by the number of the token. */
export function signer ({ secret, claims, seconds }) {
  let number = 0
  return () => {
    const expiresAt = Date.now() / 1000 + seconds
    const payload = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64({ ...claims, name: `${++number}`, exp: expiresAt })}`
    return { number, expiresAt, token: `${payload}.${createHmac('sha256', secret).update(payload).digest('base64url')}` }
  }
}

/** With y-websocket an update that comes back is stored. */
export function confirmByEcho (client) {
  const sync = client.provider.messageHandlers[0]
  client.provider.messageHandlers[0] = (encoder, decoder, ...rest) => {
    const peek = decoding.clone(decoder)
    const step = decoding.readVarUint(peek)
    const payload = decoding.readVarUint8Array(peek)
    sync(encoder, decoder, ...rest)
    const clocks = step === 0 ? Y.decodeStateVector(payload) : Y.parseUpdateMeta(payload).to
    const clock = clocks.get(client.doc.clientID) ?? 0
    while (client.confirmed < client.words.length && client.words[client.confirmed].end <= clock) client.confirmed++
  }
}

/** With Hocuspocus the provider counts updates without a receipt, which come in their order: those are the newest. */
export function confirmByStatus (client) {
  let last = 0
  client.provider.on('unsyncedChanges', ({ number }) => {
    if (number < last) client.confirmed = Math.max(client.confirmed, client.words.length - number)
    last = number
  })
}

/** Types a word after each pause, at the end of a paragraph or as a new one, in a different place each time. */
export function startTyping (client, { name, pauseMs }) {
  const { doc, provider } = client
  const typeWord = () => {
    const { view } = client
    const { doc: page, tr, schema } = view.state
    const number = client.words.length
    const word = `${name}${number}`
    const index = number * 7 % (page.childCount + 1)
    let at = 0
    for (let n = 0; n < index; n++) at += page.child(n).nodeSize
    if (index === page.childCount || number % 3 === 0) {
      view.dispatch(tr.insert(at, schema.nodes.paragraph.create(null, schema.text(word))))
    } else {
      view.dispatch(tr.insertText(` ${word}`, at + page.child(index).nodeSize - 1))
    }
    client.words.push({ word, end: Y.getState(doc.store, doc.clientID) })
    provider.awareness.setLocalStateField('typed', number)
  }
  client.typing = setInterval(typeWord, pauseMs)
}

export function stopTyping (client) {
  clearInterval(client.typing)
}
