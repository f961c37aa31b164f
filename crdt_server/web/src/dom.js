// A few lines in place of a framework: elements, lists of rows that stay the same elements, and inputs that a person and
// the document change both. Text reaches the page as text only.

/** An element. Props are properties where the element has one of that name, else attributes; `on…` are listeners. */
export const h = (tag, props = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'class') element.className = value
    else if (name === 'data') Object.assign(element.dataset, value)
    else if (name in element) element[name] = value
    else element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

/** Sets the text of an element if it has another. */
export const say = (element, value) => {
  if (element.textContent !== value) element.textContent = value
}

const rowsOf = new WeakMap()

/**
 * Makes the children of `parent` one row for each of `items` ([id, item]), in their order. A row is made once by
 * `make(id)`, filled by `fill(row, item, id)` each time, and moves rather than being made again: who writes in one
 * goes on writing.
 */
export const keyed = (parent, items, make, fill) => {
  const before = rowsOf.get(parent) ?? new Map()
  const after = new Map(items.map(([id]) => [id, before.get(id) ?? make(id)]))
  rowsOf.set(parent, after)
  for (const [id, row] of before) if (after.get(id) !== row) row.remove()
  const focused = document.activeElement
  let at = parent.firstElementChild
  for (const [id, item] of items) {
    const row = after.get(id)
    fill(row, item, id)
    if (at !== row && at?.nextElementSibling === row) {
      parent.append(at) // one row went down: the others need not move up
      at = row
    }
    if (at === row) at = row.nextElementSibling
    else parent.insertBefore(row, at)
  }
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus()
}

/**
 * Lets `commit(text)` hear what a person has entered. It returns what is wrong with it, or nothing.
 * Escape takes back what is not entered yet.
 */
export const editable = (input, commit) => {
  const state = { shown: null, typing: false }
  input.editing = state
  input.addEventListener('input', () => { state.typing = true; input.setCustomValidity('') })
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      state.typing = false
      input.value = state.shown ?? ''
      input.setCustomValidity('')
    } else if (event.key === 'Enter') input.blur()
  })
  input.addEventListener('blur', () => { state.typing = false })
  input.addEventListener('change', () => {
    state.typing = false
    const wrong = commit(input.value.trim())
    input.setCustomValidity(wrong ?? '')
    if (wrong) input.reportValidity()
  })
  return input
}

/** Shows what the document holds, unless somebody is writing here. */
export const show = (input, value) => {
  const { editing } = input
  if (editing.typing || (editing.shown === value && !input.validity.valid)) return
  editing.shown = value
  if (input.value !== value) input.value = value
}

/** Fills a select with [value, label] pairs, if they are others than before. */
export const offer = (select, options) => {
  const key = JSON.stringify(options)
  if (select.dataset.options === key) return
  select.dataset.options = key
  const { value } = select
  select.replaceChildren(...options.map(([id, label]) => h('option', { value: id }, label)))
  select.value = value
}
