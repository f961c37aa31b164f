// Generated from documents/ by `crdt-server schema --typescript`. Do not edit.

/** Any JSON. */
export type Json = boolean | number | string | null | readonly Json[] | { readonly [key: string]: Json }

/** A family of keys: `rsvp:e_1` of a document is `rsvp.e_1` here. */
export type Family<V> = { readonly [member: string]: V }

/** Keys of your own: any JSON up to 1 KB. */
export interface Extensible {
  readonly [key: `x:${string}.${string}`]: Json | undefined
}

/** The type of a field, and its limits. */
export interface FieldSpec {
  readonly type: 'string' | 'text' | 'boolean' | 'flag' | 'integer' | 'money' | 'minutes' | 'id' | 'code' | 'decimal' |
    'pattern' | 'enum' | 'date' | 'instant' | 'order' | 'list' | 'json' | 'object'
  /** Its key in the document, of a family its prefix, where that is another name. */
  readonly key?: string
  /** Of a family: what its members are. */
  readonly family?: FieldSpec
  /** Only the server writes it. */
  readonly server?: true
  /** What it counts as where it is absent. */
  readonly absent?: Json
  /** In Unicode code points. */
  readonly maxLength?: number
  readonly low?: number
  readonly high?: number
  readonly unit?: string
  readonly about?: string
  /** Document and root of which it is an id. */
  readonly to?: string
  readonly values?: readonly string[]
  readonly nullable?: true
  readonly items?: FieldSpec
  readonly maxItems?: number
  readonly maxBytes?: number
  readonly members?: { readonly [name: string]: FieldSpec }
  readonly optional?: readonly string[]
}

export interface RootSpec {
  readonly shape: 'records' | 'values' | 'record' | 'text'
  readonly fields?: { readonly [name: string]: FieldSpec }
  readonly value?: FieldSpec
  readonly server?: true
  /** What is written stays as it is. */
  readonly final?: true
  /** Clients take rows away for good. */
  readonly removable?: true
  /** The root in which rows of this one are withdrawn. */
  readonly withdrawals?: string
}

export interface KindSpec {
  readonly version: number
  readonly roots: { readonly [name: string]: RootSpec }
}

export interface Stamp {
  readonly at: string
  readonly by: string
}

export interface Retraction {
  readonly at: string
  readonly by: string
  readonly reason?: string
}

export interface Address {
  readonly line1?: string
  readonly line2?: string
  readonly city?: string
  readonly region?: string
  readonly postalCode?: string
  readonly country?: string
}

export interface Payment {
  readonly item: string
  readonly amount: number
  readonly currency?: string
  readonly on: string
  readonly kind: 'deposit' | 'balance' | 'refund'
  readonly payer?: string
  readonly reference?: string
}

export interface Contribution {
  readonly contributor: string
  readonly amount: number
  readonly on?: string
  readonly note?: string
  readonly guest?: string
}

export interface Seat {
  readonly table: string
  readonly seat: number | null
}

export interface Message {
  readonly from: string
  readonly at: string
  readonly kind: 'text' | 'system' | 'emergency'
  readonly body: string
  readonly inReplyTo?: string
  readonly attachments?: readonly ({ readonly id: string; readonly name: string; readonly mediaType: string; readonly size: number; readonly sha256: string })[]
  readonly context?: { readonly document: string; readonly root?: string; readonly record?: string }
}

export interface Arrival {
  readonly sequence: number
  readonly at: string
}

export interface Location {
  readonly latitude: string
  readonly longitude: string
}

export interface Contact {
  readonly name?: string
  readonly email?: string
  readonly phone?: string
}

export interface Window {
  readonly start: number
  readonly end: number
}

export interface Position {
  readonly x: number
  readonly y: number
  readonly rotation?: number
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** The wedding as a whole. */
export interface WeddingMeta extends Extensible {
  /** Version of the schema the document is written in. Integer from 1 to 10000. */
  readonly version?: number
  /** What the wedding is called. String, at most 200 characters. */
  readonly title?: string
  /** The wedding date; all minutes count from its local midnight. Date (YYYY-MM-DD). */
  readonly date?: string
  /** Where the clocks are. IANA time zone. */
  readonly timeZone?: string
  /** Currency of every amount that names no other. ISO 4217 code. */
  readonly currency?: string
  /** Language and region. BCP 47 tag. */
  readonly locale?: string
  /** How many people the venue holds. Count from 0 to 100000. */
  readonly capacity?: number
  /** When everything but breakdown must be over. Minutes from -43200 to 43200. */
  readonly hardEnd?: number
  /** Last day on which guests answer by themselves. Date (YYYY-MM-DD). */
  readonly rsvpBy?: string
  /** What a delay does to later items: nothing, a proposal, or flexible ones move. Absent: `"propose"`. Off / propose / flex. */
  readonly cascade?: 'off' | 'propose' | 'flex'
  /** Where the wedding stands. Absent: `"planning"`. Planning / locked / live / closed. */
  readonly phase?: 'planning' | 'locked' | 'live' | 'closed'
  /** How conflicts of this invariant are resolved, where it has a choice. By code. Each: wedding_hierarchy / priority_based / last_writer_wins / merge_changes / manual_review. */
  readonly strategy?: Family<'wedding_hierarchy' | 'priority_based' | 'last_writer_wins' | 'merge_changes' | 'manual_review'>
}

/** A part of the wedding to which people are invited. */
export interface Event extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What it is called. String, at most 200 characters. */
  readonly name?: string
  /** When it starts. Minutes from -43200 to 43200. */
  readonly start?: number
  /** How long it lasts. Minutes from 0 to 20160. */
  readonly duration?: number
  /** Where it is. Id in wedding.places. */
  readonly place?: string
  /** Whether guests are asked to answer. Absent: `false`. Boolean. */
  readonly rsvp?: boolean
  /** How many people it holds. Count from 0 to 100000. */
  readonly capacity?: number
  /** Who sees it. Absent: `"invited"`. Public / invited. */
  readonly visibility?: 'public' | 'invited'
  /** Place in the list. Order key. */
  readonly order?: string
}

