/**
 * Stock Yjs clients for the cells of the policy: opens each document with each token, one after another, and makes one
 * edit where it is let in.
 *
 * Standard input: `[{url, room, params, edit, present}]`; output: for each `{closed: code}`, or `{synced: true,
 * stands}`, whether `present` still holds once the edit came back. `edit` and `present` see `doc` and `Y`.
 */
import { readFileSync } from 'node:fs'
import WebSocket from 'ws'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const [SYNC, AUTH, UPDATE] = [0, 2, 2]

function visit ({ url, room, params, edit, present }) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, room, doc, { WebSocketPolyfill: WebSocket, disableBc: true, params })
  provider.messageHandlers[AUTH] = () => {}
  return new Promise(resolve => {
    const finish = result => {
      provider.destroy()
      doc.destroy()
      resolve(result)
    }
    provider.on('connection-close', event => event !== null && finish({ closed: event.code }))
    provider.once('sync', () => {
      const onSync = provider.messageHandlers[SYNC]
      provider.messageHandlers[SYNC] = (encoder, decoder, ...others) => {
        const copy = decoding.clone(decoder)
        onSync(encoder, decoder, ...others)
        if (decoding.readVarUint(copy) !== UPDATE) return
        const { structs } = Y.decodeUpdate(decoding.readVarUint8Array(copy))
        if (!structs.some(({ id }) => id.client === doc.clientID)) return
        const stands = new Function('doc', `return ${present}`)(doc)
        setImmediate(finish, { synced: true, stands })
      }
      new Function('doc', 'Y', edit)(doc, Y)
    })
  })
}

const results = []
for (const each of JSON.parse(readFileSync(0))) results.push(await visit(each))
process.stdout.write(JSON.stringify(results))
process.exit(0)
