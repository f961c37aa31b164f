// What becomes of edits that do not fit. All scenarios work on the wedding `demo`, each on records of its own.
import assert from 'node:assert/strict'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { server } from '../support.mjs'
import { go, open, passes, saved, workOffline, workOnline } from './support.mjs'

const [SYNC, AUTH, UPDATE] = [0, 2, 2]

const chair = (page, table, seat, who) => page.getByRole('button', { name: `Table ${table}, seat ${seat}: ${who}`, exact: true })

const seat = async (page, guest, table, nth) => {
  await page.locator('.waiting:not(.household)', { hasText: guest }).focus()
  await page.keyboard.press('Enter')
  await chair(page, table, nth, 'free').focus()
  await page.keyboard.press('Enter')
  await chair(page, table, nth, guest).waitFor()
}

/** Both give one chair of `table` to another guest without a connection, and come back one after the other. */
const seatTwice = async (table, guestOf, comesFirst) => {
  const [ada, bob] = await Promise.all([open('demo', 'seating', { name: 'Ada' }), open('demo', 'seating', { name: 'Bob', role: 'planner' })])
  const both = (step) => Promise.all([ada, bob].map(step))
  await both(workOffline)
  await seat(ada, guestOf.ada, table, 5)
  await seat(bob, guestOf.bob, table, 5)
  for (const page of comesFirst === 'ada' ? [ada, bob] : [bob, ada]) await workOnline(page)

  // Ada ranks higher: her guest keeps the chair, Bob's has the next free one.
  await both((page) => chair(page, table, 5, guestOf.ada).waitFor())
  await both((page) => chair(page, table, 1, guestOf.bob).waitFor())
  // The rule has decided, and says over what; a person may take that back.
  const settled = (page) => page.locator('.settled', { hasText: guestOf.ada }).filter({ hasText: guestOf.bob })
  await both((page) => go(page, 'demo', 'conflicts'))
  await both((page) => settled(page).waitFor())
  assert.match(await settled(bob).textContent(), /have the same seat.* at table/)
  await settled(bob).getByText('won: Ada').waitFor()
  await settled(bob).getByRole('button', { name: 'Who wrote what' }).click()
  await settled(bob).locator('.wrote', { hasText: new RegExp(`${guestOf.ada}, “seat”: table ${table}, seat 5; before that nothing.`) }).getByText('stands').waitFor()
  await settled(bob).getByText(`${guestOf.bob} now: table ${table}, seat 1`, { exact: true }).waitFor()
  await settled(bob).getByRole('button', { name: 'Undo' }).click()
  await settled(bob).getByRole('button', { name: 'Undo' }).waitFor({ state: 'detached' })
  await both((page) => go(page, 'demo', 'seating'))
  await both((page) => chair(page, table, 5, guestOf.bob).waitFor())
  await both((page) => chair(page, table, 1, guestOf.ada).waitFor())
  await both(saved)

  await go(ada, 'demo', 'settings')
  await ada.getByRole('combobox', { name: 'Language', exact: true }).first().selectOption('de')
  await go(ada, 'demo', 'conflicts')
  await settled(ada).getByText('Entschieden von Bob').waitFor()
  await settled(ada).getByRole('button', { name: 'Wer was schrieb' }).click()
  await settled(ada).getByText(new RegExp(`${guestOf.ada}, „Platz“: Tisch ${table}, Platz 5; davor nichts.`)).waitFor()
  await passes(ada, 'conflicts-settled')
}

/** A message of the protocol around an update. */
const message = (update) => {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, UPDATE)
  encoding.writeVarUint8Array(encoder, update)
  return Buffer.from(encoding.toUint8Array(encoder))
}

/** Stands between a page and one document of the server: `tell` sends both an update as if the other had made it. */
const between = (document) => {
  const line = { notices: [] }
  line.route = (page) => page.routeWebSocket(new RegExp(`/ws/[^/]+/${document}\\b`), (socket) => {
    const upstream = socket.connectToServer()
    upstream.onMessage((data) => {
      const decoder = decoding.createDecoder(new Uint8Array(data))
      if (decoding.readVarUint(decoder) === AUTH) line.notices.push(data)
      socket.send(data)
    })
    line.tell = (update) => { for (const end of [socket, upstream]) end.send(message(update)) }
  })
  return line
}