/** Where something happens: a venue, one of its rooms, a meadow, a road. */
export interface Place extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What it is called. String, at most 200 characters. */
  readonly name?: string
  /** What it is. Venue / room / outdoor / road. */
  readonly kind?: 'venue' | 'room' | 'outdoor' | 'road'
  /** How many people it holds. Count from 0 to 100000. */
  readonly capacity?: number
  /** Postal address. {`line1`? string, at most 200 characters; `line2`? string, at most 200 characters; `city`? string, at most 120 characters; `region`? string, at most 120 characters; `postalCode`? string, at most 20 characters; `country`? ISO 3166-1 alpha-2 code}. */
  readonly address?: Address
  /** Point on the map. {`latitude` decimal degrees; `longitude` decimal degrees}. */
  readonly location?: Location
  /** Whether only one thing at a time can be there. Absent: `false`. Boolean. */
  readonly exclusive?: boolean
  /** The place it is part of. Id in wedding.places. */
  readonly parent?: string
  /** Where to go when it rains. Id in wedding.places. */
  readonly rainPlan?: string
  /** Place in the list. Order key. */
  readonly order?: string
}

/** A business that works at the wedding. */
export interface Vendor extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What it is called. String, at most 200 characters. */
  readonly name?: string
  /** Its trade: `photographer`, `caterer`, `venue`… Code. */
  readonly category?: string
  /** The same business in other weddings has the same. Id of an organization. */
  readonly organization?: string
  /** How far the booking is. Shortlisted / quoted / booked / confirmed / cancelled. */
  readonly stage?: 'shortlisted' | 'quoted' | 'booked' | 'confirmed' | 'cancelled'
  /** Where they are on the day. Expected / en_route / on_site / setting_up / ready / working / breaking_down / left / late / no_show. */
  readonly dayStatus?: 'expected' | 'en_route' | 'on_site' | 'setting_up' | 'ready' | 'working' | 'breaking_down' | 'left' | 'late' | 'no_show'
  /** Whom to call. {`name`? string, at most 200 characters; `email`? string, at most 254 characters; `phone`? string, at most 40 characters}. */
  readonly contact?: Contact
  /** From when to when they are booked. {`start` minutes from -43200 to 43200; `end` minutes from -43200 to 43200}. */
  readonly bookedWindow?: Window
  /** When they could work; absent: unknown. List of at most 50: {`start` minutes from -43200 to 43200; `end` minutes from -43200 to 43200}. */
  readonly availability?: readonly ({ readonly start: number; readonly end: number })[]
  /** Place in the list. Order key. */
  readonly order?: string
  /** Remarks of the couple and their planners. Y.Text, at most 20000 characters. */
  readonly note?: string
}

/** Something to be done. */
export interface Task extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What is to be done. String, at most 200 characters. */
  readonly title?: string
  /** By when. Date (YYYY-MM-DD). */
  readonly due?: string
  /** Who does it. Id of a user. */
  readonly assignee?: string
  /** Set: it is done. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly done?: Stamp
  /** How much it matters. Absent: `"normal"`. Low / normal / high. */
  readonly priority?: 'low' | 'normal' | 'high'
  /** The item of the timeline it is for. Id in timeline.items. */
  readonly item?: string
  /** The vendor it is about. Id in wedding.vendors. */
  readonly vendor?: string
  /** Place in the list. Order key. */
  readonly order?: string
  /** Remarks. Y.Text, at most 20000 characters. */
  readonly note?: string
}

/** Somebody who takes part in the planning, as shown to others; access is decided elsewhere. */
export interface Member {
  /** In which role. Couple / planner / coordinator / venue / caterer / photographer / vendor / family / wedding_party / guest. */
  readonly role?: 'couple' | 'planner' | 'coordinator' | 'venue' | 'caterer' | 'photographer' | 'vendor' | 'family' | 'wedding_party' | 'guest'
  /** Name. String, at most 200 characters. */
  readonly name?: string
  /** The vendor they work for. Id in wedding.vendors. */
  readonly vendor?: string
  /** The guest they are. Id in guests.guests. */
  readonly guest?: string
  /** Whose family or friend. A / b / both. */
  readonly side?: 'a' | 'b' | 'both'
}

/** A conflict between edits: resolved by the server, or waiting for somebody to set `choice`. */
export interface Conflict {
  /** Which invariant is broken. Code. */
  readonly kind?: string
  /** What it is about. List of at most 50: {`document` string, at most 120 characters; `root` string, at most 40 characters; `record` string, at most 200 characters; `key`? string, at most 120 characters}. */
  readonly subject?: readonly ({ readonly document: string; readonly root: string; readonly record: string; readonly key?: string })[]
  /** How bad it is. Info / warning / error / critical. */
  readonly severity?: 'info' | 'warning' | 'error' | 'critical'
  /** When it was found. Instant (RFC 3339, UTC). */
  readonly at?: string
  /** Who wrote what. List of at most 20: {`user` id of a user; `role` code; `value`? any JSON, at most 4096 bytes; `at`? instant (RFC 3339, UTC); `subject`? integer from 0 to 49; `before`? any JSON, at most 4096 bytes; `text`? string, at most 500 characters; `sentence`? any JSON, at most 2048 bytes}. */
  readonly parties?: readonly ({ readonly user: string; readonly role: string; readonly value?: Json; readonly at?: string; readonly subject?: number; readonly before?: Json; readonly text?: string; readonly sentence?: Json })[]
  /** Ways to resolve it. List of at most 20: {`id` integer from 0 to 99; `text` string, at most 500 characters; `sentence`? any JSON, at most 2048 bytes; `operations`? any JSON, at most 16384 bytes; `roles`? list of at most 10: code}. */
  readonly options?: readonly ({ readonly id: number; readonly text: string; readonly sentence?: Json; readonly operations?: Json; readonly roles?: readonly (string)[] })[]
  /** Id of the option that takes back what the server has resolved by itself. Integer from 0 to 99. */
  readonly undo?: number
  /** How it was or is to be resolved. Wedding_hierarchy / priority_based / last_writer_wins / merge_changes / manual_review. */
  readonly strategy?: 'wedding_hierarchy' | 'priority_based' | 'last_writer_wins' | 'merge_changes' | 'manual_review'
  /** Where it stands. Open / auto / resolved / expired. */
  readonly state?: 'open' | 'auto' | 'resolved' | 'expired'
  /** How it ended: `option`, `moot`, `undone`… Code. */
  readonly outcome?: string
  /** Who resolved it; absent: the server. Id of a user. */
  readonly by?: string
  /** When it was resolved. Instant (RFC 3339, UTC). */
  readonly closedAt?: string
  /** What happened, in one English sentence with names. String, at most 500 characters. */
  readonly summary?: string
  /** The same for every language: an id of the catalogue, and values. Any JSON, at most 2048 bytes. */
  readonly sentence?: Json
  /** Equal while the facts are. String, at most 64 characters. */
  readonly fingerprint?: string
  /** Id of the chosen option. Clients set it. Integer from 0 to 99. */
  readonly choice?: number
  /** A remark on the choice. Clients set it. String, at most 500 characters. */
  readonly say?: string
}

