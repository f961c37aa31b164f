// The hooks for React, in jsdom.
import assert from 'node:assert/strict'
import { JSDOM } from 'jsdom'
import { open, run, test, until } from './cases.mjs'

const { window } = new JSDOM('<main></main>')
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true })
Object.defineProperty(globalThis, 'navigator', { value: window.navigator, configurable: true })
const [{ act, createElement: h }, { createRoot }] = [await import('react'), await import('react-dom/client')]
const { useCollection, useConflicts, usePresence, useReadable } = await import(process.env.CLIENT.replace('index.mjs', 'react.mjs'))

test('a component renders anew when what it shows has changed', async (wedding) => {
  const ann = await open(wedding)
  const bob = await open(wedding, { user: 'u_bob', role: 'planner', name: 'Bob' })
  const Plan = () => {
    const guests = useCollection(ann.guests)
    const { isSaved } = useReadable(ann.saved)
    return h('p', {}, [guests.map(({ firstName }) => firstName).join(), useConflicts(ann).length, usePresence(ann).map(({ name }) => name).join(), isSaved].join(' '))
  }
  const main = document.querySelector('main')
  const root = createRoot(main)
  await act(async () => root.render(h(Plan)))
  const shown = async (readable, text) => {
    await until(readable, () => true)
    for (let turn = 0; main.textContent !== text && turn < 500; turn++) await act(async () => new Promise((resolve) => setImmediate(resolve)))
    assert.equal(main.textContent, text)
  }
  await until(ann.presence, (people) => people.length === 1)
  await shown(ann.presence, ' 0 Bob true')
  await act(async () => { bob.guests.add({ firstName: 'Chloé' }) })
  await until(ann.guests, (rows) => rows.length === 1)
  await shown(ann.guests, 'Chloé 0 Bob true')
  await act(async () => { ann.goOffline(); ann.guests.add({ firstName: 'Aroha' }) })
  await until(ann.presence, (people) => people.length === 0)
  await shown(ann.guests, 'Chloé,Aroha 0  false')
  await act(async () => root.unmount())
})

await run()
