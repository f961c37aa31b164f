// A wedding that is open: its parts, and the words that concern all of them.
import { Asides } from './aside.js'
import { BudgetItems } from './budget.js'
import type { ServerClock } from './clock.js'
import { Records } from './collection.js'
import { Conversations } from './threads.js'
import { Documents, type Events } from './connection.js'
import { Reviews } from './conflicts.js'
import type { Copies } from './copies.js'
import { Emitter } from './emitter.js'
import { Closed, NotOpen } from './errors.js'
import { EventFeed } from './feed.js'
import type { Api, Call, Joined } from './http.js'
import { Journal } from './journal.js'
import type { Part } from './part.js'
import { Presences } from './presence.js'
import { Rejections } from './rejections.js'
import type { Link } from './replica.js'
import { PARTS } from './rights.js'
import { Receipt } from './saved.js'
import type * as schema from './schema.js'
import { SeatingPlan } from './seating.js'
import { SingleRecord } from './single.js'
import { TimelineItems } from './timeline.js'
import type { Listener, Person, Readable, Rejected, Seating, Status, Undo, Unsubscribe, Wedding } from './types.js'
import { Words } from './words.js'

/** What a wedding is made of. */
export interface Wiring {
  readonly api: Api
  readonly clock: ServerClock
  readonly copies: Copies | undefined
  readonly joined: Joined
  readonly wanted: ReadonlySet<string> | undefined
  readonly WebSocket: Link['WebSocket']
}

const isPromise = (value: unknown): boolean => typeof (value as { then?: unknown } | undefined)?.then === 'function'

export class OpenWedding implements Wedding {
  readonly details: SingleRecord<schema.WeddingMeta>
  readonly events: Records<schema.Event>
  readonly places: Records<schema.Place>
  readonly vendors: Records<schema.Vendor>
  readonly tasks: Records<schema.Task>
  readonly members: Records<schema.Member>
  readonly guests: Records<schema.Guest>
  readonly households: Records<schema.Household>
  readonly care: Records<schema.Care>
  readonly timeline: TimelineItems
  readonly budget: BudgetItems
  readonly seating: SeatingPlan
  readonly threads: Conversations
  readonly conflicts: Reviews
  readonly feed: EventFeed
  readonly presence: Presences
  readonly saved: Receipt
  readonly setAside: Asides
  readonly #documents: Documents
  readonly #journal: Journal
  readonly #rejections: Rejections
  readonly #inbox = new Emitter<void>()
  readonly #wiring: Wiring
  #wiping: Promise<void> | undefined