/** About the document as a whole. */
export interface Meta extends Extensible {
  /** Version of the schema the document is written in. Integer from 1 to 10000. */
  readonly version?: number
}

/** One entry of the running order. */
export interface TimelineItem extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What happens. String, at most 200 characters. */
  readonly title?: string
  /** When it starts. Minutes from -43200 to 43200. */
  readonly start?: number
  /** How long it lasts. Minutes from 0 to 20160. */
  readonly duration?: number
  /** The shortest it can become. Minutes from 0 to 20160. */
  readonly minDuration?: number
  /** Whether it stays, may move, or is there to absorb delays. Absent: `"flex"`. Fixed / flex / buffer. */
  readonly rigidity?: 'fixed' | 'flex' | 'buffer'
  /** What it is. Setup / moment / photo / meal / transport / breakdown. */
  readonly kind?: 'setup' | 'moment' | 'photo' | 'meal' | 'transport' | 'breakdown'
  /** Where. Id in wedding.places. */
  readonly place?: string
  /** Column in which it is shown, such as `bride's party`. String, at most 120 characters. */
  readonly track?: string
  /** Whether every vendor sees it. Absent: `false`. Boolean. */
  readonly keyMoment?: boolean
  /** Who sees it. Absent: `"team"`. Public / team / private. */
  readonly visibility?: 'public' | 'team' | 'private'
  /** How far it is. Absent: `"planned"`. Planned / ready / live / done / skipped. */
  readonly status?: 'planned' | 'ready' | 'live' | 'done' | 'skipped'
  /** When it really started. Instant (RFC 3339, UTC). */
  readonly actualStart?: string
  /** When it was really over. Instant (RFC 3339, UTC). */
  readonly actualEnd?: string
  /** Place among items that start at the same minute. Order key. */
  readonly order?: string
  /** Remarks for the team. Y.Text, at most 20000 characters. */
  readonly note?: string
  /** Whether a vendor of it was cancelled or is gone. Absent: `false`. Boolean. */
  readonly unstaffed?: boolean
  /** Vendors who work on it. By id in wedding.vendors. Each: true. */
  readonly vendors?: Family<true>
  /** Who is needed: `bride`, `groom` and the like, or guest ids. By id of a person or guest. Each: true. */
  readonly persons?: Family<true>
  /** Items that must be over, and how long before it starts. By id in timeline.items. Each: minutes from 0 to 1440. */
  readonly after?: Family<number>
  /** What each vendor remarks. By id in wedding.vendors. Each: string, at most 500 characters. */
  readonly vendorNotes?: Family<string>
}

/** Something that cannot wait. */
export interface Emergency extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What it is. Weather / medical / vendor_no_show / security / power / other. */
  readonly kind?: 'weather' | 'medical' | 'vendor_no_show' | 'security' | 'power' | 'other'
  /** What has happened. String, at most 500 characters. */
  readonly text?: string
  /** How bad it is. Info / warning / error / critical. */
  readonly severity?: 'info' | 'warning' | 'error' | 'critical'
  /** When it was raised. Instant (RFC 3339, UTC). */
  readonly at?: string
  /** Who raised it. Id of a user. */
  readonly by?: string
  /** Set: it is over. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly closed?: Stamp
  /** Who is told: those who plan, vendors too, or guests as well. Absent: `"vendors"`. Team / vendors / everyone. */
  readonly audience?: 'team' | 'vendors' | 'everyone'
  /** Who has read it, and when. By id of a user. Each: instant (RFC 3339, UTC). */
  readonly acknowledgedBy?: Family<string>
}

/** The budget as a whole. */
export interface BudgetMeta extends Extensible {
  /** Version of the schema the document is written in. Integer from 1 to 10000. */
  readonly version?: number
  /** What everything together may cost. Minor units of the currency from 0. */
  readonly limit?: number
  /** Items that cost more need the approval of the couple. Minor units of the currency from 0. */
  readonly mustApproveOver?: number
}

/** A part of the budget. */
export interface Category extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What it is called. String, at most 120 characters. */
  readonly name?: string
  /** How much is set aside for it. Minor units of the currency from 0. */
  readonly allocated?: number
  /** Place in the list. Order key. */
  readonly order?: string
}

