/** Hooks for React: a component renders anew when what it shows has changed. */
import { useCallback, useSyncExternalStore } from 'react'
import type { Conflict, PresentPerson, ReadCollection, Readable, Unsubscribe, Wedding } from './types.js'

type Followed = (changed: () => void) => Unsubscribe

const NOTHING: readonly never[] = Object.freeze([])

/** The rows of a collection: `useCollection(wedding.guests)`. */
export const useCollection = <R>(collection: ReadCollection<R> | undefined): readonly R[] => {
  const follow: Followed = useCallback((changed) => collection?.subscribe(changed) ?? (() => {}), [collection])
  const read = useCallback(() => collection?.list() ?? NOTHING, [collection])
  return useSyncExternalStore(follow, read, read)
}

/** The conflicts that wait for somebody, the worst first. */
export const useConflicts = (wedding: Wedding, state: Conflict['state'] = 'open'): readonly Conflict[] => {
  const follow: Followed = useCallback((changed) => wedding.conflicts.subscribe(changed), [wedding])
  const read = useCallback(() => wedding.conflicts.list(state), [wedding, state])
  return useSyncExternalStore(follow, read, read)
}

/** Everybody else who has the wedding open. */
export const usePresence = (wedding: Wedding): readonly PresentPerson[] => {
  const follow: Followed = useCallback((changed) => wedding.presence.subscribe(changed), [wedding])
  const read = useCallback(() => wedding.presence.others(), [wedding])
  return useSyncExternalStore(follow, read, read)
}

/** A value that can be followed: `useReadable(wedding.saved)`, `wedding.status`, `wedding.undoable`, `wedding.details`. */
export const useReadable = <T>(readable: Readable<T>): T => {
  const follow: Followed = useCallback((changed) => readable.subscribe(changed), [readable])
  const read = useCallback(() => readable.get(), [readable])
  return useSyncExternalStore(follow, read, read)
}
