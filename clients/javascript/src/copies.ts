// Copies on this device, in IndexedDB: one database for each document (y-indexeddb), and one that lists them all, with
// what was set aside. A copy that was not used for some days is deleted, unless it holds what the server has not.
import * as idb from 'lib0/indexeddb'
import type { IndexeddbPersistence } from 'y-indexeddb'
import * as Y from 'yjs'
import type { Joined } from './http.js'
import type { SetAside } from './types.js'

const LIST = 'crdt-server-client'
const DAY_MS = 24 * 60 * 60 * 1000
const SAVED = 'saved'
const SOON_MS = 500
const THREAD = 'thread.'

/** What is kept of one person in one wedding of one server. */
interface Entry {
  readonly joined: Joined
  readonly usedAt: number
  readonly days: number
  readonly documents: readonly string[]
  readonly isSaved: boolean
}

const key = (...parts: readonly string[]): string => parts.map(encodeURIComponent).join('/')

/** The copies of one person in one wedding. */
export class Copies {
  readonly #db: IDBDatabase
  readonly #own: string
  readonly #days: number
  readonly #documents: Set<string>
  #isSaved: boolean
  #joined: Joined | undefined
  #isWiped = false

  private constructor (db: IDBDatabase, own: string, days: number, entry: Entry | undefined) {
    this.#db = db
    this.#own = own
    this.#days = days
    this.#documents = new Set(entry?.documents)
    this.#isSaved = entry?.isSaved ?? true
    this.#joined = entry?.joined
  }

  /**
   * Undefined where this device keeps nothing: no IndexedDB, or it is forbidden. Without a user: the copies of whoever was
   * here last.
   */
  static async open (server: string, wedding: string, user: string | undefined, days: number, nowMs: number): Promise<Copies | undefined> {
    if (globalThis.indexedDB === undefined) return undefined
    try {
      const db = await idb.openDB(LIST, (made) => idb.createStores(made, [['weddings'], ['aside']]))
      await deleteExpired(db, nowMs)
      const own = user === undefined ? await lastIn(db, key(server, wedding, '')) : key(server, wedding, user)
      if (own === undefined) return undefined
      return new Copies(db, own, days, await read<Entry>(db, 'weddings', own))
    } catch {
      return undefined
    }
  }

  /** The last answer of the server to what this person may do; undefined where there is no copy. */
  get joined (): Joined | undefined {
    return this.#joined
  }

  /** Keeps the answer of the server, and that the copies were used. */
  async use (joined: Joined, nowMs: number): Promise<void> {
    this.#joined = joined
    await this.#write(nowMs)
  }

