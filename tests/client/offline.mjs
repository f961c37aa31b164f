// The copy of a device: without a network, over a reload, and when it is to go.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import WebSocket, { WebSocketServer } from 'ws'
import { URL_, client, events, network, open, run, test, until } from './cases.mjs'

const ANN = { user: 'u_ann', role: 'couple' }
const databases = async (wedding) => (await indexedDB.databases()).map(({ name }) => name).filter((name) => name.includes(wedding))

test('what is written without a network arrives once, also after a reload', async (wedding) => {
  const road = await network()
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  const first = await open(wedding, ANN, { url: road.url, offline: true })
  first.guests.add({ id: 'g_1', firstName: 'Chloé' })
  await first.saved.whenSaved()
  road.cut()
  await until(first.status, ({ connection }) => connection === 'offline')
  first.guests.add({ id: 'g_2', firstName: 'Aroha' })
  first.guests.update('g_1', { meal: 'fish' })
  await first.close()

  const second = await open(wedding, ANN, { url: road.url, offline: true }) // without a network
  assert.deepEqual(second.guests.list().map(({ firstName, meal }) => [firstName, meal]), [['Chloé', 'fish'], ['Aroha', undefined]])
  assert.equal(second.saved.get().isSaved, false)
  second.guests.remove('g_1')
  road.mend()
  await second.saved.whenSaved()
  await until(bob.guests, (rows) => rows.length === 1 && rows[0].firstName === 'Aroha')
  assert.equal(bob.guests.get('g_1').meal, 'fish')
  await second.close()

  road.cut()
  const third = await open(wedding, ANN, { url: road.url, offline: true })
  assert.deepEqual([third.saved.get().isSaved, third.guests.list().length, third.person.role], [true, 1, 'couple'])
  road.close()
})

test('a copy is saved once all is confirmed, also where the answer to step 1 is still under way', async (wedding) => {
  class Unanswered extends WebSocket {
    emit (name, data, ...more) {
      const isAnswer = name === 'message' && this.url.includes('/guests') && data[0] === 0 && data[1] === 1
      return isAnswer || super.emit(name, data, ...more)
    }
  }
  const road = await network()
  const first = await open(wedding, ANN, { url: road.url, offline: true })
  road.cut()
  await until(first.status, ({ connection }) => connection === 'offline')
  first.guests.add({ firstName: 'Chloé' })
  await first.close()

  const second = await open(wedding, ANN, { url: road.url, offline: true, WebSocket: Unanswered })
  road.mend()
  await second.saved.whenSaved()
  await second.close()

  road.cut()
  const third = await open(wedding, ANN, { url: road.url, offline: true })
  assert.deepEqual([third.saved.get().isSaved, third.guests.list().length], [true, 1])
  road.close()
})

test('undo works on what was written without a network', async (wedding) => {
  const ann = await open(wedding)
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  ann.goOffline()
  const id = ann.guests.add({ firstName: 'Chloé' })
  ann.guests.update(id, { meal: 'fish' })
  assert.ok(ann.undo())
  ann.goOnline()
  await ann.saved.whenSaved()
  await until(bob.guests, ([row]) => row !== undefined && row.meal === undefined)
  assert.ok(ann.undo())
  await until(bob.guests, (rows) => rows.length === 0)
})

test('a message that is written without a network arrives once', async (wedding) => {
  const road = await network()
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  const first = await open(wedding, ANN, { url: road.url, offline: true })
  const thread = await first.threads.create({ title: 'Flowers', participants: ['u_bob'] })
  await first.threads.open(thread)
  await until(first.status, ({ isSynced }) => isSynced)
  road.cut()
  await until(first.status, ({ connection }) => connection === 'offline')
  const sent = await first.threads.send(thread, 'Peonies?')
  await first.close()
  const second = await open(wedding, ANN, { url: road.url, offline: true })
  const kept = await second.threads.open(thread)
  assert.deepEqual(kept.list().map(({ id, sequence }) => [id, sequence]), [[sent, undefined]])
  road.mend()
  await until(kept, ([message]) => message?.sequence !== undefined)
  assert.deepEqual((await bob.threads.open(thread)).list().map(({ id, body }) => [id, body]), [[sent, 'Peonies?']])
  road.close()
})

test('the text of a message that was taken back is in no copy', async (wedding) => {
  const stored = (name) => new Promise((resolve, reject) => {
    const opening = indexedDB.open(name)
    opening.onerror = () => reject(opening.error)
    opening.onsuccess = () => {
      const reading = opening.result.transaction('updates').objectStore('updates').getAll()
      reading.onsuccess = () => { opening.result.close(); resolve(Buffer.concat(reading.result).toString()) }
    }
  })
  const kept = async () => (await Promise.all((await databases(wedding)).filter((name) => name.includes('thread.')).map(stored))).join()
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' }, { offline: true })
  const ann = await open(wedding, ANN, { offline: true })
  const id = await ann.threads.create({ title: 'Rings', participants: ['u_bob'] })
  const [own, other] = [await ann.threads.open(id), await bob.threads.open(id)]
  const sent = own.send('Under the oak')
  await until(other, ([message]) => message?.body === 'Under the oak')
  assert.equal((await kept()).split('Under the oak').length, 3) // in both
  own.redact(sent)
  for (const thread of [own, other]) await until(thread, () => thread.part.map('messages').get(sent).body === '')
  await ann.saved.whenSaved()
  await Promise.all([ann.close(), bob.close()])
  assert.doesNotMatch(await kept(), /oak/)
})