/** A document as the server has it. */
const stored = async (document) => {
  const response = await fetch(`${server}/api/weddings/demo/documents/${document}/state`)
  const doc = new Y.Doc()
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
  return doc
}

export const scenarios = {
  // One chair for two guests, whoever comes back first.
  async 'seat-ada-first' () {
    await seatTwice('21', { ada: 'Omar MacDonald', bob: 'Θάλεια MacDonald' }, 'ada')
  },
  async 'seat-bob-first' () {
    await seatTwice('22', { ada: 'Óscar Åkesson', bob: 'Bo Åkesson' }, 'bob')
  },

  // A wrong value stands in the page of whoever wrote it until the server has put back what was there, and says so.
  async 'wrong-value' () {
    const line = between('timeline')
    const [ann, bao] = await Promise.all([open('demo', 'timeline', { route: line.route }), open('demo', 'timeline', { name: 'Bao' })])
    await Promise.all([saved(ann), saved(bao)])
    const doc = await stored('timeline')
    const seen = Y.encodeStateVector(doc)
    const items = doc.getMap('items')
    const record = [...items.keys()].find((id) => items.get(id).get('title') === 'Ceremony')
    const before = items.get(record).get('duration')
    await Promise.all([ann, bao].map((page) => go(page, 'demo', `timeline/${record}`)))
    const length = (page) => page.getByRole('dialog', { name: 'Ceremony' }).getByLabel('Length')
    const shown = await length(ann).inputValue()
    items.get(record).set('duration', 'long')
    line.tell(Y.encodeStateAsUpdate(doc, seen))

    await ann.locator('.toast', { hasText: 'The server took back a change' }).getByText('minutes from 0 to 20160 expected, not string').waitFor()
    assert.equal((await stored('timeline')).getMap('items').get(record).get('duration'), before)
    for (const page of [ann, bao]) await page.waitForFunction(([input, value]) => input.value === value, [await length(page).elementHandle(), shown])
    assert.equal(line.notices.length, 1)
    assert.equal(await bao.locator('.toast').count(), 0)
    await saved(ann)
  },

  // Two people edit one item: each sees the other's values and where the other is, and what is half typed stays. Work goes
  // on without a network, and comes together afterwards.
  async together () {
    const [ann, bao] = await Promise.all([open('demo', 'timeline'), open('demo', 'timeline', { name: 'Bao 🌸' })])
    const drawer = (page) => page.getByRole('dialog')
    const holds = async (page, label, value) => page.waitForFunction(([input, wanted]) => input.value === wanted, [await drawer(page).getByLabel(label).elementHandle(), value])
    const enter = async (page, label, value) => {
      await drawer(page).getByLabel(label).fill(value)
      await drawer(page).getByLabel(label).press('Enter')
    }
    await bao.locator('.item', { hasText: 'Breakfast in the suite' }).click()
    await ann.locator('.item[data-here="Bao 🌸"]', { hasText: 'Breakfast' }).click()
    await enter(ann, 'Title', 'Breakfast עם 🥐')
    await holds(bao, 'Title', 'Breakfast עם 🥐')
    await drawer(bao).getByLabel('Start').fill('07:45')
    await enter(ann, 'Length', '50') // while the other types
    await holds(bao, 'Length', await drawer(ann).getByLabel('Length').inputValue())
    await holds(bao, 'Start', '07:45')
    await drawer(bao).getByLabel('Start').press('Enter')
    await holds(ann, 'Start', '07:45')
    await enter(bao, 'Start', '25:00')
    await drawer(bao).getByRole('alert').waitFor()
    assert.equal(await drawer(ann).getByLabel('Start').inputValue(), '07:45')
    await drawer(bao).getByLabel('Start').press('Escape')

    await Promise.all([saved(ann), saved(bao)])
    await bao.locator('.item[data-here="Ann Lee"]').waitFor()
    await workOffline(ann)
    await bao.locator('.item[data-here]').waitFor({ state: 'detached' })
    await enter(ann, 'Length', '17')
    await ann.waitForSelector('.saved[data-state=kept]')
    await drawer(bao).getByLabel('Status').selectOption('ready')
    await saved(bao)
    await workOnline(ann)
    await holds(bao, 'Length', await drawer(ann).getByLabel('Length').inputValue())
    await holds(ann, 'Status', 'ready')
    await bao.locator('.item[data-here="Ann Lee"]').waitFor()
  }
}