/** Something that costs money. */
export interface BudgetItem extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** The part of the budget it belongs to. Id in budget.categories. */
  readonly category?: string
  /** What it is. String, at most 200 characters. */
  readonly name?: string
  /** Who is paid for it. Id in wedding.vendors. */
  readonly vendor?: string
  /** What it may cost. Minor units of the currency from 0. */
  readonly estimated?: number
  /** What was offered. Minor units of the currency from 0. */
  readonly quoted?: number
  /** What it costs. Minor units of the currency from 0. */
  readonly actual?: number
  /** How many. The amounts are for all of them. Count from 0 to 100000. */
  readonly quantity?: number
  /** Currency of the amounts where it is not that of the wedding. ISO 4217 code. */
  readonly currency?: string
  /** Units of the currency of the wedding for one unit of `currency`. Decimal string. */
  readonly rate?: string
  /** When it is to be paid. Date (YYYY-MM-DD). */
  readonly due?: string
  /** Place in the list. Order key. */
  readonly order?: string
  /** Remarks. Y.Text, at most 20000 characters. */
  readonly note?: string
}

/** A question to the couple: may an item cost this much? */
export interface Approval extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** The item. Id in budget.items. */
  readonly item?: string
  /** Which of its amounts. Estimated / quoted / actual. */
  readonly field?: 'estimated' | 'quoted' | 'actual'
  /** What it was; absent: nothing. Minor units of the currency from 0. */
  readonly from?: number
  /** What it is to be. Minor units of the currency from 0. */
  readonly to?: number
  /** Who asks. Id of a user. */
  readonly by?: string
  /** What came of it. Pending / approved / rejected. */
  readonly state?: 'pending' | 'approved' | 'rejected'
  /** Who said yes, and when. By id of a user. Each: instant (RFC 3339, UTC). */
  readonly approvedBy?: Family<string>
  /** Who said no, and when. By id of a user. Each: instant (RFC 3339, UTC). */
  readonly rejectedBy?: Family<string>
}

/** People who get one invitation. */
export interface Household extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What the household is called. String, at most 200 characters. */
  readonly name?: string
  /** Whose family or friends: of the first or second partner, or of both. A / b / both. */
  readonly side?: 'a' | 'b' | 'both'
  /** Where the invitation goes. {`line1`? string, at most 200 characters; `line2`? string, at most 200 characters; `city`? string, at most 120 characters; `region`? string, at most 120 characters; `postalCode`? string, at most 20 characters; `country`? ISO 3166-1 alpha-2 code}. */
  readonly address?: Address
  /** How the invitation addresses them. String, at most 200 characters. */
  readonly greeting?: string
  /** Place in the list. Order key. */
  readonly order?: string
}

/** Somebody who is invited. */
export interface Guest extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** First name, or the only one. String, at most 120 characters. */
  readonly firstName?: string
  /** Family name. String, at most 120 characters. */
  readonly lastName?: string
  /** With whom they are invited. Id in guests.households. */
  readonly household?: string
  /** Whose family or friend. A / b / both. */
  readonly side?: 'a' | 'b' | 'both'
  /** What they eat and sit on. Absent: `"adult"`. Adult / child / infant. */
  readonly kind?: 'adult' | 'child' | 'infant'
  /** E-mail address. String, at most 254 characters. */
  readonly email?: string
  /** Telephone number. String, at most 40 characters. */
  readonly phone?: string
  /** Part in the wedding party: `bridesmaid`, `best_man`… Code. */
  readonly party?: string
  /** The guest who brings them. Id in guests.guests. */
  readonly plusOneOf?: string
  /** How many they may bring. Count from 0 to 20. */
  readonly plusOnesAllowed?: number
  /** What they chose to eat. Code. */
  readonly meal?: string
  /** Set: they have arrived. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly checkedIn?: Stamp
  /** Place in the list. Order key. */
  readonly order?: string
  /** Remarks. Y.Text, at most 20000 characters. */
  readonly note?: string
  /** What they answered, for each event. By id in wedding.events. Each: pending / yes / no / maybe. */
  readonly rsvp?: Family<'pending' | 'yes' | 'no' | 'maybe'>
  /** Whatever groups they belong to. By string, at most 40 characters. Each: true. */
  readonly tags?: Family<true>
}

/** The needs of one guest. */
export interface Care extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What they need to get about. String, at most 500 characters. */
  readonly access?: string
  /** Where they have to sit. String, at most 500 characters. */
  readonly seatingNeed?: string
  /** Medical remarks. Y.Text, at most 20000 characters. */
  readonly note?: string
  /** What they eat: `vegan`, `halal`, `kosher`… By code. Each: true. */
  readonly diets?: Family<true>
  /** What they must not eat, and how bad it would be. By code. Each: mild / severe. */
  readonly allergies?: Family<'mild' | 'severe'>
  /** Caterers who have taken note, and when. By id of a user. Each: instant (RFC 3339, UTC). */
  readonly acknowledgedBy?: Family<string>
}

/** A table. */
export interface SeatingTable extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** Its name or number. String, at most 120 characters. */
  readonly label?: string
  /** Its form. Absent: `"round"`. Round / rectangle / square / oval / row. */
  readonly shape?: 'round' | 'rectangle' | 'square' | 'oval' | 'row'
  /** How many seats it has, numbered from 0. Count from 0 to 500. */
  readonly capacity?: number
  /** Where it stands. {`x` centimetres from -100000 to 100000; `y` centimetres from -100000 to 100000; `rotation`? degrees from -360 to 360}. */
  readonly position?: Position
  /** How large it is. {`width` centimetres from 1 to 100000; `height` centimetres from 1 to 100000}. */
  readonly size?: Size
  /** The room it stands in. Id in wedding.places. */
  readonly place?: string
  /** Set: who sits here stays. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly locked?: Stamp
  /** Place in the list. Order key. */
  readonly order?: string
}

/** Guests who should sit together, or apart. */
export interface SeatingRule extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What is asked for. Together / apart / near / front. */
  readonly kind?: 'together' | 'apart' | 'near' | 'front'
  /** Whether breaking it is a conflict. Absent: `false`. Boolean. */
  readonly hard?: boolean
  /** Why. String, at most 500 characters. */
  readonly reason?: string
  /** Whom it is about. By id in guests.guests. Each: true. */
  readonly guests?: Family<true>
}

