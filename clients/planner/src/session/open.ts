// The wedding that is open. Opens it with the tokens of this tab, else as the person that a server with `--dev` believes;
// where the server does neither, somebody has to show a token or an invitation.
import { effect, signal } from '@preact/signals'
import { openWedding, ServerError, type Rejected, type Wedding } from 'crdt-server-client'
import { t } from '../i18n/index.js'
import { go, weddingName } from '../router.js'
import { forgetKept } from '../state/kept.js'
import { Plan } from '../state/plan.js'
import { pretended } from './pretended.js'
import { isToken, TabTokens, weddingOf } from './tokens.js'

export type Opening =
  | { readonly state: 'opening' }
  /** `why` is empty where nothing was shown yet. */
  | { readonly state: 'entry'; readonly why: string }
  | { readonly state: 'open'; readonly plan: Plan; readonly isProven: boolean }

export const opening = signal<Opening>({ state: 'opening' })
export const rejected = signal<Rejected | undefined>(undefined)

const server = (): string => new URL('.', location.href.split('#')[0]).href.replace(/\/$/, '')

let tokens = new TabTokens(weddingName.peek())
let turn = 0
let abort = new AbortController()
/** Also behind the entry, once the server has shut us out. */
let current: Wedding | undefined

const closeLast = async (): Promise<void> => {
  abort.abort(new DOMException('another wedding', 'AbortError'))
  abort = new AbortController()
  opening.value = { state: 'opening' }
  await current?.close()
}

const reasonOf = (error: ServerError, hadToken: boolean): string => {
  if (error.status === 401) return hadToken ? t('entry.expired') : ''
  if (error.status === 403) return t('entry.forbidden')
  if (error.status === 404) return t('entry.unknown')
  return t('entry.refused', { reason: error.message })
}

/** Opens the wedding of the address anew, in place of what is open. */
export const reopen = async (): Promise<void> => {
  const mine = ++turn
  const name = weddingName.peek()
  await closeLast()
  if (mine !== turn) return
  if (tokens.wedding !== name) tokens = new TabTokens(name)
  const isProven = tokens.isThere
  const who = isProven ? { getToken: () => tokens.next() } : { dev: pretended.peek() }
  try {
    const wedding = await openWedding(server(), { wedding: name, offline: true, signal: abort.signal, ...who })
    if (mine !== turn) return void wedding.close()
    current = wedding
    watch(wedding, isProven)
    opening.value = { state: 'open', plan: new Plan(wedding), isProven }
  } catch (error) {
    if (mine !== turn) return
    if (!(error instanceof ServerError)) throw error
    opening.value = { state: 'entry', why: reasonOf(error, isProven) }
  }
}

/** A wedding that shuts us out leads back to the entry. */
const watch = (wedding: Wedding, isProven: boolean): void => {
  wedding.onRejected((notice) => { rejected.value = notice })
  wedding.onRights(() => {
    const last = opening.peek()
    if (last.state === 'open' && last.plan.wedding === wedding) opening.value = { ...last } // what may be shown is another
  })
  wedding.status.subscribe(({ connection }) => {
    const last = opening.peek()
    if (last.state !== 'open' || last.plan.wedding !== wedding) return
    if (connection === 'signed_out' && isProven) opening.value = { state: 'entry', why: t('entry.expired') }
    if (connection === 'erased' || connection === 'forbidden') forgetKept(wedding)
    if (connection === 'forbidden') opening.value = { state: 'entry', why: t('entry.forbidden') }
  })
}

/** Goes on with a token, or with the code of an invitation. */
export const comeIn = async (typed: string): Promise<void> => {
  try {
    if (isToken(typed)) {
      tokens = new TabTokens(weddingOf(typed) || weddingName.peek())
      tokens.take(typed)
    } else tokens = await TabTokens.accept(typed)
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    opening.value = { state: 'entry', why: error.status === 401 ? t('entry.noInvitation') : reasonOf(error, true) }
    return
  }
  if (tokens.wedding === weddingName.peek()) await reopen()
  else go({ wedding: tokens.wedding, view: 'overview' })
}

/** Ends this person's session, here and at the server; the copy of this device is deleted. */
export const signOut = async (): Promise<void> => {
  const last = opening.peek()
  if (last.state === 'open') {
    forgetKept(last.plan.wedding)
    await last.plan.wedding.signOut()
  }
  const isEnded = tokens.revoke().then(() => true, () => false)
  const entry: Opening = { state: 'entry', why: '' }
  opening.value = entry
  if (!await isEnded && opening.peek() === entry) opening.value = { state: 'entry', why: t('entry.notEnded') }
}

/** Opens the wedding of the address, and each next one. */
export const startSession = (token: string): void => {
  if (token !== '') {
    tokens = new TabTokens(weddingOf(token) || weddingName.peek())
    tokens.take(token)
    if (tokens.wedding !== weddingName.peek()) go({ wedding: tokens.wedding })
  }
  effect(() => {
    weddingName.value
    pretended.value
    queueMicrotask(() => void reopen())
  })
}