test('a conversation is kept until it is forgotten', async (wedding) => {
  const [bob, ann] = [await open(wedding, { user: 'u_bob', role: 'planner' }), await open(wedding, ANN, { offline: true })]
  const id = await bob.threads.create({ title: 'Cake', participants: ['u_ann'] })
  await bob.threads.send(id, 'With berries?')
  await bob.saved.whenSaved()
  const thread = await ann.threads.open(id)
  await thread.whenSynced()
  assert.equal(thread.list().length, 1)
  const kept = async () => (await databases(wedding)).filter((name) => name.includes('thread.')).length
  assert.equal(await kept(), 1)
  ann.goOffline()
  await assert.rejects(thread.whenSynced(), { name: 'NotOpen' })
  await ann.threads.forget(id)
  assert.equal(await kept(), 0)
  await Promise.all([ann.close(), bob.close()])
})

test('signing out leaves nothing on the device', async (wedding) => {
  const ann = await open(wedding, ANN, { offline: true })
  ann.guests.add({ firstName: 'Chloé' })
  await ann.saved.whenSaved()
  assert.equal((await databases(wedding)).length, 6)
  await ann.signOut()
  assert.deepEqual(await databases(wedding), [])
  const road = await network()
  road.cut()
  const signal = AbortSignal.timeout(100)
  await assert.rejects(open(wedding, ANN, { url: road.url, offline: true, signal })) // there is nothing to open
  road.close()
})

test('who signs out in one tab stops nothing in another', async (wedding) => {
  const [one, two] = [await open(wedding, ANN, { offline: true }), await open(wedding, ANN, { offline: true })]
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  await two.note('ideas') // the other tab does not know of it
  await one.signOut()
  assert.deepEqual(await databases(wedding), [])
  for (const firstName of ['Chloé', 'Aroha']) two.guests.add({ firstName })
  assert.equal(two.saved.get().waiting, 2)
  await until(bob.guests, (rows) => rows.length === 2)
})

test('without room for a copy the wedding opens all the same', async (wedding) => {
  const whole = indexedDB.open
  indexedDB.open = function (name) {
    if (!name.includes(wedding)) return whole.call(this, name)
    const request = {}
    queueMicrotask(() => request.onerror({ target: { error: 'QuotaExceededError' } }))
    return request
  }
  const fails = new Set()
  const fail = (reason) => fails.add(reason.message) // y-indexeddb catches nothing
  process.on('unhandledRejection', fail)
  const ann = await open(wedding, ANN, { offline: true }).finally(() => { indexedDB.open = whole })
  ann.guests.add({ firstName: 'Chloé' })
  await ann.saved.whenSaved()
  process.off('unhandledRejection', fail)
  assert.deepEqual([...fails], ['QuotaExceededError'])
})

