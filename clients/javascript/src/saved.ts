// The receipt: whether all that was written here is committed by the server.
import type { Documents } from './connection.js'
import type { Copies } from './copies.js'
import { Derived } from './emitter.js'
import { Closed } from './errors.js'
import type { Replica } from './replica.js'
import type { Listener, Saved, SavedState, Unsubscribe } from './types.js'

export class Receipt implements Saved {
  readonly #state: Derived<SavedState>
  readonly #documents: Documents
  readonly #copies: Copies | undefined
  readonly #nowMs: () => number
  #known = 0

  constructor (documents: Documents, nowMs: () => number, copies: Copies | undefined) {
    this.#documents = documents
    this.#nowMs = nowMs
    this.#copies = copies
    this.#state = new Derived(() => Object.freeze({ isSaved: this.#known === 0, waiting: this.#known }))
  }

  /** Follows a document, too. */
  add (replica: Replica): void {
    replica.state.on(() => this.#count())
    this.#count()
  }

  #count (): void {
    const waiting = this.#documents.replicas.reduce((sum, replica) => sum + replica.waiting, 0)
    if (waiting === this.#known) return
    this.#known = waiting
    void this.#copies?.setSaved(waiting === 0, this.#nowMs()).catch(() => {}) // it is closed already
    this.#state.changed()
  }

  get (): SavedState {
    return this.#state.get()
  }

  subscribe (listener: Listener<SavedState>): Unsubscribe {
    return this.#state.subscribe(listener)
  }

  byDocument (): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#documents.replicas.filter(({ waiting }) => waiting > 0).map(({ name, waiting }) => [name, waiting]))
  }

  whenSaved (): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (this.#known === 0) resolve()
        else if (this.#documents.isClosed) reject(new Closed())
        else return
        queueMicrotask(() => ends.forEach((end) => end()))
      }
      const ends = [this.#state.subscribe(settle), this.#documents.status.subscribe(settle)]
    })
  }

  async end (): Promise<void> {
    this.#state.changed()
  }
}
