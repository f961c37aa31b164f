/** What the server tells: conflicts, undone edits, the receipt, presence, and copies that it refuses. */
import type { ServerError } from './errors.js'
import type { EventType, Json } from './schema.js'
import type { Id, Listener, Readable, Unsubscribe } from './types.js'

// -- conflicts

/** A conflict between edits of several people, in words. */
export interface Conflict {
  readonly id: Id
  readonly document: string
  /** Of the table of invariants: `S1`. */
  readonly kind: string
  readonly state: 'open' | 'auto' | 'resolved' | 'expired'
  readonly severity: 'info' | 'warning' | 'error' | 'critical'
  readonly summary: string
  readonly at: string
  readonly about: readonly Place[]
  readonly people: readonly ConflictParty[]
  /** What this person may choose. */
  readonly options: readonly ConflictOption[]
  readonly chosen: number | undefined
  /** Of one that is over: who decided, null for nobody; and when. */
  readonly decidedBy: string | null | undefined
  readonly decidedAt: string | undefined
  /** A later edit has settled it, and nobody had to decide. */
  readonly isMoot: boolean
  /** Decided by a rule less than 24 hours ago, and it can still be chosen otherwise. */
  readonly canUndo: boolean
  /** The option that takes back what the rule has decided; undefined where there is none, or not for this person. */
  readonly undo: ConflictOption | undefined
}

export interface ConflictParty {
  readonly user: string
  /** Empty where it is not known. */
  readonly name: string
  readonly role: string
  readonly isYou: boolean
  /** The field that they wrote; undefined in records of older servers. */
  readonly place: Place | undefined
  /** What they wrote, as people read it: `15:30`, `table 4, seat 2`. Empty where it cannot be said in short. */
  readonly wrote: string
  /** The same of what the field held before the conflict; empty for nothing, undefined where that is not known. */
  readonly before: string | undefined
  /** Both in an English sentence with the names of record and field; empty where the server did not say. */
  readonly text: string
  readonly value: Json | undefined
  /** Whether the field holds what they wrote. */
  readonly stands: boolean
  /** What the field holds now, as it is and as people read it; undefined where it cannot be read. */
  readonly current: Json | undefined
  readonly now: string | undefined
  readonly at: string | undefined
}

export interface ConflictOption {
  readonly id: number
  readonly text: string
}

/** A record, or a field of it. `label` is what people call it. */
export interface Place {
  readonly collection: string
  readonly record: Id
  readonly field: string | undefined
  readonly label: string
}

export interface Conflicts {
  /** The worst first. Without a state: those that are open. */
  list(state?: Conflict['state']): readonly Conflict[]
  /** Decides one. Throws UnknownRecord, and RangeError where there is no such option for this person. */
  choose(conflict: Id, option: number, remark?: string): void
  /** Calls at once with those that are open, then after every change of any. */
  subscribe(listener: Listener<readonly Conflict[]>): Unsubscribe
}

// -- the server

/** An edit that the server has undone or does not take. */
export interface Rejected {
  readonly document: string
  /** `guests.guests`; of a refusal that names no record: undefined. */
  readonly collection: string | undefined
  readonly record: Id | undefined
  /** As rows have it: `rsvp.e_reception`; undefined where it is the record as a whole. */
  readonly field: string | undefined
  /** Stable: `not_allowed`, `choice`, `range`, `unknown_key`, `over_quota`… */
  readonly rule: string
  /** A sentence. */
  readonly reason: string
  /** What this program wrote there last; undefined where it did not. */
  readonly written: Json | undefined
  /** What is there now. */
  readonly stands: Json | undefined
}

export type Connection =
  | 'connecting'
  | 'online'
  /** No network, or `goOffline()`; edits are kept. */
  | 'offline'
  /** The token is not valid any more, and there is no other one: `renew(token)` goes on. */
  | 'signed_out'
  /** This person is not part of the wedding, or not any more. */
  | 'forbidden'
  /** The wedding was erased; the copy of this device is, too. */
  | 'erased'
  /** `close()` was called. */
  | 'closed'

export interface Status {
  readonly connection: Connection
  /** Why, in words; empty while all is well. */
  readonly reason: string
  /** Documents that have received all that the server has. */
  readonly isSynced: boolean
  /** Documents that are refused for good, or wait for room: name -> the close code or `over_quota`. */
  readonly troubled: Readonly<Record<string, string>>
}

