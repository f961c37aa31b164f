// When tokens are renewed: a minute before they run out. Where a server refuses what it has just given, only once.
const AGAIN_MS = 5000

export class Renewal {
  /** `renewed()` is called with every new token. */
  constructor (renewed) {
    this.renewed = renewed
    this.timer = 0
    this.isBusy = false
    this.reasons = []
    this.lastMs = -AGAIN_MS
  }

  /** Whether to ask the server anew, for this reason; then `end` follows. */
  begin (reason) {
    if (this.isBusy) this.reasons.push(reason)
    if (this.isBusy || performance.now() - this.lastMs < AGAIN_MS) return false
    this.isBusy = true
    this.reasons = [reason]
    return true
  }

  /** Returns all reasons that came up meanwhile. */
  end () {
    this.isBusy = false
    this.lastMs = performance.now()
    return this.reasons
  }

  /** Renews the tokens of a session in time, again and again. */
  plan (session) {
    clearTimeout(this.timer)
    if (session.renewAt === 0) return
    this.timer = setTimeout(() => this.#renew(session), Math.max(session.renewAt - Date.now(), AGAIN_MS))
  }

  async #renew (session) {
    try {
      if (await session.renew()) this.renewed()
      else return // the sockets are closed with 4401 then
    } catch {
      // There was no answer: again in a while.
    }
    this.plan(session)
  }
}
