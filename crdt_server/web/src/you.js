// The forms at the side: who you are, and which wedding and note are open.
import { h, offer, say } from './dom.js'
import { newId } from './ids.js'
import { ROLES, isNameInUrl } from './place.js'
import { byUnit, text } from './records.js'

const $ = (id) => document.getElementById(id)
const MYSELF = ''
const readable = (role) => role.replaceAll('_', ' ')

let members = new Map()

/** The vendor, guest and side that a member is of. */
const ownOf = (member) => ({ vendor: text(member, 'vendor'), guest: text(member, 'guest'), side: text(member, 'side') })

/** A role, with what belongs to the first member in it: most of what a role sees is that of its vendor, guest or side. */
const personIn = (role) => ({ role, ...ownOf([...members.values()].find((member) => text(member, 'role') === role)) })

const swatch = (name, value, go) => {
  const input = h('input', { type: 'radio', name: 'colour', value: name, 'aria-label': name, onchange: () => go({ colour: name }) })
  const label = h('label', { title: name }, input)
  label.style.setProperty('--person', value)
  return label
}

/** Shows who we are and whom we could be: the members of the wedding. */
export const showYou = (planner, place) => {
  $('pretend').hidden = place.isProven
  $('known-as').hidden = !place.isProven
  say($('known-as'), `${place.name}, ${readable(place.role)}`)
  $('enforce').checked = place.enforce === '1'
  const found = new Map(planner.map('wedding', 'members'))
  if (found.size > 0) members = found // as a role that may not see them, one can go on to another
  const named = [...members]
    .map(([id, member]) => [id, text(member, 'name', id), text(member, 'role')])
    .sort(([, one, a], [, other, b]) => ROLES.indexOf(a) - ROLES.indexOf(b) || byUnit(one, other))
  offer($('person'), [[MYSELF, 'Myself'], ...named.map(([id, name, role]) => [id, `${name}, ${readable(role)}`])])
  $('person').value = members.has(place.user) ? place.user : MYSELF
  offer($('role'), ROLES.map((role) => [role, readable(role)]))
  $('role').value = place.role
  if (document.activeElement !== $('name')) $('name').value = place.name
  for (const input of document.querySelectorAll('[name=colour]')) input.checked = input.value === place.colour
}

/** Calls `go` with what is chosen in the forms. */
export const watchYou = (colours, go) => {
  $('swatches').append(...Object.entries(colours).map(([name, value]) => swatch(name, value, go)))
  $('you').addEventListener('submit', (event) => event.preventDefault())
  $('name').addEventListener('input', () => {
    const name = $('name').value.trim()
    if (name !== '') go({ name })
  })
  $('person').addEventListener('change', () => {
    const member = members.get($('person').value)
    const own = ownOf(member)
    if (member === undefined) go({ user: newId('u'), ...own })
    else go({ user: $('person').value, role: text(member, 'role', ROLES[0]), name: text(member, 'name').slice(0, 40), ...own })
  })
  $('role').addEventListener('change', () => go(personIn($('role').value)))
  $('enforce').addEventListener('change', () => {
    const role = $('role').value
    go({ ...($('enforce').checked ? personIn(role) : { role }), enforce: $('enforce').checked ? '1' : '' })
  })
  for (const id of ['wedding', 'note']) {
    $(id).addEventListener('input', () => {
      const wrong = !isNameInUrl($(id).value.trim())
      $(id).setCustomValidity(wrong ? 'Letters, digits, - and _; the first a letter or digit' : '')
    })
  }
  $('place').addEventListener('submit', (event) => {
    event.preventDefault()
    go({ wedding: $('wedding').value.trim(), note: $('note').value.trim() })
  })
}