export interface SavedState {
  /** Everything that was written here is committed by the server: it survives a crash. */
  readonly isSaved: boolean
  /** Edits that wait for their receipt. */
  readonly waiting: number
}

/** The receipt. */
export interface Saved extends Readable<SavedState> {
  /** Resolves as soon as everything that was written so far is committed. Rejects with Closed. */
  whenSaved(): Promise<void>
  /** How many edits wait in each document that has some. */
  byDocument(): Readonly<Record<string, number>>
}

// -- events

/** A change that the server has committed. */
export interface WeddingEvent {
  /** Its number: events of a wedding are counted from 1. */
  readonly seq: number
  readonly id: string
  readonly wedding: string
  /** Of documents an `EventType`; others are of services, such as `grant.given`. */
  readonly type: EventType | (string & {})
  /** 0 is an emergency, 4 is for the record. */
  readonly priority: number
  readonly at: string
  readonly actor?: { readonly user: string; readonly role: string }
  readonly document?: string
  readonly root?: string
  readonly record?: Id
  readonly fields?: readonly string[]
  /** The changed fields, or the one value, as documents have them. */
  readonly before?: Json
  readonly after?: Json
  readonly [more: string]: unknown
}

export interface EventOptions {
  /** The number behind which to begin; `read` begins at the first, `subscribe` with what comes next. */
  after?: number
  /** Types, or the beginning of some up to a point: `guest`, `timeline.item.moved`. Without: all. */
  types?: readonly (EventType | (string & {}))[]
  /** Events behind the number are not kept any more: read the documents anew. The feed goes on behind `after`. */
  onExpired?: (after: number) => void
  /** The server refuses the stream for good. */
  onEnd?: (error: ServerError) => void
}

export interface EventPage {
  readonly events: readonly WeddingEvent[]
  /** The number of the newest event. */
  readonly head: number
  /** What `after` is for the next page. */
  readonly next: number
}

export interface Feed {
  /** A page of events, the oldest first. Rejects with ServerError. */
  read(options?: EventOptions & { limit?: number }): Promise<EventPage>
  /** Calls with every event, once and in order, also after a break. Keep `seq` to go on from there. */
  subscribe(listener: Listener<WeddingEvent>, options?: EventOptions): Unsubscribe
}

// -- presence

export interface PresencePlace {
  /** `guests.guests`, or the name of a part: `timeline`. */
  readonly collection: string
  readonly record?: Id
  readonly field?: string
}

/** What a person shows of themselves. `undefined` leaves a part as it is, null takes it away. */
export interface PresenceFields {
  color?: string | null
  /** What they have in front of them: `seating`. */
  section?: string | null
  /** The record or field they are in. */
  at?: PresencePlace | null
  typing?: boolean | null
  zone?: string | null
  battery?: number | null
}

export interface PresentPerson {
  /** Of this tab or device: one person may have several. */
  readonly key: string
  readonly user: string
  /** Empty where it is not known. */
  readonly name: string
  readonly role: string
  readonly color: string
  readonly section: string | undefined
  readonly at: PresencePlace | undefined
  readonly typing: boolean
  readonly zone: string | undefined
  readonly battery: number | undefined
}

export interface Presence {
  set(fields: PresenceFields): void
  /** Everybody else who has the wedding open, by name. */
  others(): readonly PresentPerson[]
  subscribe(listener: Listener<readonly PresentPerson[]>): Unsubscribe
}

// -- undo

export interface Undo {
  readonly canUndo: boolean
  readonly canRedo: boolean
}

// -- copies that the server refuses for good

/** A copy that was set aside: what it holds is not lost, and not in the wedding. */
export interface SetAside {
  readonly id: string
  readonly document: string
  readonly at: string
  /** The code with which it was refused, and the reason of the server. */
  readonly code: number
  readonly reason: string
  /** The whole copy as one Yjs update. */
  readonly update: Uint8Array
  /** The same as rows: root -> id -> row. */
  readonly rows: Json
  /** How many edits in it were not saved. */
  readonly unsaved: number
}

export interface SetAsides extends Readable<readonly SetAside[]> {
  /** A file to be saved by a person: JSON with rows and the update in base 64. */
  download(id: string): Blob
  discard(id: string): Promise<void>
}
