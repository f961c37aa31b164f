// The clock of the server: that of a device may be hours wrong, and moments are compared with those of other people.

export class ServerClock {
  #aheadMs = 0
  #bestMs = Infinity

  /** Milliseconds since 1970. */
  ms (): number {
    return Date.now() + this.#aheadMs
  }

  /** As `toISOString` gives it. */
  now (): string {
    return new Date(this.ms()).toISOString()
  }

  /** Takes the answer to a question that took `tripMs`: the quickest one is the most exact. */
  set (serverMs: number, tripMs: number): void {
    if (!Number.isFinite(serverMs) || tripMs > this.#bestMs) return
    this.#bestMs = tripMs
    this.#aheadMs = serverMs + tripMs / 2 - Date.now()
  }
}
