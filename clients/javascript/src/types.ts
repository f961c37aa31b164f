/**
 * The words of this package, as applications see them. Rows are plain frozen objects: a row that has not changed is the
 * same object as before, and so is a list.
 */
import type * as Y from 'yjs'
import type * as schema from './schema.js'
import type { Conflicts, Feed, Presence, Rejected, Saved, SetAsides, Status, Undo } from './server_types.js'

export type * from './server_types.js'

/** A record as it is read: its fields, and its id. */
export type Row<T> = Readonly<T> & { readonly id: string }

/**
 * Fields to be written. A field that is left out (or undefined) stays, null clears it. A family, such as `rsvp` or
 * `tags`, is given by its members: those that are left out stay, null takes one away.
 */
export type Fields<T> = { [K in keyof T]?: NonNullable<T[K]> extends schema.Family<infer V> ? schema.Family<V | null> : T[K] | null }

export type Unsubscribe = () => void
export type Listener<T> = (value: T) => void

/** What can be read and followed. `subscribe` calls at once with the value of now, then after every change. */
export interface Readable<T> {
  get(): T
  subscribe(listener: Listener<T>): Unsubscribe
}

/** Rows of one root of a document, deleted ones left out, in their order. */
export interface ReadCollection<R> {
  /** `guests.guests`: document and root. */
  readonly name: string
  /** Whether this person may open a document that has it. Without, it is empty. */
  readonly isOpen: boolean
  list(): readonly R[]
  /** Also of a deleted record; undefined where there is none. */
  get(id: string): R | undefined
  /** Calls at once with the list of now, then after every change, whoever made it. */
  subscribe(listener: Listener<readonly R[]>): Unsubscribe
  /** Whether the server lets this person write a field of a record; without a field: add one. For showing only. */
  mayWrite(id?: string, field?: string): boolean
}

/** Records that are added, changed, removed and restored. */
export interface Collection<T> extends ReadCollection<Row<T>> {
  /** Adds a record and returns its id. Id and place in the list are made, unless they are given. */
  add(fields: Fields<T> & { id?: string }): string
  /** Writes the fields that are named, and no others. Throws UnknownRecord. */
  update(id: string, fields: Fields<T>): void
  /** Marks a record as deleted: it leaves the list, and can be restored for 30 days. */
  remove(id: string): void
  restore(id: string): void
  /** Those that were removed, the newest first. */
  removed(): readonly Row<T>[]
  /** Puts a record right behind another one in their order; null: before all. */
  reorder(id: string, after: string | null): void
  /** The shared text of a record, for the binding of an editor: `guests.text(id, 'note')`. */
  text(id: string, field: string): Y.Text | undefined
}

/** Rows that are one value each: payments, seats, messages. */
export type ValueRow<T> = T extends object ? Row<T> : { readonly id: string; readonly value: T }

/** One record: the settings of the wedding, the limits of the budget. */
export interface Single<T> extends Readable<Readonly<T>> {
  readonly isOpen: boolean
  update(fields: Fields<T>): void
  mayWrite(field: string): boolean
}

export type Id = string
type Json = schema.Json

// -- the parts of a wedding

/** The running order: its items, and what is done with them. */
export interface Timeline extends Collection<schema.TimelineItem> {
  /**
   * Moves an item in time: to a minute of the day, by some minutes, or to the end of another item. One write; what
   * follows from it for later items is the server's proposal, in `conflicts`.
   */
  move(id: Id, to: number | { by: number } | { behind: Id; gap?: number }): void
  readonly emergencies: Collection<schema.Emergency>
  raise(emergency: { kind: NonNullable<schema.Emergency['kind']>; text: string; severity?: schema.Emergency['severity']; audience?: schema.Emergency['audience'] }): Id
  acknowledge(emergency: Id): void
}