/** Something else that stands in the room. */
export interface Fixture extends Extensible {
  /** Set: the record is deleted. Delete this key to restore the record. {`at` instant (RFC 3339, UTC); `by` id of a user}. */
  readonly deleted?: Stamp
  /** What it is. Dance / stage / bar / buffet / exit / other. */
  readonly kind?: 'dance' | 'stage' | 'bar' | 'buffet' | 'exit' | 'other'
  /** What it is called. String, at most 120 characters. */
  readonly label?: string
  /** Where it stands. {`x` centimetres from -100000 to 100000; `y` centimetres from -100000 to 100000; `rotation`? degrees from -360 to 360}. */
  readonly position?: { readonly x: number; readonly y: number; readonly rotation?: number }
  /** How large it is. {`width` centimetres from 1 to 100000; `height` centimetres from 1 to 100000}. */
  readonly size?: { readonly width: number; readonly height: number }
}

/** The types of events of documents. */
export type EventType =
  | 'approval.changed'
  | 'approval.decided'
  | 'approval.removed'
  | 'approval.requested'
  | 'approval.restored'
  | 'budget.category.added'
  | 'budget.category.changed'
  | 'budget.category.removed'
  | 'budget.category.restored'
  | 'budget.changed'
  | 'budget.item.added'
  | 'budget.item.changed'
  | 'budget.item.removed'
  | 'budget.item.restored'
  | 'budget.limit'
  | 'budget.over_limit'
  | 'care.acknowledged'
  | 'care.added'
  | 'care.changed'
  | 'care.removed'
  | 'care.restored'
  | 'conflict.auto'
  | 'conflict.changed'
  | 'conflict.choice'
  | 'conflict.opened'
  | 'conflict.removed'
  | 'conflict.reopened'
  | 'conflict.resolved'
  | 'contribution.added'
  | 'contribution.changed'
  | 'contribution.removed'
  | 'doc.changed'
  | 'doc.text_edited'
  | 'emergency.acked'
  | 'emergency.changed'
  | 'emergency.closed'
  | 'emergency.raised'
  | 'emergency.removed'
  | 'emergency.reopened'
  | 'emergency.restored'
  | 'event.added'
  | 'event.changed'
  | 'event.removed'
  | 'event.restored'
  | 'guest.added'
  | 'guest.changed'
  | 'guest.check_in_undone'
  | 'guest.checked_in'
  | 'guest.removed'
  | 'guest.restored'
  | 'guest.rsvp'
  | 'household.added'
  | 'household.changed'
  | 'household.removed'
  | 'household.restored'
  | 'member.added'
  | 'member.changed'
  | 'member.removed'
  | 'member.role'
  | 'message.changed'
  | 'message.reacted'
  | 'message.redacted'
  | 'message.removed'
  | 'message.sent'
  | 'message.stamped'
  | 'message.unreacted'
  | 'message.unredacted'
  | 'payment.changed'
  | 'payment.recorded'
  | 'payment.removed'
  | 'payment.unvoided'
  | 'payment.voided'
  | 'place.added'
  | 'place.changed'
  | 'place.removed'
  | 'place.restored'
  | 'seating.assigned'
  | 'seating.fixture'
  | 'seating.rule'
  | 'seating.table'
  | 'seating.unassigned'
  | 'task.added'
  | 'task.changed'
  | 'task.done'
  | 'task.removed'
  | 'task.reopened'
  | 'task.restored'
  | 'timeline.item.added'
  | 'timeline.item.changed'
  | 'timeline.item.moved'
  | 'timeline.item.removed'
  | 'timeline.item.restored'
  | 'timeline.status'
  | 'vendor.added'
  | 'vendor.booked'
  | 'vendor.cancelled'
  | 'vendor.changed'
  | 'vendor.confirmed'
  | 'vendor.day_status'
  | 'vendor.quoted'
  | 'vendor.removed'
  | 'vendor.restored'
  | 'vendor.shortlisted'
  | 'wedding.changed'
  | 'wedding.phase'

const REVIEW = {
  shape: 'records',
  fields: {
    kind: { type: 'code', key: '_kind', server: true },
    subject: {
      type: 'list',
      items: {
        type: 'object',
        members: {
          document: { type: 'string', maxLength: 120 },
          root: { type: 'string', maxLength: 40 },
          record: { type: 'string', maxLength: 200 },
          key: { type: 'string', maxLength: 120 }
        },
        optional: ['key']
      },
      maxItems: 50,
      key: '_subject',
      server: true
    },
    severity: { type: 'enum', values: ['info', 'warning', 'error', 'critical'], key: '_severity', server: true },
    at: { type: 'instant', key: '_at', server: true },
    parties: {
      type: 'list',
      items: {
        type: 'object',
        members: {
          user: { type: 'id' },
          role: { type: 'code' },
          value: { type: 'json', maxBytes: 4096 },
          at: { type: 'instant' },
          subject: { type: 'integer', low: 0, high: 49 },
          before: { type: 'json', maxBytes: 4096 },
          text: { type: 'string', maxLength: 500 },
          sentence: { type: 'json', maxBytes: 2048 }
        },
        optional: ['at', 'before', 'sentence', 'subject', 'text', 'value']
      },
      maxItems: 20,
      key: '_parties',
      server: true
    },
    options: {
      type: 'list',
      items: {
        type: 'object',
        members: {
          id: { type: 'integer', low: 0, high: 99 },
          text: { type: 'string', maxLength: 500 },
          sentence: { type: 'json', maxBytes: 2048 },
          operations: { type: 'json', maxBytes: 16384 },
          roles: { type: 'list', items: { type: 'code' }, maxItems: 10 }
        },
        optional: ['operations', 'roles', 'sentence']
      },
      maxItems: 20,
      key: '_options',
      server: true
    },
    undo: { type: 'integer', low: 0, high: 99, key: '_undo', server: true },
    strategy: {
      type: 'enum',
      values: ['wedding_hierarchy', 'priority_based', 'last_writer_wins', 'merge_changes', 'manual_review'],
      key: '_strategy',
      server: true
    },
    state: { type: 'enum', values: ['open', 'auto', 'resolved', 'expired'], key: '_state', server: true },
    outcome: { type: 'code', key: '_outcome', server: true },
    by: { type: 'id', key: '_by', server: true },
    closedAt: { type: 'instant', key: '_closedAt', server: true },
    summary: { type: 'string', maxLength: 500, key: '_summary', server: true },
    sentence: { type: 'json', maxBytes: 2048, key: '_sentence', server: true },
    fingerprint: { type: 'string', maxLength: 64, key: '_fingerprint', server: true },
    choice: { type: 'integer', low: 0, high: 99 },
    say: { type: 'string', maxLength: 500 }
  },
  server: true
} as const

