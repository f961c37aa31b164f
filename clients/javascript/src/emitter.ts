// Listeners, and values that can be followed. A listener that throws stops neither its neighbours nor who called them.
import type { Listener, Readable, Unsubscribe } from './types.js'

export class Emitter<T> {
  readonly #listeners = new Set<Listener<T>>()

  on (listener: Listener<T>): Unsubscribe {
    const own: Listener<T> = (value) => listener(value) // the same function may be given twice
    this.#listeners.add(own)
    return () => { this.#listeners.delete(own) }
  }

  emit (value: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(value)
      } catch (error) {
        queueMicrotask(() => { throw error })
      }
    }
  }

  clear (): void {
    this.#listeners.clear()
  }
}

/** Resolves with the first value for which a check holds, of anything that can be followed. */
export const when = <T>(followed: { subscribe (listener: Listener<T>): Unsubscribe }, check: (value: T) => unknown): Promise<T> => new Promise((resolve, reject) => {
  let end: Unsubscribe | undefined
  let isOver = false
  const finish = (settle: () => void): void => {
    isOver = true
    settle()
    end?.()
  }
  end = followed.subscribe((value) => {
    if (isOver) return
    try {
      if (check(value)) finish(() => resolve(value))
    } catch (error) {
      finish(() => reject(error))
    }
  })
  if (isOver) end()
})

/**
 * A value that is made anew when something it depends on has changed, and then only if somebody reads it. With `isSame`
 * those who follow it are not called, and it stays the same object, where it has not changed after all.
 */
export class Derived<T> implements Readable<T> {
  readonly #make: () => T
  readonly #isSame: ((one: T, other: T) => boolean) | undefined
  readonly #changed = new Emitter<void>()
  #value: T | undefined

  constructor (make: () => T, isSame?: (one: T, other: T) => boolean) {
    this.#make = make
    this.#isSame = isSame
  }

  get (): T {
    return (this.#value ??= this.#make())
  }

  subscribe (listener: Listener<T>): Unsubscribe {
    const end = this.#changed.on(() => listener(this.get()))
    listener(this.get())
    return end
  }

  /** What it was made from is different now. */
  changed (): void {
    const before = this.#value
    this.#value = undefined
    if (before !== undefined && this.#isSame?.(before, this.#make())) {
      this.#value = before
      return
    }
    this.#changed.emit()
  }
}