/** What costs money: the items, and what is done with them. */
export interface Budget extends Collection<schema.BudgetItem> {
  readonly categories: Collection<schema.Category>
  readonly payments: ReadCollection<ValueRow<schema.Payment>>
  /** Payments that do not count, by the id of the payment. */
  readonly voids: ReadCollection<ValueRow<schema.Retraction>>
  readonly contributions: ValueCollection<schema.Contribution>
  readonly approvals: ReadCollection<Row<schema.Approval>>
  readonly limits: Single<schema.BudgetMeta>
  /** Records a payment of minor units of the currency, today unless `on` says otherwise. Returns its id. */
  pay(item: Id, amount: number, more?: Partial<Omit<schema.Payment, 'item' | 'amount'>>): Id
  /** A payment that does not count: payments are never changed. */
  void(payment: Id, reason?: string): void
  unvoid(payment: Id): void
  approve(approval: Id): void
  reject(approval: Id): void
}

/** Values that are written whole. */
export interface ValueCollection<T> extends ReadCollection<ValueRow<T>> {
  add(value: T): Id
  set(id: Id, value: T): void
  remove(id: Id): void
}

export interface Seating {
  readonly tables: Collection<schema.SeatingTable>
  readonly rules: Collection<schema.SeatingRule>
  readonly fixtures: Collection<schema.Fixture>
  /** Who sits where: the id is the guest's. */
  readonly seats: ReadCollection<ValueRow<schema.Seat>>
  /** Seats a guest: one write. Without a seat: anywhere at the table. Seats count from 0. */
  place(guest: Id, table: Id, seat?: number | null): void
  unseat(guest: Id): void
  /** Two guests exchange what they sit on, also with one who has no seat. One transaction. */
  swap(one: Id, other: Id): void
  lock(table: Id): void
  unlock(table: Id): void
}

export interface NewThread {
  title: string
  type?: 'general' | 'vendor' | 'planning' | 'emergency' | 'family'
  participants?: readonly string[]
}

/** A conversation, as the server lists it. */
export interface ThreadSummary {
  readonly id: Id
  readonly title: string
  readonly type: string
  readonly status: string
  readonly participants: readonly { readonly user: string }[]
  /** How many messages of others this person has not read (`markRead`), counted up to 1,000. */
  readonly unread: number
  readonly muted: boolean
  readonly [more: string]: unknown
}

/** A message in the order of its thread. `sequence` is undefined until the server has it. */
export type ThreadMessage = Row<schema.Message> & {
  readonly sequence: number | undefined
  readonly isRedacted: boolean
  readonly reactions: Readonly<Record<string, readonly string[]>>
}

export interface Threads {
  /** Needs a connection. */
  list(): Promise<readonly ThreadSummary[]>
  create(thread: NewThread): Promise<Id>
  /** Its messages, from now on also without a connection. */
  open(thread: Id): Promise<Thread>
  /** Closes a conversation, and deletes what this device keeps of it. */
  forget(thread: Id): Promise<void>
  /** Writes a message; what is written offline arrives once. Returns its id. */
  send(thread: Id, body: string, more?: Partial<Omit<schema.Message, 'from' | 'at' | 'body'>>): Promise<Id>
}

export interface Thread extends ReadCollection<ThreadMessage> {
  readonly id: Id
  send(body: string, more?: Partial<Omit<schema.Message, 'from' | 'at' | 'body'>>): Id
  redact(message: Id): void
  react(message: Id, emoji: string): void
  unreact(message: Id, emoji: string): void
  /** Resolves once it has all that the server has. Rejects with NotOpen where the server is not reached, or shuts it. */
  whenSynced(): Promise<void>
  /** Who has read what is the server's: tells it that this person has read up to the newest message. */
  markRead(): Promise<void>
  close(): void
}

// -- the wedding

export interface Person {
  readonly user: string
  /** As documents have it, in `by` and `from`. */
  readonly id: string
  readonly name: string
  readonly role: string
  readonly vendor: string
  readonly guest: string
  readonly side: string
}

export interface OpenOptions {
  wedding: string
  /** A token of your backend. */
  token?: string
  /** Called for the first token and, a minute before it expires or when the server refuses it, for each next one. */
  getToken?: () => string | Promise<string>
  /** For a server with `--dev`: who this is, without any token. */
  dev?: { user: string; role: string; name?: string; vendor?: string; guest?: string; side?: string; enforce?: boolean }
  /** Keeps a copy on this device, also across reloads. `days` without use after which it is deleted: 30. */
  offline?: boolean | { days?: number }
  /** Documents to open, such as `['guests', 'seating']`: all that this person may open. */
  documents?: readonly string[]
  /** Where there is no `WebSocket`, such as in Node 20: the class of the package `ws`. */
  WebSocket?: unknown
  /** Ends the waiting for the first answer of the server. */
  signal?: AbortSignal
}

