// What only the server has, such as lists of conversations: asked for again and again while there is a connection.
import type { Wedding } from 'crdt-server-client'

const AGAIN_MS = 15_000

/** Calls now, when a connection comes back, and every 15 s; not while this device is offline. Ends with the wedding. */
export const poll = (wedding: Wedding, load: () => Promise<void>): void => {
  let wasOffline = false
  wedding.status.subscribe(({ connection }) => {
    if (connection === 'online' && wasOffline) void load()
    wasOffline = connection === 'offline' || (wasOffline && connection === 'connecting')
  })
  const again = (): void => {
    const { connection } = wedding.status.get()
    if (connection === 'closed') return
    void (connection === 'offline' ? Promise.resolve() : load()).then(() => setTimeout(again, AGAIN_MS))
  }
  again()
}
