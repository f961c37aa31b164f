// Notices of undone edits, and of a changed inbox: y-websocket's message type 2, any subtype (1; of older servers 0), and a
// string of JSON or a sentence.
import * as decoding from 'lib0/decoding'
import type { WebsocketProvider } from 'y-websocket'

const NOTICE = 2

export interface Undone {
  readonly root: string
  readonly record: string
  readonly key: string | null
  readonly code: string
  readonly message?: string
}

export interface Notice {
  readonly reverted: readonly Undone[]
  readonly why: string
  /** Of a refusal that names no record: `over_quota`, `too_large`. */
  readonly code: string
}

/** A notice from its text, of which nothing is taken for granted. */
export const parseNotice = (text: string): Notice => {
  try {
    const { reverted, why, code } = JSON.parse(text)
    return {
      reverted: Array.isArray(reverted) ? reverted : [],
      why: typeof why === 'string' ? why : '',
      code: typeof code === 'string' ? code : ''
    }
  } catch {
    return { reverted: [], why: text, code: '' }
  }
}

const INBOX_CHANGED = '{"inbox": "changed"}'

export const readNotices = (provider: WebsocketProvider, take: (notice: Notice) => void, inboxChanged: () => void): void => {
  const handlers = provider.messageHandlers as ((...all: any[]) => void)[]
  handlers[NOTICE] = (_encoder, decoder: decoding.Decoder) => {
    decoding.readVarUint(decoder) // the subtype
    const text = decoding.readVarString(decoder)
    if (text === INBOX_CHANGED) inboxChanged()
    else take(parseNotice(text))
  }
}
