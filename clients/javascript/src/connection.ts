// All documents of one wedding, connected: which are open, what happens when the server shuts one, and the next token.
import type { Asides } from './aside.js'
import { Derived, Emitter } from './emitter.js'
import { Closed, NotOpen, ServerError } from './errors.js'
import type { Api, Joined } from './http.js'
import { same } from './json.js'
import { Part } from './part.js'
import { Replica, type Link, type Refusal } from './replica.js'
import { documentFor, documentOfFamily, sameRights } from './rights.js'
import { claimsOf } from './session.js'
import type { Connection, Person, Status } from './types.js'

const AGAIN_MS = [1000, 2000, 5000, 10_000]
const MOST_RESTARTS = 3
const RESTART_MS = 60_000
/** Refused for good, whatever a new copy would do. */
const FINAL: Readonly<Record<number, string>> = {
  4426: 'this program is too old for the documents: load its new version'
}

/** What a connection tells of. */
export interface Events {
  opened (part: Part): void
  shut (part: Part): void
  joined (joined: Joined): void
  /** The wedding was erased. */
  erased (): Promise<void>
}

type Ending = Extract<Connection, 'signed_out' | 'forbidden' | 'erased' | 'closed'>

export class Documents {
  readonly parts = new Map<string, Part>()
  readonly status = new Derived<Status>(() => this.#status(), same)
  readonly rights = new Emitter<Person>()
  isOnline = true
  #ending: { readonly connection: Ending, readonly reason: string } | undefined
  #again: ReturnType<typeof setTimeout> | undefined
  #tries = 0
  /** Asked for once more, last time. */
  #knocked: readonly Replica[] = []
  #rejoining: Promise<void> | undefined
  readonly #restarts = new Map<string, number[]>()

  constructor (
    public joined: Joined,
    readonly api: Api,
    readonly link: Link,
    readonly asides: Asides,
    readonly events: Events,
    readonly wanted: ReadonlySet<string> | undefined
  ) {}

  get person (): Person {
    return this.joined.person
  }

  get isClosed (): boolean {
    return this.#ending?.connection === 'closed'
  }

  get isEnded (): boolean {
    return this.#ending !== undefined
  }

  get replicas (): Replica[] {
    return [...this.parts.values()].flatMap(({ replica }) => replica ?? [])
  }

  // -- which are open

  /** A part of the wedding, also one that is not open. */
  part (name: string): Part {
    let part = this.parts.get(name)
    if (part === undefined) {
      part = new Part(name)
      this.parts.set(name, part)
    }
    return part
  }

  /** Opens what this person may open of a part that every wedding has; shows nothing where that is nothing. */
  show (name: string): void {
    const access = this.wanted?.has(name) === false ? undefined : documentFor(this.joined, name)
    this.#show(this.part(name), access)
  }

  #show (part: Part, access: Joined['documents'][number] | undefined): void {
    const before = part.replica
    if (before !== undefined && before.name !== access?.name) {
      this.events.shut(part)
      void before.close(access === undefined)
    }
    const replica = before?.name === access?.name ? before : access && this.#replica(part, access.name)
    part.show(replica, access, this.person)
    if (replica !== undefined && replica !== before) this.events.opened(part)
  }

