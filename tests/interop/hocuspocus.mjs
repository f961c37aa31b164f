/** Stock clients of Hocuspocus, of its majors 3 and 4, several on one socket where a test names one. */
import WebSocket from 'ws'
import * as four from '@hocuspocus/provider'
import * as three from 'hocuspocus-provider-3'
import * as Y from 'yjs'
import { signer } from './typing.mjs'

const sockets = new Map()

/**
 * `socket` names a socket to share; without it the provider has its own. `client.token` may be changed. With `signing`
 * (see `signer`) each token is a new one, and `client.renewals` has the numbers of those that an open document was
 * requested to send.
 */
export function openHocuspocus ({ url, name, major = 4, socket, token = '', clientID, session = false, signing }) {
  const { HocuspocusProvider, HocuspocusProviderWebsocket } = major === 4 ? four : three
  const doc = new Y.Doc()
  if (clientID != null) doc.clientID = clientID
  const client = { doc, token, renewals: [], stateless: [], failed: [], scopes: [], closes: [], counts: [], synced: 0 }
  const sign = signing && signer(signing)
  const nextToken = () => {
    if (sign === undefined) return client.token
    client.signed = sign()
    if (client.provider.isAuthenticated) client.renewals.push(client.signed.number)
    return client.signed.token
  }
  const network = { url, WebSocketPolyfill: WebSocket, delay: 200, minDelay: 100 }
  let websocketProvider = sockets.get(socket)
  if (socket !== undefined && websocketProvider === undefined) {
    websocketProvider = new HocuspocusProviderWebsocket(network)
    sockets.set(socket, websocketProvider)
  }
  client.provider = new HocuspocusProvider({
    ...(websocketProvider === undefined ? network : { websocketProvider }),
    name,
    document: doc,
    token: nextToken,
    sessionAwareness: session,
    onStateless: ({ payload }) => client.stateless.push(JSON.parse(payload)),
    onAuthenticationFailed: ({ reason }) => client.failed.push(reason),
    onAuthenticated: ({ scope }) => client.scopes.push(scope),
    onClose: ({ event }) => client.closes.push([event.code, String(event.reason)]),
    onUnsyncedChanges: ({ number }) => client.counts.push(number),
    onSynced: () => { client.synced += 1 }
  })
  if (websocketProvider !== undefined) client.provider.attach()
  client.socket = client.provider.configuration.websocketProvider
  return client
}

/** Ends the sockets that several clients shared. */
export function closeSockets () {
  for (const socket of sockets.values()) socket.destroy()
  sockets.clear()
}
