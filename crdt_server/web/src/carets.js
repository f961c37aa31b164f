// The carets and selections of the others, drawn in a mirror: an invisible copy of the text that lies under the
// textarea with the same metrics. It also gives the textarea its height, so that the two never scroll apart.
import * as Y from 'yjs'

const position = (doc, ytext, json) => {
  if (json === null || typeof json !== 'object') return null
  try {
    const absolute = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(json), doc)
    return absolute !== null && absolute.type === ytext ? absolute.index : null
  } catch {
    return null // awareness comes from others, in any shape
  }
}

/** The selection of `state` as { anchor, head } in code units, or null. */
export const selectionOf = (doc, ytext, state) => {
  const anchor = position(doc, ytext, state?.cursor?.anchor)
  const head = position(doc, ytext, state?.cursor?.head)
  return anchor === null || head === null ? null : { anchor, head }
}

const element = (className, person) => {
  const span = document.createElement('span')
  span.className = className
  span.style.setProperty('--person', person.colour)
  return span
}

const caret = (person) => {
  const span = element('caret', person)
  const flag = document.createElement('span')
  flag.className = 'flag'
  flag.textContent = person.name
  span.append(flag)
  return span
}

/** Draws `text` and over it the selections of `people` ({ name, colour, selection }). */
export const draw = (mirror, text, people) => {
  const marks = people.filter(({ selection }) => selection !== null)
  const edges = new Set([0, text.length])
  for (const { selection: { anchor, head } } of marks) edges.add(anchor).add(head)
  const stops = [...edges].filter((at) => at <= text.length).sort((a, b) => a - b)
  const fragment = document.createDocumentFragment()
  stops.forEach((from, nth) => {
    for (const person of marks) if (person.selection.head === from) fragment.append(caret(person))
    const to = stops[nth + 1]
    if (to === undefined) return
    const selecting = marks.find(({ selection: { anchor, head } }) =>
      Math.min(anchor, head) <= from && to <= Math.max(anchor, head))
    const part = selecting ? element('selected', selecting) : document.createElement('span')
    part.textContent = text.slice(from, to)
    fragment.append(part)
  })
  fragment.append('\n') // a last empty line has no height without it
  mirror.replaceChildren(fragment)
}