test('what answers as a hotel does is not kept', async (wedding) => {
  const hotel = createServer((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome</h1>'))
  await new Promise((resolve) => hotel.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${hotel.address().port}`
  await assert.rejects(open(wedding, ANN, { url, offline: true, signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' })
  assert.deepEqual(await databases(wedding), [])
  hotel.close()
})

test('a copy that was not used for too long goes, unless the server lacks what is in it', async (wedding) => {
  const [saved, other] = [wedding + 's', wedding + 'o']
  const one = await open(saved, ANN, { offline: { days: 0 } })
  one.guests.add({ firstName: 'Chloé' })
  await one.saved.whenSaved()
  await one.close()
  const two = await open(other, ANN, { offline: { days: 0 } })
  two.goOffline()
  two.guests.add({ firstName: 'Aroha' })
  await two.close()
  await open(wedding, ANN, { offline: true })
  assert.deepEqual(await databases(saved), [])
  const again = await open(other, ANN, { offline: { days: 0 } })
  assert.equal(again.guests.list()[0].firstName, 'Aroha')
  await again.saved.whenSaved()
})

test('what was set aside is there after a reload', async (wedding) => {
  const ann = await open(wedding, ANN, { offline: true })
  const id = ann.guests.add({ firstName: 'Chloé' })
  await ann.saved.whenSaved()
  const { doc } = ann.guests.text(id, 'note')
  const own = doc.clientID
  doc.clientID = 1
  ann.guests.update(id, { firstName: 'Mallory' })
  doc.clientID = own
  const [{ id: aside }] = await until(ann.setAside, (list) => list.length === 1)
  queueMicrotask(() => ann.guests.add({ firstName: 'Aroha' }))
  await until(ann.guests, (rows) => rows.map(({ firstName }) => firstName).sort().join() === 'Aroha,Chloé')
  await ann.saved.whenSaved()
  await ann.close()
  const again = await open(wedding, ANN, { offline: true })
  assert.equal(again.guests.get(id).firstName, 'Chloé') // the copy that was refused is not used again
  assert.equal(again.setAside.get()[0].rows.guests[id].firstName, 'Mallory')
  await again.setAside.discard(aside)
  await again.close()
  assert.deepEqual((await open(wedding, ANN, { offline: true })).setAside.get(), [])
})

test('a wedding that was erased is erased here, too', async (wedding) => {
  const before = await open(wedding, ANN, { offline: true })
  before.guests.add({ firstName: 'Chloé' })
  await before.saved.whenSaved()
  await before.close()
  // The server has no command that erases yet: this answers in its place, at the same address as the copy is for.
  const road = await network()
  const copy = await open(wedding, ANN, { url: road.url, offline: true })
  await copy.saved.whenSaved()
  const port = Number(new URL(road.url).port)
  await copy.close()
  await road.end()
  const erased = createServer((_, response) => response.writeHead(503).end())
  const sockets = new WebSocketServer({ server: erased })
  sockets.on('connection', (socket) => socket.close(4410, 'erased'))
  await new Promise((resolve) => erased.listen(port, '127.0.0.1', resolve))
  const ann = await open(wedding, ANN, { url: road.url, offline: true })
  await until(ann.status, ({ connection }) => connection === 'erased')
  await ann.close()
  erased.close()
  sockets.close()
  const names = await databases(wedding)
  assert.deepEqual(names.filter((name) => name.includes(String(port))), [])
})

test('two tabs of a device have one copy and hear of each other', async (wedding) => {
  const [one, two] = [await open(wedding, ANN, { offline: true }), await open(wedding, ANN, { offline: true })]
  const id = one.guests.add({ firstName: 'Chloé' })
  await until(two.guests, (rows) => rows.length === 1)
  two.guests.update(id, { meal: 'fish' })
  await two.saved.whenSaved()
  await until(one.guests, ([row]) => row.meal === 'fish')
  const rejected = events((listener) => one.onRejected(listener))
  assert.deepEqual(rejected.come, [])
})

test('a server that cannot be reached is waited for', async (wedding) => {
  const road = await network(URL_)
  road.cut()
  const opening = open(wedding, ANN, { url: road.url })
  road.mend()
  assert.equal((await opening).name, wedding)
  await assert.rejects(open('no name', ANN), client.ServerError)
  road.close()
})

test('events come once and in order, also over breaks of the network', async (wedding) => {
  const road = await network()
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  const ann = await open(wedding, ANN, { url: road.url })
  const all = []
  let wake = () => {}
  ann.feed.subscribe(({ seq }) => { all.push(seq); wake() }, { after: 0 })
  const timeline = events((listener) => ann.feed.subscribe(listener, { after: 0, types: ['timeline.item'] }))
  const write = async (number) => {
    bob.guests.add({ id: `g_${number}`, firstName: 'Guest' })
    bob.timeline.add({ id: `i_${number}`, title: 'Item', start: number })
    await bob.saved.whenSaved()
  }
  await write(1)
  assert.equal((await timeline.next()).record, 'i_1')
  road.cut()
  await until(ann.status, ({ connection }) => connection === 'offline')
  await write(2)
  road.mend()
  assert.equal((await timeline.next()).record, 'i_2')
  ann.goOffline()
  await write(3)
  ann.goOnline()
  assert.equal((await timeline.next()).record, 'i_3')

  const types = ['guest', 'timeline.item']
  const { events: kept, head, next } = await ann.feed.read({ types })
  assert.deepEqual([kept.length, next], [6, head])
  while (all.at(-1) !== head) await new Promise((resolve) => { wake = resolve })
  assert.deepEqual(all, Array.from({ length: head }, (_, index) => index + 1))
  assert.deepEqual((await ann.feed.read({ after: kept[1].seq, types: ['guest'], limit: 3 })).events.map(({ record }) => record).slice(0, 1), ['g_2'])
  await ann.close()
  await write(4)
  assert.deepEqual(timeline.come, [])
  road.close()
})

test('a feed goes on behind events that are gone, and ends where it is refused', async (wedding) => {
  const answers = [[410, { code: 'events_expired', after: 7 }], [500, {}], [200, 'id: 9\ndata: {"seq":9}\n\n: nothing new\n\nid: 11\n\n'], [403, { code: 'forbidden' }]]
  const asked = []
  const server = createServer((request, response) => {
    const [status, body] = answers.shift()
    asked.push(request.headers['last-event-id'])
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ann = await open(wedding)
  const expired = []
  const seen = []
  Object.defineProperty(ann.feed.api, 'base', { value: `http://127.0.0.1:${server.address().port}` })
  const error = await new Promise((resolve) => {
    ann.feed.subscribe(({ seq }) => seen.push(seq), { after: 3, onExpired: (after) => expired.push(after), onEnd: resolve })
  })
  assert.deepEqual([seen, expired, asked, error.code], [[9], [7], ['3', '7', '7', '11'], 'forbidden'])
  server.close()
})

await run()