  /** Notes whether the copies hold what the server has not. */
  async setSaved (isSaved: boolean, nowMs: number): Promise<void> {
    if (isSaved === this.#isSaved) return
    this.#isSaved = isSaved
    await this.#write(nowMs)
  }

  async #write (usedAt: number): Promise<void> {
    if (this.#isWiped || this.#joined === undefined) return
    const entry: Entry = { joined: this.#joined, usedAt, days: this.#days, documents: [...this.#documents], isSaved: this.#isSaved }
    await write(this.#db, 'weddings', this.#own, entry)
  }

  /** The copy of a document: what it holds is in `doc` once this resolves, and all updates of `doc` go into it. */
  async load (document: string, doc: Y.Doc, nowMs: number): Promise<Copy> {
    const { IndexeddbPersistence: Persistence } = await import('y-indexeddb')
    this.#documents.add(document)
    await this.#write(nowMs)
    const persistence = new Persistence(databaseOf(this.#own, document), doc)
    writeWithoutErrors(persistence)
    // A document that is destroyed meanwhile is never loaded, and neither is one whose database cannot be opened.
    const unusable = persistence.get(SAVED).then(() => new Promise<never>(() => {}))
    try {
      await Promise.race([persistence.whenSynced, new Promise((resolve) => { doc.once('destroy', resolve) }), unusable])
      const copy = new Copy(persistence, doc.isDestroyed ? undefined : await persistence.get(SAVED) as Uint8Array | undefined)
      if (document.startsWith(THREAD) && !doc.isDestroyed) copy.forgetRedacted()
      return copy
    } catch (error) {
      leave(persistence)
      throw error
    }
  }

  /** Deletes the copy of one document, which is closed. */
  async forget (document: string, nowMs: number): Promise<void> {
    if (!this.#documents.delete(document)) return
    await idb.deleteDB(databaseOf(this.#own, document))
    await this.#write(nowMs)
  }

  async setAside (each: SetAside): Promise<void> {
    if (!this.#isWiped) await write(this.#db, 'aside', `${this.#own}/${each.id}`, each)
  }

  async allSetAside (): Promise<SetAside[]> {
    const [store] = idb.transact(this.#db, ['aside'], 'readonly')
    const found: { k: unknown, v: SetAside }[] = await idb.getAllKeysValues(store!)
    return found.filter(({ k }) => String(k).startsWith(this.#own + '/')).map(({ v }) => v)
  }

  async discardAside (id: string): Promise<void> {
    await remove(this.#db, 'aside', `${this.#own}/${id}`)
  }

  /** Deletes all copies of this person, and what was set aside. Open ones have to be closed before. */
  async wipe (): Promise<void> {
    this.#isWiped = true
    for (const { id } of await this.allSetAside()) await this.discardAside(id)
    await deleteDocuments(this.#own, this.#documents)
    await remove(this.#db, 'weddings', this.#own)
  }

  close (): void {
    this.#isWiped = true
    this.#db.close()
  }
}

/** The copy of one document. */
export class Copy {
  readonly #persistence: IndexeddbPersistence
  readonly #saved: Uint8Array | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #compaction: ReturnType<typeof setTimeout> | undefined

  constructor (persistence: IndexeddbPersistence, saved: Uint8Array | undefined) {
    this.#persistence = persistence
    this.#saved = saved
  }

  /** Whether an update comes from this copy. */
  isOrigin (origin: unknown): boolean {
    return origin === this.#persistence
  }

  /** Whether the server had all that it held when it was loaded. */
  get wasSaved (): boolean {
    const { doc } = this.#persistence
    if (doc.store.clients.size === 0) return true
    return this.#saved !== undefined && Y.equalSnapshots(Y.decodeSnapshot(this.#saved), Y.snapshot(doc))
  }

  /** The server has all that the document holds now: kept soon, once for many edits. */
  markSaved (isSaved: () => boolean): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { if (isSaved()) void this.#mark() }, SOON_MS)
  }

  async #mark (): Promise<void> {
    const snapshot = Y.encodeSnapshot(Y.snapshot(this.#persistence.doc))
    await this.#persistence.set(SAVED, snapshot as unknown as ArrayBuffer).catch(() => {}) // it is closed already
  }

  /** A message that is taken back is emptied in its document; a copy keeps its text until it is written anew. */
  forgetRedacted (): void {
    const { doc } = this.#persistence
    if (doc.getMap('redactions').size > 0) this.#compactSoon()
    doc.getMap('messages').observe(({ changes }) => {
      if ([...changes.keys.values()].some(({ action }) => action !== 'add')) this.#compactSoon()
    })
  }

  #compactSoon (): void {
    this.#compaction ??= setTimeout(() => { void this.#compact() }, SOON_MS)
  }

  async #compact (): Promise<void> {
    clearTimeout(this.#compaction)
    this.#compaction = undefined
    const { storeState } = await import('y-indexeddb')
    if (!this.#persistence._destroyed) await storeState(this.#persistence).catch(() => {})
  }

  /** Closes it. What is saved by then is marked at once. */
  async close (isSaved: boolean): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#compaction !== undefined) await this.#compact()
    if (isSaved && !this.#persistence._destroyed) await this.#mark()
    await this.#persistence.destroy()
  }

  /** Closes it and deletes what it holds. */
  async delete (): Promise<void> {
    clearTimeout(this.#timer)
    clearTimeout(this.#compaction)
    await this.#persistence.destroy()
    await idb.deleteDB(this.#persistence.name)
  }
}

/** Ends the copy of a document, whose database may be unusable. */
const leave = (persistence: IndexeddbPersistence): void => {
  persistence.destroy().catch(() => {})
}

/**
 * A database that another tab has deleted is closed, and throws. Thrown by an observer of updates, that would end all
 * observers of the document for good: nothing would be sent any more, and nothing wait.
 */
const writeWithoutErrors = (persistence: IndexeddbPersistence): void => {
  const { doc, _storeUpdate: write } = persistence
  doc.off('update', write)
  persistence._storeUpdate = (update, origin) => {
    try {
      write(update, origin)
    } catch {
      leave(persistence)
    }
  }
  doc.on('update', persistence._storeUpdate)
}

const databaseOf = (own: string, document: string): string => `${LIST}/${own}/${encodeURIComponent(document)}`

const read = async <T>(db: IDBDatabase, name: string, at: string): Promise<T | undefined> => {
  const [store] = idb.transact(db, [name], 'readonly')
  return await idb.get(store!, at) as T | undefined
}

const write = async (db: IDBDatabase, name: string, at: string, value: unknown): Promise<void> => {
  const [store] = idb.transact(db, [name])
  await idb.put(store!, value as string, at)
}

const remove = async (db: IDBDatabase, name: string, at: string): Promise<void> => {
  const [store] = idb.transact(db, [name])
  await idb.del(store!, at)
}

/** All copies of a person: those of `documents`, and such as only another tab knows of, where the browser names them. */
const deleteDocuments = async (own: string, documents: Iterable<string>): Promise<void> => {
  const found = await indexedDB.databases?.().catch(() => []) ?? []
  const others = found.flatMap(({ name = '' }) => (name.startsWith(databaseOf(own, '')) ? [name] : []))
  const names = new Set([...[...documents].map((document) => databaseOf(own, document)), ...others])
  for (const name of names) await idb.deleteDB(name)
}

const allIn = async (db: IDBDatabase): Promise<{ k: unknown, v: Entry }[]> => {
  const [store] = idb.transact(db, ['weddings'], 'readonly')
  return await idb.getAllKeysValues(store!)
}

/** The entry of a wedding that was used last. */
const lastIn = async (db: IDBDatabase, prefix: string): Promise<string | undefined> => {
  const found = (await allIn(db)).filter(({ k }) => String(k).startsWith(prefix))
  const [last] = found.sort((one, other) => other.v.usedAt - one.v.usedAt)
  return last && String(last.k)
}

const deleteExpired = async (db: IDBDatabase, nowMs: number): Promise<void> => {
  for (const { k, v } of await allIn(db)) {
    if (!v.isSaved || nowMs - v.usedAt < v.days * DAY_MS) continue
    await deleteDocuments(String(k), v.documents)
    await remove(db, 'weddings', String(k))
  }
}