  #replica (part: Part, name: string): Replica {
    const replica = new Replica(name, this.link)
    replica.state.on(() => this.status.changed())
    replica.refusal.on((refusal) => { void this.#refused(part, replica, refusal) })
    return replica
  }

  /** Whether this person may open a document that is known to them, or any of its family. */
  mayOpen (name: string): boolean {
    return (documentFor(this.joined, name) ?? documentOfFamily(this.joined, name)) !== undefined
  }

  /** Opens a document of a family, such as a thread. Rejects with NotOpen. */
  async open (name: string): Promise<Part> {
    if (this.isEnded) throw new Closed()
    const part = this.part(name)
    if (part.replica === undefined) {
      // Who takes part in a thread the server knows: it decides.
      const access = documentOfFamily(this.joined, name) ?? { name, write: 'all' as const, writable: [] }
      this.#show(part, access)
    }
    await part.replica!.loaded
    const refused = part.replica?.refused
    if (refused !== undefined || part.replica === undefined) {
      await this.close(name)
      throw new NotOpen(name)
    }
    return part
  }

  async close (name: string): Promise<void> {
    const part = this.parts.get(name)
    const replica = part?.replica
    if (part === undefined || replica === undefined) return
    this.events.shut(part)
    part.show(undefined, undefined, this.person)
    await replica.close()
  }

  /** Closes a document, and deletes what this device keeps of it. */
  async forget (name: string): Promise<void> {
    await this.close(name)
    await this.link.copies?.forget(name, this.link.nowMs())
  }

  // -- when the server shuts one

  async #refused (part: Part, replica: Replica, refusal: Refusal): Promise<void> {
    if (this.isEnded || part.replica !== replica) return
    switch (refusal.code) {
      case 4400: case 4409: return this.#setAside(part, replica, refusal)
      case 4401: return this.#renew(replica)
      case 4403: case 4404: return this.rejoin()
      case 4410: return this.#erased()
    }
  }

  /** What a document holds is kept aside, and everything fetched anew: a few times a minute at most. */
  async #setAside (part: Part, replica: Replica, refusal: Refusal): Promise<void> {
    const now = this.link.nowMs()
    const recent = (this.#restarts.get(replica.name) ?? []).filter((at) => now - at < RESTART_MS)
    this.#restarts.set(replica.name, [...recent, now])
    const { waiting } = replica
    const kept = recent.length < MOST_RESTARTS || waiting > 0 ? this.asides.keep(replica, refusal) : undefined
    if (recent.length < MOST_RESTARTS) return replica.restart(kept)
    setTimeout(() => {
      if (this.isEnded || part.replica !== replica || replica.refused !== refusal) return
      replica.restart(replica.waiting > waiting ? this.asides.keep(replica, refusal) : kept) // with what was written since
    }, RESTART_MS)
  }

