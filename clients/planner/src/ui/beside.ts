// Where the focus goes when what has it is about to be removed.

/** Puts the focus on the name of the next record of the page, else on that of the one before. */
export const focusBeside = (element: Element): void => {
  const names = [...document.querySelectorAll<HTMLElement>('main .record-name')]
  const next = names.find((name) => element.compareDocumentPosition(name) & Node.DOCUMENT_POSITION_FOLLOWING)
  const before = names.filter((name) => name !== element && !element.parentElement?.contains(name) && element.compareDocumentPosition(name) & Node.DOCUMENT_POSITION_PRECEDING).at(-1)
  ;(next ?? before)?.focus()
}
