/** There is no such record, in what this client has. */
export class UnknownRecord extends Error {
  override readonly name = 'UnknownRecord'

  constructor (readonly collection: string, readonly record: string) {
    super(`${collection} has no record ${record}`)
  }
}

/** This person may not open a document that has it. */
export class NotOpen extends Error {
  override readonly name = 'NotOpen'

  constructor (readonly collection: string) {
    super(`${collection} is not open to this person`)
  }
}

/** `close()` or `signOut()` was called. */
export class Closed extends Error {
  override readonly name = 'Closed'

  constructor () {
    super('the wedding is closed')
  }
}

/** An answer of the server that is no success. Status 0: there was no answer. */
export class ServerError extends Error {
  override readonly name = 'ServerError'

  constructor (
    readonly status: number,
    /** Stable, such as `too_many_requests`. */
    readonly code: string,
    message: string,
    /** The whole answer. */
    readonly problem: Readonly<Record<string, unknown>> = {}
  ) {
    super(message)
  }
}