  async #renew (replica: Replica): Promise<void> {
    const { session } = this.api
    const used = replica.provider.params['token'] ?? ''
    if (session.token !== used) return replica.connect()
    session.refuse(used)
    await this.renew()
  }

  /** Gets the next token, and goes on with it. */
  async renew (): Promise<void> {
    const before = this.api.session.token
    let isNew: boolean
    try {
      isNew = await this.api.session.renew()
    } catch {
      return this.#later(() => this.renew()) // whoever gives tokens does not answer
    }
    if (this.isEnded && this.#ending?.connection !== 'signed_out') return
    if (isNew && before === this.api.session.token) return this.plan() // there is no newer one yet
    if (isNew) return this.resume()
    if (before === this.api.session.token) this.end('signed_out', 'the token is not valid any more')
  }

  /** Connects what the server has shut because of a token; plans the next renewal. */
  resume (): void {
    const { sub = this.person.user } = claimsOf(this.api.session.token)
    if (sub !== this.person.user) return this.#another()
    if (this.#ending?.connection === 'signed_out' || this.#ending?.connection === 'forbidden') this.#ending = undefined
    this.#tries = 0
    this.plan()
    for (const replica of this.replicas) if (!replica.provider.wsconnected) replica.connect()
    this.status.changed()
    void this.rejoin()
  }

  /** What one person has written is never sent in the name of another. */
  #another (): void {
    this.end('signed_out', 'the token is of another person')
  }

  plan (): void {
    const { exp } = claimsOf(this.api.session.token)
    const seconds = exp ?? this.joined.expires_at ?? undefined
    if (seconds !== undefined) this.api.session.plan(seconds * 1000, this.link.nowMs(), () => { void this.renew() })
  }

  async #erased (): Promise<void> {
    this.end('erased', 'the wedding was erased')
    await this.events.erased()
  }

  // -- rights

  /** Asks the server anew what this person may open. */
  rejoin (): Promise<void> {
    this.#rejoining ??= this.#rejoin().finally(() => { this.#rejoining = undefined })
    return this.#rejoining
  }

  async #rejoin (): Promise<void> {
    const used = this.api.session.token
    try {
      const joined = await this.api.join()
      if (!this.isClosed) this.apply(joined)
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      if (this.isEnded) return
      if (error.status === 401) return this.#unknown(used)
      if (error.status === 403 || error.status === 404) return this.end('forbidden', error.message)
      if (error.status === 410) return this.#erased()
      this.#later(() => this.rejoin())
    }
  }

  async #unknown (used: string): Promise<void> {
    if (this.api.session.token !== used) return this.#rejoin() // it was renewed meanwhile
    this.api.session.refuse(used)
    await this.renew()
  }

  /** Opens and closes documents as an answer of the server says. */
  apply (joined: Joined): void {
    const before = this.joined
    if (joined.person.user !== before.person.user) return this.#another()
    this.joined = joined
    this.link.socketUrl = this.api.socketUrl(joined)
    this.events.joined(joined)
    this.plan()
    for (const part of [...this.parts.values()]) {
      if (part.name.includes('.')) this.#family(part)
      else if (!sameRights(before, joined) || part.replica?.refused !== undefined) this.show(part.name)
    }
    this.#knock()
    this.status.changed()
    if (!sameRights(before, joined)) this.rights.emit(joined.person)
  }

  #family (part: Part): void {
    if (part.replica !== undefined) part.show(part.replica, documentOfFamily(this.joined, part.name) ?? part.access, this.person)
  }

  /** Documents that the server names as open and has shut: once more, each time later. */
  #knock (): void {
    const shut = (): Replica[] => this.replicas.filter(({ refused }) => refused?.code === 4403 || refused?.code === 4404)
    if (shut().length > 0) {
      this.#later(() => {
        this.#knocked = shut()
        for (const replica of this.#knocked) replica.connect()
      })
    } else if (this.#knocked.every((replica) => replica.isSynced || !this.replicas.includes(replica))) {
      this.#tries = 0 // the server has decided about all of them
    }
  }

  #later (work: () => Promise<void> | void): void {
    clearTimeout(this.#again)
    const delay = AGAIN_MS[Math.min(this.#tries++, AGAIN_MS.length - 1)]!
    this.#again = setTimeout(() => { if (!this.isEnded) void work() }, delay)
  }

  /** Joins in the background, where the wedding was opened from the copy of this device. */
  joinLater (): void {
    void this.rejoin()
  }

  // -- all of them

  setOnline (isOnline: boolean): void {
    this.isOnline = isOnline
    for (const replica of this.replicas) isOnline ? replica.connect() : replica.disconnect()
    this.status.changed()
  }

  end (connection: Ending, reason: string): void {
    this.#ending = { connection, reason }
    clearTimeout(this.#again)
    if (connection === 'closed' || connection === 'erased') this.api.session.end()
    else for (const replica of this.replicas) replica.disconnect()
    this.status.changed()
  }

  async closeAll (isWiped: boolean): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.close(isWiped)))
  }

  #status (): Status {
    const { replicas } = this
    const troubled = Object.fromEntries(replicas.flatMap(({ name, refused, full }) =>
      (refused === undefined ? (full === '' ? [] : [[name, full]]) : [[name, String(refused.code)]])))
    const isSynced = replicas.every((replica) => replica.isSynced)
    const [final] = replicas.flatMap(({ refused }) => FINAL[refused?.code ?? 0] ?? [])
    const { connection = this.#connection(replicas), reason = final ?? '' } = this.#ending ?? {}
    return Object.freeze({ connection, reason, isSynced, troubled: Object.freeze(troubled) })
  }

  #connection (replicas: readonly Replica[]): Connection {
    if (!this.isOnline) return 'offline'
    const open = replicas.filter(({ refused }) => refused === undefined)
    if (open.some(({ status }) => status === 'disconnected')) return 'offline'
    return open.some(({ status }) => status === 'connecting') ? 'connecting' : 'online'
  }
}