/** A wedding that somebody may open, in a role. `title` is null where there is none, or the person may not read it. */
export interface ListedWedding {
  readonly wedding: string
  readonly role: string
  readonly title: string | null
}

export interface SignInOptions {
  /** What people call this device. */
  device?: string
  /** Called with each refresh token: with the newest one `signIn` goes on after a reload. */
  onRefreshToken?: (token: string) => void
}

/** A person of this device. `getToken` is for `openWedding`. */
export interface SignedIn {
  readonly wedding: string
  readonly user: string
  readonly role: string
  readonly getToken: () => string | Promise<string>
}

export interface Wedding {
  readonly name: string
  readonly person: Person
  readonly details: Single<schema.WeddingMeta>
  readonly events: Collection<schema.Event>
  readonly places: Collection<schema.Place>
  readonly vendors: Collection<schema.Vendor>
  readonly tasks: Collection<schema.Task>
  /** For display only. `call('GET', 'members')` lists those who take part, 500 in a page: see `next`. */
  readonly members: ReadCollection<Row<schema.Member>>
  readonly guests: Collection<schema.Guest>
  readonly households: Collection<schema.Household>
  readonly care: Collection<schema.Care>
  readonly timeline: Timeline
  readonly budget: Budget
  readonly seating: Seating
  readonly threads: Threads
  readonly conflicts: Conflicts
  readonly feed: Feed
  readonly presence: Presence
  readonly saved: Saved
  readonly status: Readable<Status>
  readonly setAside: SetAsides
  readonly undoable: Readable<Undo>

  /** What the role may do beyond documents: `messages`: `write`, `write_own`. For showing only. */
  readonly permissions: Readonly<Record<string, readonly string[]>>
  /** Whether this person may open a document, or one of a family: `mayOpen('notes.menu')`. */
  mayOpen(document: string): boolean
  /** All that a function writes is one transaction of each document, and one step of `undo`. */
  batch<T>(work: () => T): T
  /** Takes back the last thing that was written here, batch by batch. Whether anything has changed. */
  undo(): boolean
  redo(): boolean
  onRejected(listener: Listener<Rejected>): Unsubscribe
  /** Calls when the server has said anew who this person is, what they may open and what they may write. */
  onRights(listener: Listener<Person>): Unsubscribe
  /** Calls when something has reached this person, or was read: `GET …/inbox` and the list of threads may be others. */
  onInbox(listener: () => void): Unsubscribe
  /** The clock of the server, as `toISOString` gives it. */
  now(): string
  /** The plan of another event than the reception: `seating.e_brunch`. */
  seatingOf(event: Id): Promise<Seating>
  /** A free-form document, for the binding of an editor. */
  note(slug: string): Promise<{ readonly doc: Y.Doc; readonly awareness: unknown; mayWrite(): boolean; close(): void }>
  /** A root by its name, also of derived documents: `collection('seating', 'seats')`. */
  collection<T = Record<string, Json>>(document: string, root: string): Collection<T>
  /** A call of the API below the wedding, with the token. `key` is its `Idempotency-Key`. Rejects with ServerError. */
  call(method: string, path: string, more?: { body?: unknown; query?: Readonly<Record<string, string>>; key?: string }): Promise<any>

  /** Sends a file as it is below the wedding. Rejects with ServerError. */
  upload(path: string, file: Blob, query?: Readonly<Record<string, string>>): Promise<any>
  /** A file below the wedding. Rejects with ServerError. */
  download(path: string): Promise<Blob>

  goOffline(): void
  goOnline(): void
  /** Goes on with another token. */
  renew(token: string): Promise<void>
  /** Closes, and deletes the copy of this device and all that was set aside. */
  signOut(): Promise<void>
  /** Closes; the copy stays. */
  close(): Promise<void>
}
