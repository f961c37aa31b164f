// People: a face of initials in their colour.
import type { JSX } from 'preact'

/** The first characters of the first and the last word, as eyes see characters. */
export const initials = (name: string): string => {
  const words = name.trim().split(/\s+/).map((word) => [...word][0] ?? '')
  return (words.length > 1 ? words[0]! + words.at(-1)! : words[0] ?? '').toLocaleUpperCase()
}

export const Face = ({ name, color }: { name: string; color: string }) => (
  <span class="face" style={{ '--person': color } as JSX.CSSProperties} title={name} data-initials={initials(name)} aria-hidden="true" />
)
