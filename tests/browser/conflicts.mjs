// What becomes of edits that do not fit. All scenarios work on the wedding `demo`, each on records of its own.
import assert from 'node:assert/strict'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import {
  chair, choose, conflict, holds, item, offline, online, saved, scenario, screenshots, seat, server, sits, tab, visit
} from './support.mjs'

const [SYNC, AUTH, UPDATE] = [0, 2, 2]

const open = (name, role, options) => visit({ wedding: 'demo', name, role, user: 'u_' + name.toLowerCase() }, options)

/** Both give one chair of `table` to another guest without a connection, and come back one after the other. */
const seatTwice = async (table, guestOf, comesFirst) => {
  const [ada, bob] = await Promise.all([open('Ada', 'couple'), open('Bob', 'planner')])
  const both = (step) => Promise.all([ada, bob].map(step))
  const picture = async (page, name, shown = chair(page, table, 4)) => {
    await shown.evaluate((element) => element.scrollIntoView({ block: 'center' }))
    await page.screenshot({ path: `${screenshots}/${scenario}-${name}.png` })
  }
  await both((page) => tab(page, 'seating'))
  await both(offline)
  await seat(ada, guestOf.ada, table, 4)
  await seat(bob, guestOf.bob, table, 4)
  await picture(ada, 'before-ada')
  await picture(bob, 'before-bob')
  for (const page of comesFirst === 'ada' ? [ada, bob] : [bob, ada]) await online(page)

  // Ada ranks higher: her guest keeps the chair, Bob's has the next free one.
  await both((page) => sits(page, table, 4, [guestOf.ada]))
  await both((page) => sits(page, table, 0, [guestOf.bob]))
  await picture(bob, 'resolved')
  await both((page) => tab(page, 'conflicts'))
  const summary = `${guestOf.ada}, ${guestOf.bob} have the same seat 4 at table ${table}.`
  await both((page) => conflict(page, summary).waitFor())
  assert.deepEqual(await conflict(bob, summary).locator('.parties li').allTextContents(),
    [`Ada (couple): table ${table}, seat 4`, `You (planner): table ${table}, seat 4`])
  await picture(bob, 'conflict', conflict(bob, summary))

  await choose(bob, summary, `${guestOf.bob} keeps seat 4.`)
  await both((page) => conflict(page, summary).waitFor({ state: 'detached' }))
  await both((page) => tab(page, 'seating'))
  await both((page) => sits(page, table, 4, [guestOf.bob]))
  await both((page) => sits(page, table, 0, [guestOf.ada]))
  await both(saved)
  await picture(ada, 'after')
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
  line.prepare = (page) => page.routeWebSocket(new RegExp(`/ws/[^/]+/${document}\\b`), (socket) => {
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
    const [ann, bao] = await Promise.all([open('Ann', 'couple', { prepare: line.prepare }), open('Bao', 'couple')])
    const [hers, his] = [await item(ann, 'Ceremony'), await item(bao, 'Ceremony')]
    const before = await hers.locator('.duration').inputValue()
    const doc = await stored('timeline')
    const seen = Y.encodeStateVector(doc)
    const record = (await hers.getAttribute('data-at')).split('/').at(-1)
    doc.getMap('items').get(record).set('duration', 'long')
    line.tell(Y.encodeStateAsUpdate(doc, seen))

    const toast = ann.locator('.toast')
    await toast.waitFor()
    assert.equal(await toast.locator('p').textContent(),
      'timeline: minutes from 0 to 20160 expected, not string. Taken back: duration of Ceremony.')
    await ann.screenshot({ path: `${screenshots}/planner-denied.png` })
    for (const row of [hers, his]) await holds(row.locator('.duration'), before)
    assert.equal((await stored('timeline')).getMap('items').get(record).get('duration'), Number(before))
    assert.equal(line.notices.length, 1)
    assert.equal(await bao.locator('.toast').count(), 0)
    await toast.getByRole('button').click()
    await toast.waitFor({ state: 'detached' })
    await saved(ann)
  }
}
