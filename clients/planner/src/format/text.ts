/** Without case and accents: for searching, and for finding whom we have already. */
export const folded = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().trim()

/** What people type as a code of the schema: `Beef, rare` is `beef_rare`; '' where nothing of it can be one. */
export const codeOf = (text: string): string => folded(text).replace(/[^a-z0-9]+/g, '_').replace(/^[^a-z]+|_+$/g, '').slice(0, 40)
