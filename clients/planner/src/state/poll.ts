// What only the server has, such as lists of conversations: asked for when something has reached this person, and again and
// again, as not everything that changes a list reaches an inbox.
import type { Wedding } from 'crdt-server-client'

const AGAIN_MS = 15_000
const TOGETHER_MS = 200

/** Calls now, when the inbox changes or a connection comes back, and every 15 s; not while this device is offline. */
export const poll = (wedding: Wedding, load: () => Promise<void>): void => {
  let wasOffline = false
  let soon: ReturnType<typeof setTimeout> | undefined
  wedding.status.subscribe(({ connection }) => {
    if (connection === 'online' && wasOffline) void load()
    wasOffline = connection === 'offline' || (wasOffline && connection === 'connecting')
  })
  wedding.onInbox(() => {
    soon ??= setTimeout(() => {
      soon = undefined
      void load()
    }, TOGETHER_MS)
  })
  const again = (): void => {
    const { connection } = wedding.status.get()
    if (connection === 'closed') return
    void (connection === 'offline' ? Promise.resolve() : load()).then(() => setTimeout(again, AGAIN_MS))
  }
  again()
}
