/** What a message has of a file. */
export interface Attached { readonly id: string; readonly name: string }

/** What a message says of its files; anybody who takes part may have written anything. */
export const attachedTo = (attachments: unknown): Attached[] =>
  (Array.isArray(attachments) ? attachments : []).filter((each) => typeof each?.id === 'string' && typeof each.name === 'string')
