// One document of this client: its Y.Doc, the socket, the receipts and the copy on this device. When the server refuses
// what it holds for good, it begins anew with an empty Y.Doc: whoever uses it asks for `doc` each time, and is told.
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { Copies, Copy } from './copies.js'
import { Emitter } from './emitter.js'
import { readNotices, type Notice } from './notices.js'
import { Receipts } from './receipts.js'

/** What all documents of a wedding share. */
export interface Link {
  socketUrl: string
  query (): Record<string, string>
  isOnline (): boolean
  nowMs (): number
  readonly copies: Copies | undefined
  readonly WebSocket: typeof WebSocket
}

export interface Refusal { readonly code: number; readonly reason: string }

const node = (globalThis as { process?: { off?: (event: 'exit', listener: () => void) => unknown } }).process

/** The origin of every write of this package. */
export const LOCAL = Symbol('local')

export class Replica {
  doc!: Y.Doc
  provider!: WebsocketProvider
  /** Why the server has shut this document, until it is opened again. */
  refused: Refusal | undefined
  /** The server has no room for what was written: `over_quota` or `too_large`. */
  full = ''
  status: 'connecting' | 'connected' | 'disconnected' = 'connecting'
  isClosed = false
  /** Of another Y.Doc than before. */
  readonly reset = new Emitter<void>()
  /** Connection, receipts or refusals have changed. */
  readonly state = new Emitter<void>()
  readonly notice = new Emitter<Notice>()
  readonly refusal = new Emitter<Refusal>()
  readonly present = new Emitter<void>()
  /** Something has reached this person: every wedding has one document that hears of it. */
  readonly inbox = new Emitter<void>()
  #receipts!: Receipts
  #copy: Copy | undefined
  #loaded!: Promise<void>
  #isLoading = false

  constructor (readonly name: string, readonly link: Link) {
    this.#begin()
  }

  /** Resolves as soon as it has what this device keeps, or else what the server has; also when it is refused. */
  get loaded (): Promise<void> {
    return this.#loaded
  }

  get waiting (): number {
    return this.#receipts.waiting
  }

  get isSynced (): boolean {
    return this.provider.synced
  }

  connect (): void {
    if (this.isClosed || !this.link.isOnline()) return
    this.refused = undefined
    this.provider.params = this.#query()
    if (!this.provider.wsconnected) this.status = 'connecting'
    this.provider.connect()
  }

  disconnect (): void {
    this.provider.disconnect()
    this.status = 'disconnected'
    this.state.emit()
  }

  #query (): Record<string, string> {
    return this.name.split('@')[0] === 'wedding' ? { ...this.link.query(), inbox: '1' } : this.link.query()
  }

  /** `cleared`: before the copy of this device is empty. */
  #begin (cleared?: Promise<unknown>): void {
    const { link } = this
    this.doc = new Y.Doc()
    this.full = ''
    // Without disableBc two tabs of one browser would exchange edits of which the server knows nothing.
    this.provider = new WebsocketProvider(link.socketUrl, this.name, this.doc, {
      connect: false, disableBc: true, params: this.#query(), WebSocketPolyfill: link.WebSocket
    })
    // In Node each provider listens for the end of the process, and a dozen of documents looks like a leak. The socket ends
    // with the process, and the server takes the presence away.
    node?.off?.('exit', this.provider._exitHandler)
    const isLocal = (origin: unknown): boolean => origin !== this.provider && !this.#copy?.isOrigin(origin) && !this.#isLoading
    this.#receipts = new Receipts(this.doc, this.provider, isLocal, () => this.#saved())
    this.#watch()
    this.#loaded = this.#load(cleared)
  }

  async #load (cleared: Promise<unknown> | undefined): Promise<void> {
    const { doc, provider } = this
    if (this.link.copies !== undefined) {
      this.#isLoading = true
      await cleared?.catch(() => {})
      const copy = await this.link.copies.load(this.name, doc, this.link.nowMs()).catch(() => undefined)
      this.#isLoading = false
      if (this.doc !== doc || this.isClosed) return void copy?.close(false)
      this.#copy = copy
      if (copy !== undefined && !copy.wasSaved) this.#receipts.expect(doc)
    }
    this.connect()
    const isEmpty = doc.store.clients.size === 0
    if (isEmpty) await this.#first(provider)
  }

  /** The first answer of the server, or its refusal; where this device keeps copies, also that it cannot be reached. */
  #first (provider: WebsocketProvider): Promise<void> {
    const isAway = (): boolean => !this.link.isOnline() || (this.link.copies !== undefined && this.status === 'disconnected')
    return new Promise((resolve) => {
      const done = (): void => {
        if (!provider.synced && this.refused === undefined && !this.isClosed && !isAway()) return
        queueMicrotask(() => end())
        resolve()
      }
      const end = this.state.on(done)
      done()
    })
  }

  #watch (): void {
    const { provider, doc } = this
    const isOurs = (): boolean => this.provider === provider
    provider.on('status', ({ status }) => {
      // What fails again and again stays disconnected: each try is no news.
      if (!isOurs() || (status === 'connecting' && this.status === 'disconnected')) return
      this.status = status
      // Others have taken this state for gone: as it was they would not take it again.
      if (status === 'connected') provider.awareness.setLocalState(provider.awareness.getLocalState())
      this.state.emit()
    })
    provider.on('connection-close', () => {
      if (!isOurs()) return
      this.status = 'disconnected'
      this.state.emit()
    })
    provider.on('sync', () => { if (isOurs()) this.#saved() })
    provider.on('closed', (refusal) => {
      if (!isOurs()) return
      this.refused = refusal
      this.state.emit()
      this.refusal.emit(refusal)
    })
    provider.awareness.on('change', () => this.present.emit())
    readNotices(provider, (notice) => this.#noticed(notice), () => this.inbox.emit())
    doc.on('update', () => this.#saved())
  }

  #noticed (notice: Notice): void {
    if (notice.code === 'over_quota' || notice.code === 'too_large') {
      this.full = notice.code
      this.state.emit()
    }
    this.notice.emit(notice)
  }

  #saved (): void {
    if (this.waiting === 0) {
      this.full = ''
      this.#copy?.markSaved(() => this.waiting === 0)
    }
    this.state.emit()
  }

  /**
   * Begins with an empty Y.Doc, and gets everything from the server. At once, as what is written meanwhile would be in
   * neither; the copy of before is deleted when it is `kept` elsewhere.
   */
  restart (kept: Promise<unknown> = Promise.resolve()): void {
    if (this.isClosed) return
    const local = this.provider.awareness.getLocalState()
    const copy = this.#leave()
    this.refused = undefined
    this.#begin(kept.then(() => copy?.delete()))
    this.provider.awareness.setLocalState(local)
    this.reset.emit()
    this.state.emit()
  }

  #leave (): Copy | undefined {
    const copy = this.#copy
    this.#copy = undefined
    this.provider.destroy()
    this.doc.destroy()
    return copy
  }

  /** Ends it; `isWiped`: what this device keeps of it is deleted. */
  async close (isWiped = false): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    const isSaved = this.waiting === 0
    const copy = this.#copy
    this.#copy = undefined
    this.provider.destroy() // what came while the copy is marked would be in it, and not in the mark
    if (!isWiped && copy !== undefined) await copy.close(isSaved)
    this.doc.destroy()
    if (isWiped) await copy?.delete()
    this.state.emit()
  }
}