export const SCHEMA = {
  wedding: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: {
          version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true },
          title: { type: 'string', maxLength: 200 },
          date: { type: 'date' },
          timeZone: { type: 'pattern', about: 'IANA time zone' },
          currency: { type: 'pattern', about: 'ISO 4217 code' },
          locale: { type: 'pattern', about: 'BCP 47 tag' },
          capacity: { type: 'integer', unit: 'count', low: 0, high: 100000 },
          hardEnd: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 },
          rsvpBy: { type: 'date' },
          cascade: { type: 'enum', values: ['off', 'propose', 'flex'], absent: 'propose' },
          phase: { type: 'enum', values: ['planning', 'locked', 'live', 'closed'], absent: 'planning' },
          strategy: {
            type: 'enum',
            values: ['wedding_hierarchy', 'priority_based', 'last_writer_wins', 'merge_changes', 'manual_review'],
            family: { type: 'code' }
          }
        }
      },
      events: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          name: { type: 'string', maxLength: 200 },
          start: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 },
          duration: { type: 'minutes', unit: 'minutes', low: 0, high: 20160 },
          place: { type: 'id', to: 'wedding.places' },
          rsvp: { type: 'boolean', absent: false },
          capacity: { type: 'integer', unit: 'count', low: 0, high: 100000 },
          visibility: { type: 'enum', values: ['public', 'invited'], absent: 'invited' },
          order: { type: 'order', maxLength: 128 }
        }
      },
      places: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          name: { type: 'string', maxLength: 200 },
          kind: { type: 'enum', values: ['venue', 'room', 'outdoor', 'road'] },
          capacity: { type: 'integer', unit: 'count', low: 0, high: 100000 },
          address: {
            type: 'object',
            members: {
              line1: { type: 'string', maxLength: 200 },
              line2: { type: 'string', maxLength: 200 },
              city: { type: 'string', maxLength: 120 },
              region: { type: 'string', maxLength: 120 },
              postalCode: { type: 'string', maxLength: 20 },
              country: { type: 'pattern', about: 'ISO 3166-1 alpha-2 code' }
            },
            optional: ['city', 'country', 'line1', 'line2', 'postalCode', 'region']
          },
          location: {
            type: 'object',
            members: {
              latitude: { type: 'decimal', about: 'decimal degrees' },
              longitude: { type: 'decimal', about: 'decimal degrees' }
            }
          },
          exclusive: { type: 'boolean', absent: false },
          parent: { type: 'id', to: 'wedding.places' },
          rainPlan: { type: 'id', to: 'wedding.places' },
          order: { type: 'order', maxLength: 128 }
        }
      },
      vendors: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          name: { type: 'string', maxLength: 200 },
          category: { type: 'code' },
          organization: { type: 'id' },
          stage: { type: 'enum', values: ['shortlisted', 'quoted', 'booked', 'confirmed', 'cancelled'] },
          dayStatus: {
            type: 'enum',
            values: ['expected', 'en_route', 'on_site', 'setting_up', 'ready', 'working', 'breaking_down', 'left', 'late', 'no_show']
          },
          contact: {
            type: 'object',
            members: {
              name: { type: 'string', maxLength: 200 },
              email: { type: 'string', maxLength: 254 },
              phone: { type: 'string', maxLength: 40 }
            },
            optional: ['email', 'name', 'phone']
          },
          bookedWindow: {
            type: 'object',
            members: {
              start: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 },
              end: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 }
            }
          },
          availability: {
            type: 'list',
            items: {
              type: 'object',
              members: {
                start: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 },
                end: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 }
              }
            },
            maxItems: 50
          },
          order: { type: 'order', maxLength: 128 },
          note: { type: 'text', maxLength: 20000 }
        }
      },
      tasks: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          title: { type: 'string', maxLength: 200 },
          due: { type: 'date' },
          assignee: { type: 'id' },
          done: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          priority: { type: 'enum', values: ['low', 'normal', 'high'], absent: 'normal' },
          item: { type: 'id', to: 'timeline.items' },
          vendor: { type: 'id', to: 'wedding.vendors' },
          order: { type: 'order', maxLength: 128 },
          note: { type: 'text', maxLength: 20000 }
        }
      },
      members: {
        shape: 'records',
        fields: {
          role: {
            type: 'enum',
            values: ['couple', 'planner', 'coordinator', 'venue', 'caterer', 'photographer', 'vendor', 'family', 'wedding_party', 'guest'],
            server: true
          },
          name: { type: 'string', maxLength: 200, server: true },
          vendor: { type: 'id', to: 'wedding.vendors', server: true },
          guest: { type: 'id', to: 'guests.guests', server: true },
          side: { type: 'enum', values: ['a', 'b', 'both'], server: true }
        },
        server: true
      },
      board: { shape: 'text' },
      review: REVIEW
    }
  },
  timeline: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: { version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true } }
      },
      items: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          title: { type: 'string', maxLength: 200 },
          start: { type: 'minutes', unit: 'minutes', low: -43200, high: 43200 },
          duration: { type: 'minutes', unit: 'minutes', low: 0, high: 20160 },
          minDuration: { type: 'minutes', unit: 'minutes', low: 0, high: 20160 },
          rigidity: { type: 'enum', values: ['fixed', 'flex', 'buffer'], absent: 'flex' },
          kind: { type: 'enum', values: ['setup', 'moment', 'photo', 'meal', 'transport', 'breakdown'] },
          place: { type: 'id', to: 'wedding.places' },
          track: { type: 'string', maxLength: 120 },
          keyMoment: { type: 'boolean', absent: false },
          visibility: { type: 'enum', values: ['public', 'team', 'private'], absent: 'team' },
          status: { type: 'enum', values: ['planned', 'ready', 'live', 'done', 'skipped'], absent: 'planned' },
          actualStart: { type: 'instant' },
          actualEnd: { type: 'instant' },
          order: { type: 'order', maxLength: 128 },
          note: { type: 'text', maxLength: 20000 },
          unstaffed: { type: 'boolean', key: '_unstaffed', absent: false, server: true },
          vendors: { type: 'flag', key: 'vendor', family: { type: 'id', to: 'wedding.vendors' } },
          persons: { type: 'flag', key: 'person', family: { type: 'id' } },
          after: {
            type: 'minutes',
            unit: 'minutes',
            low: 0,
            high: 1440,
            family: { type: 'id', to: 'timeline.items' }
          },
          vendorNotes: {
            type: 'string',
            maxLength: 500,
            key: 'vendorNote',
            family: { type: 'id', to: 'wedding.vendors' }
          }
        }
      },
      emergencies: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          kind: { type: 'enum', values: ['weather', 'medical', 'vendor_no_show', 'security', 'power', 'other'] },
          text: { type: 'string', maxLength: 500 },
          severity: { type: 'enum', values: ['info', 'warning', 'error', 'critical'] },
          at: { type: 'instant' },
          by: { type: 'id' },
          closed: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          audience: { type: 'enum', values: ['team', 'vendors', 'everyone'], absent: 'vendors' },
          acknowledgedBy: { type: 'instant', family: { type: 'id' } }
        }
      },
      review: REVIEW
    }
  },
  budget: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: {
          version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true },
          limit: { type: 'money', unit: 'minor units of the currency', low: 0 },
          mustApproveOver: { type: 'money', unit: 'minor units of the currency', low: 0 }
        }
      },
      categories: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          name: { type: 'string', maxLength: 120 },
          allocated: { type: 'money', unit: 'minor units of the currency', low: 0 },
          order: { type: 'order', maxLength: 128 }
        }
      },
      items: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          category: { type: 'id', to: 'budget.categories' },
          name: { type: 'string', maxLength: 200 },
          vendor: { type: 'id', to: 'wedding.vendors' },
          estimated: { type: 'money', unit: 'minor units of the currency', low: 0 },
          quoted: { type: 'money', unit: 'minor units of the currency', low: 0 },
          actual: { type: 'money', unit: 'minor units of the currency', low: 0 },
          quantity: { type: 'integer', unit: 'count', low: 0, high: 100000 },
          currency: { type: 'pattern', about: 'ISO 4217 code' },
          rate: { type: 'decimal', about: 'decimal string' },
          due: { type: 'date' },
          order: { type: 'order', maxLength: 128 },
          note: { type: 'text', maxLength: 20000 }
        }
      },
      payments: {
        shape: 'values',
        value: {
          type: 'object',
          members: {
            item: { type: 'id', to: 'budget.items' },
            amount: { type: 'money', unit: 'minor units of the currency', low: 0 },
            currency: { type: 'pattern', about: 'ISO 4217 code' },
            on: { type: 'date' },
            kind: { type: 'enum', values: ['deposit', 'balance', 'refund'] },
            payer: { type: 'string', maxLength: 120 },
            reference: { type: 'string', maxLength: 120 }
          },
          optional: ['currency', 'payer', 'reference']
        },
        final: true,
        withdrawals: 'voids'
      },
      voids: {
        shape: 'values',
        value: {
          type: 'object',
          members: { at: { type: 'instant' }, by: { type: 'id' }, reason: { type: 'string', maxLength: 500 } },
          optional: ['reason']
        },
        removable: true
      },
      contributions: {
        shape: 'values',
        value: {
          type: 'object',
          members: {
            contributor: { type: 'string', maxLength: 120 },
            amount: { type: 'money', unit: 'minor units of the currency', low: 0 },
            on: { type: 'date' },
            note: { type: 'string', maxLength: 500 },
            guest: { type: 'id', to: 'guests.guests' }
          },
          optional: ['guest', 'note', 'on']
        },
        removable: true
      },
      approvals: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          item: { type: 'id', to: 'budget.items' },
          field: { type: 'enum', values: ['estimated', 'quoted', 'actual'] },
          from: { type: 'money', unit: 'minor units of the currency', low: 0 },
          to: { type: 'money', unit: 'minor units of the currency', low: 0 },
          by: { type: 'id' },
          state: { type: 'enum', values: ['pending', 'approved', 'rejected'], key: '_state', server: true },
          approvedBy: { type: 'instant', family: { type: 'id' } },
          rejectedBy: { type: 'instant', family: { type: 'id' } }
        }
      },
      review: REVIEW
    }
  },
  guests: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: { version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true } }
      },
      households: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          name: { type: 'string', maxLength: 200 },
          side: { type: 'enum', values: ['a', 'b', 'both'] },
          address: {
            type: 'object',
            members: {
              line1: { type: 'string', maxLength: 200 },
              line2: { type: 'string', maxLength: 200 },
              city: { type: 'string', maxLength: 120 },
              region: { type: 'string', maxLength: 120 },
              postalCode: { type: 'string', maxLength: 20 },
              country: { type: 'pattern', about: 'ISO 3166-1 alpha-2 code' }
            },
            optional: ['city', 'country', 'line1', 'line2', 'postalCode', 'region']
          },
          greeting: { type: 'string', maxLength: 200 },
          order: { type: 'order', maxLength: 128 }
        }
      },
      guests: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          firstName: { type: 'string', maxLength: 120 },
          lastName: { type: 'string', maxLength: 120 },
          household: { type: 'id', to: 'guests.households' },
          side: { type: 'enum', values: ['a', 'b', 'both'] },
          kind: { type: 'enum', values: ['adult', 'child', 'infant'], absent: 'adult' },
          email: { type: 'string', maxLength: 254 },
          phone: { type: 'string', maxLength: 40 },
          party: { type: 'code' },
          plusOneOf: { type: 'id', to: 'guests.guests' },
          plusOnesAllowed: { type: 'integer', unit: 'count', low: 0, high: 20 },
          meal: { type: 'code' },
          checkedIn: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          order: { type: 'order', maxLength: 128 },
          note: { type: 'text', maxLength: 20000 },
          rsvp: {
            type: 'enum',
            values: ['pending', 'yes', 'no', 'maybe'],
            family: { type: 'id', to: 'wedding.events' }
          },
          tags: { type: 'flag', key: 'tag', family: { type: 'string', maxLength: 40 } }
        }
      },
      review: REVIEW
    }
  },
  care: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: { version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true } }
      },
      care: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          access: { type: 'string', maxLength: 500 },
          seatingNeed: { type: 'string', maxLength: 500 },
          note: { type: 'text', maxLength: 20000 },
          diets: { type: 'flag', key: 'diet', family: { type: 'code' } },
          allergies: { type: 'enum', values: ['mild', 'severe'], key: 'allergy', family: { type: 'code' } },
          acknowledgedBy: { type: 'instant', family: { type: 'id' } }
        }
      },
      review: REVIEW
    }
  },
  seating: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: { version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true } }
      },
      tables: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          label: { type: 'string', maxLength: 120 },
          shape: { type: 'enum', values: ['round', 'rectangle', 'square', 'oval', 'row'], absent: 'round' },
          capacity: { type: 'integer', unit: 'count', low: 0, high: 500 },
          position: {
            type: 'object',
            members: {
              x: { type: 'integer', unit: 'centimetres', low: -100000, high: 100000 },
              y: { type: 'integer', unit: 'centimetres', low: -100000, high: 100000 },
              rotation: { type: 'integer', unit: 'degrees', low: -360, high: 360 }
            },
            optional: ['rotation']
          },
          size: {
            type: 'object',
            members: {
              width: { type: 'integer', unit: 'centimetres', low: 1, high: 100000 },
              height: { type: 'integer', unit: 'centimetres', low: 1, high: 100000 }
            }
          },
          place: { type: 'id', to: 'wedding.places' },
          locked: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          order: { type: 'order', maxLength: 128 }
        }
      },
      assignments: {
        shape: 'values',
        value: {
          type: 'object',
          members: {
            table: { type: 'id', to: 'seating.tables' },
            seat: { type: 'integer', unit: 'seat', low: 0, high: 499, nullable: true }
          }
        },
        removable: true
      },
      rules: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          kind: { type: 'enum', values: ['together', 'apart', 'near', 'front'] },
          hard: { type: 'boolean', absent: false },
          reason: { type: 'string', maxLength: 500 },
          guests: { type: 'flag', key: 'guest', family: { type: 'id', to: 'guests.guests' } }
        }
      },
      fixtures: {
        shape: 'records',
        fields: {
          deleted: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
          kind: { type: 'enum', values: ['dance', 'stage', 'bar', 'buffet', 'exit', 'other'] },
          label: { type: 'string', maxLength: 120 },
          position: {
            type: 'object',
            members: {
              x: { type: 'integer', unit: 'centimetres', low: -100000, high: 100000 },
              y: { type: 'integer', unit: 'centimetres', low: -100000, high: 100000 },
              rotation: { type: 'integer', unit: 'degrees', low: -360, high: 360 }
            },
            optional: ['rotation']
          },
          size: {
            type: 'object',
            members: {
              width: { type: 'integer', unit: 'centimetres', low: 1, high: 100000 },
              height: { type: 'integer', unit: 'centimetres', low: 1, high: 100000 }
            }
          }
        }
      },
      review: REVIEW
    }
  },
  thread: {
    version: 1,
    roots: {
      meta: {
        shape: 'record',
        fields: { version: { type: 'integer', low: 1, high: 10000, key: '_version', server: true } }
      },
      messages: {
        shape: 'values',
        value: {
          type: 'object',
          members: {
            from: { type: 'id' },
            at: { type: 'instant' },
            kind: { type: 'enum', values: ['text', 'system', 'emergency'] },
            body: { type: 'string', maxLength: 4000 },
            inReplyTo: { type: 'id', to: 'thread.messages' },
            attachments: {
              type: 'list',
              items: {
                type: 'object',
                members: {
                  id: { type: 'id' },
                  name: { type: 'string', maxLength: 200 },
                  mediaType: { type: 'pattern', about: 'media type' },
                  size: { type: 'integer', unit: 'bytes', low: 0 },
                  sha256: { type: 'pattern', about: '64 hexadecimal digits' }
                }
              },
              maxItems: 20
            },
            context: {
              type: 'object',
              members: {
                document: { type: 'string', maxLength: 120 },
                root: { type: 'string', maxLength: 40 },
                record: { type: 'string', maxLength: 200 }
              },
              optional: ['record', 'root']
            }
          },
          optional: ['attachments', 'context', 'inReplyTo']
        },
        final: true,
        withdrawals: 'redactions'
      },
      redactions: {
        shape: 'values',
        value: { type: 'object', members: { at: { type: 'instant' }, by: { type: 'id' } } },
        final: true
      },
      reactions: { shape: 'values', value: { type: 'flag' }, removable: true },
      stamps: {
        shape: 'values',
        value: {
          type: 'object',
          members: { sequence: { type: 'integer', unit: 'count', low: 0 }, at: { type: 'instant' } }
        },
        server: true
      },
      review: REVIEW
    }
  }
} as const satisfies { readonly [kind: string]: KindSpec }
