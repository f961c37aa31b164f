// The schema by the name of a document.
import { SCHEMA, type KindSpec } from './schema.js'

const KINDS: { readonly [kind: string]: KindSpec } = SCHEMA

/** The schema of a document such as `guests`, `thread.t_1` or `timeline@team`; undefined: it is free-form. */
export const kindOf = (document: string): KindSpec | undefined => KINDS[document.split(/[.@]/)[0]!]
