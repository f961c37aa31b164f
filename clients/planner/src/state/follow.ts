// What the client package lets us follow, as signals. Each has one signal for as long as its wedding is open.
import { signal, type ReadonlySignal, type Signal } from '@preact/signals'
import type { ReadCollection, Readable } from 'crdt-server-client'

const kept = new WeakMap<object, Signal<any>>()

const once = <T>(source: object, make: () => Signal<T>): ReadonlySignal<T> => {
  let found = kept.get(source) as Signal<T> | undefined
  if (found === undefined) kept.set(source, found = make())
  return found
}

/** The rows of a collection. */
export const rowsOf = <R>(collection: ReadCollection<R>): ReadonlySignal<readonly R[]> => once(collection, () => {
  const rows = signal(collection.list())
  collection.subscribe((list) => { rows.value = list })
  return rows
})

/** A value that can be followed. */
export const valueOf = <T>(readable: Readable<T>): ReadonlySignal<T> => once(readable, () => {
  const value = signal(readable.get())
  readable.subscribe((next) => { value.value = next })
  return value
})