  constructor (wiring: Wiring) {
    const { api, clock, copies, joined, wanted } = this.#wiring = wiring
    this.setAside = new Asides(copies, () => clock.ms())
    this.#documents = new Documents(joined, api, this.#link(), this.setAside, this.#events(), wanted)
    const journal = this.#journal = new Journal(() => this.person, () => clock.now(), () => this.#documents.parts.values())
    this.#rejections = new Rejections(journal)
    const words = new Words((name) => this.#documents.parts.get(name))
    this.conflicts = new Reviews(journal, words, () => clock.ms())
    this.feed = new EventFeed(api, this.status, () => this.#documents.renew())
    this.presence = new Presences(() => this.person)
    this.saved = new Receipt(this.#documents, () => clock.ms(), copies)
    this.threads = new Conversations(journal, api, this.#documents)
    const part = (name: string): Part => this.#documents.part(name)
    const records = <T>(document: string, root: string): Records<T> => new Records<T>(part(document), root, journal)
    this.details = new SingleRecord(part('wedding'), 'meta', journal)
    this.events = records('wedding', 'events')
    this.places = records('wedding', 'places')
    this.vendors = records('wedding', 'vendors')
    this.tasks = records('wedding', 'tasks')
    this.members = records('wedding', 'members')
    this.guests = records('guests', 'guests')
    this.households = records('guests', 'households')
    this.care = records('care', 'care')
    this.timeline = new TimelineItems(part('timeline'), journal)
    this.budget = new BudgetItems(part('budget'), journal)
    this.seating = new SeatingPlan(part('seating'), journal)
    this.#follow()
  }

  get name (): string {
    return this.#wiring.api.wedding
  }

  get person (): Person {
    return this.#documents.person
  }

  get status (): Readable<Status> {
    return this.#documents.status
  }

  get undoable (): Readable<Undo> {
    return this.#journal.undoable
  }

  /** Opens the documents. Resolves once each has what this device keeps, or else what the server has. */
  async begin (isJoined: boolean): Promise<void> {
    await this.setAside.load()
    for (const name of PARTS) this.#documents.show(name)
    this.#documents.plan()
    if (!isJoined) this.#documents.joinLater()
    await Promise.all(this.#documents.replicas.map(({ loaded }) => loaded))
  }

  #link (): Link {
    const { api, clock, copies, joined, WebSocket } = this.#wiring
    return {
      socketUrl: api.socketUrl(joined),
      query: () => api.session.socketQuery,
      isOnline: () => this.#documents.isOnline && !this.#documents.isEnded,
      nowMs: () => clock.ms(),
      copies,
      WebSocket
    }
  }

  #events (): Events {
    const { clock, copies } = this.#wiring
    return {
      opened: (part) => this.#opened(part),
      shut: (part) => {
        this.conflicts.drop(part)
        this.presence.drop(part)
        this.#journal.forget(part)
      },
      joined: (joined) => { copies?.use(joined, clock.ms()).catch(() => {}) }, // it is closed already
      erased: () => this.#wipe()
    }
  }

  #opened (part: Part): void {
    const replica = part.replica!
    this.conflicts.add(part)
    this.presence.add(part)
    this.saved.add(replica)
    replica.notice.on((notice) => this.#rejections.take(part, notice))
    replica.inbox.on(() => this.#inbox.emit())
    replica.reset.on(() => this.#journal.forget(part))
  }

  /** Conflicts show names of records. */
  #follow (): void {
    const named: readonly (readonly [string, string])[] = [['wedding', 'members'], ['guests', 'guests'], ['seating', 'tables']]
    for (const [document, root] of named) this.#documents.part(document).watch(root, () => this.conflicts.forget())
  }

  batch<T> (work: () => T): T {
    const result = this.#journal.batch(work)
    if (isPromise(result)) throw new TypeError('a batch is written at once: its function returns no promise')
    return result
  }

  undo (): boolean {
    return this.#journal.undo()
  }

  redo (): boolean {
    return this.#journal.redo()
  }

  onRejected (listener: Listener<Rejected>): Unsubscribe {
    return this.#rejections.rejected.on(listener)
  }

  onRights (listener: Listener<Person>): Unsubscribe {
    return this.#documents.rights.on(listener)
  }

  onInbox (listener: () => void): Unsubscribe {
    return this.#inbox.on(listener)
  }

  now (): string {
    return this.#wiring.clock.now()
  }

  get permissions (): Joined['permissions'] {
    return this.#documents.joined.permissions
  }

  mayOpen (document: string): boolean {
    return this.#documents.mayOpen(document)
  }

  async seatingOf (event: string): Promise<Seating> {
    return new SeatingPlan(await this.#documents.open(`seating.${event}`), this.#journal)
  }

  async note (slug: string): ReturnType<Wedding['note']> {
    const name = `notes.${slug}`
    const part = await this.#documents.open(name)
    const { replica } = part
    if (replica === undefined) throw new NotOpen(name)
    return {
      doc: replica.doc,
      awareness: replica.provider.awareness,
      mayWrite: () => part.mayWrite({ root: 'text', id: '', key: '', value: () => undefined }),
      close: () => { void this.#documents.close(name) }
    }
  }

  collection<T> (document: string, root: string): Records<T> {
    return new Records<T>(this.#documents.part(document), root, this.#journal)
  }

  call (method: string, path: string, more?: Call): Promise<any> {
    return this.#wiring.api.call(method, path, more)
  }

  upload (path: string, file: Blob, query?: Call['query']): Promise<any> {
    return this.#wiring.api.upload(path, file, query)
  }

  download (path: string): Promise<Blob> {
    return this.#wiring.api.download(path)
  }

  goOffline (): void {
    this.#documents.setOnline(false)
  }

  goOnline (): void {
    this.#documents.setOnline(true)
  }

  async renew (token: string): Promise<void> {
    if (this.#documents.isClosed) throw new Closed()
    this.#wiring.api.session.use(token)
    this.#documents.resume()
    await this.#documents.rejoin()
  }

  async signOut (): Promise<void> {
    await this.#close(true)
  }

  async close (): Promise<void> {
    await this.#close(false)
  }

  async #close (isWiped: boolean): Promise<void> {
    if (this.#documents.isClosed) return
    this.presence.end()
    this.#documents.end('closed', '')
    if (isWiped || this.#wiping !== undefined) await this.#wipe()
    else await this.#documents.closeAll(false)
    await this.saved.end()
    this.#wiring.copies?.close()
  }

  #wipe (): Promise<void> {
    return (this.#wiping ??= this.#delete())
  }

  async #delete (): Promise<void> {
    await this.#documents.closeAll(true)
    await this.#wiring.copies?.wipe()
    for (const { id } of this.setAside.get()) await this.setAside.discard(id)
  }
}
