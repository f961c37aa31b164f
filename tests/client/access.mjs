// Tokens: who may what, the next token, and people who are not let in.
import assert from 'node:assert/strict'
import WebSocket, { WebSocketServer } from 'ws'
import { URL_, client, events, network, open, run, test, token, until } from './cases.mjs'

const as = (wedding, sub, role, more = {}, seconds = 600) => token({ sub, wedding, role, ...more }, seconds)
const couple = (wedding) => open(wedding, undefined, { token: as(wedding, 'u_ann', 'couple', { name: 'Ann' }) })

test('a token is renewed before it expires, and nothing is lost meanwhile', async (wedding) => {
  const given = []
  const getToken = () => {
    given.push(as(wedding, 'u_ann', 'couple', {}, given.length === 0 ? 4 : 600))
    return given.at(-1)
  }
  const ann = await open(wedding, undefined, { getToken })
  assert.equal(ann.person.user, 'u_ann')
  const closed = events((listener) => ann.status.subscribe(({ connection }) => { if (connection !== 'online') listener(connection) }))
  await until(ann.status, ({ connection }) => connection === 'online')
  closed.come.length = 0
  ann.guests.add({ id: 'g_1', firstName: 'Chloé' })
  await closed.next() // the server has closed the sockets of the first token
  assert.equal(given.length, 2)
  ann.guests.add({ id: 'g_2', firstName: 'Aroha' })
  await until(ann.status, ({ connection }) => connection === 'online')
  await ann.saved.whenSaved()
  const other = await couple(wedding)
  assert.deepEqual(other.guests.list().map(({ firstName }) => firstName), ['Chloé', 'Aroha'])
})

test('without another token one is signed out, and goes on with the next', async (wedding) => {
  const ann = await open(wedding, undefined, { token: as(wedding, 'u_ann', 'couple', {}, 2) })
  const { reason } = await until(ann.status, ({ connection }) => connection === 'signed_out')
  assert.match(reason, /token/)
  ann.guests.add({ firstName: 'Chloé' })
  assert.equal(ann.saved.get().isSaved, false)
  await ann.renew(as(wedding, 'u_ann', 'couple'))
  await ann.saved.whenSaved()
  assert.equal(ann.status.get().reason, '')
  await ann.close()
  await assert.rejects(ann.renew(as(wedding, 'u_bob', 'couple')), client.Closed)
  assert.equal(ann.status.get().connection, 'closed')
})

test('a token that is refused is not given twice', async (wedding) => {
  let calls = 0
  const getToken = () => { calls += 1; return token({ sub: 'u_ann', wedding, role: 'couple' }, -10) }
  await assert.rejects(open(wedding, undefined, { getToken }), (error) => error instanceof client.ServerError && error.status === 401)
  assert.ok(calls <= 3)
  await assert.rejects(open(undefined), TypeError) // no wedding of the name `undefined`
  await assert.rejects(open(wedding, undefined, { token: as('elsewhere', 'u_ann', 'couple') }), (error) => error.status === 403)
})

test('a token that is about to expire is not asked for in a loop where there is no newer one', async (wedding) => {
  const only = as(wedding, 'u_ann', 'couple', {}, 2)
  const calls = []
  await new Promise((resolve, reject) => {
    const getToken = () => {
      if (calls.push(performance.now()) === 3) resolve()
      return only
    }
    open(wedding, undefined, { getToken }).then((ann) => ann.goOffline(), reject)
  })
  const [, one, two] = calls
  assert.ok(two - one > 900, String(calls))
})

test('without a network and a token the copy of the last person opens, and never as somebody else', async (wedding) => {
  const road = await network()
  let giving = () => as(wedding, 'u_ann', 'couple')
  const getToken = async () => giving()
  const before = await open(wedding, undefined, { url: road.url, getToken, offline: true })
  before.guests.add({ id: 'g_1', firstName: 'Chloé' })
  await before.saved.whenSaved()
  await before.close()
  road.cut()
  giving = () => { throw new Error('no network') }
  const ann = await open(wedding, undefined, { url: road.url, getToken, offline: true })
  assert.equal(ann.person.user, 'u_ann')
  ann.guests.update('g_1', { meal: 'fish' })
  giving = () => as(wedding, 'u_bob', 'planner')
  road.mend()
  const { reason } = await until(ann.status, ({ connection }) => connection === 'signed_out')
  assert.equal(ann.saved.get().isSaved, false)
  assert.match(reason, /another person/)
  await ann.renew(as(wedding, 'u_ann', 'couple'))
  await ann.saved.whenSaved()
  road.close()
})

test('what a role may not write is rejected, and known before', async (wedding) => {
  const ann = await couple(wedding)
  const album = ann.budget.add({ name: 'Album' })
  ann.guests.add({ id: 'g_1', firstName: 'Chloé' })
  await ann.saved.whenSaved()
  const cora = await open(wedding, undefined, { token: as(wedding, 'u_cora', 'coordinator') })
  assert.equal(cora.budget.isOpen, false)
  assert.deepEqual(cora.budget.list(), [])
  assert.throws(() => cora.budget.add({ name: 'x' }), client.NotOpen)
  assert.equal(cora.guests.mayWrite('g_1', 'checkedIn'), true)
  assert.equal(cora.guests.mayWrite('g_1', 'firstName'), false)
  const rejected = events((listener) => cora.onRejected(listener))
  cora.guests.update('g_1', { firstName: 'Cleo' })
  const { collection, record, field, rule, written, stands } = await rejected.next()
  assert.deepEqual({ collection, record, field, rule, written, stands }, {
    collection: 'guests.guests', record: 'g_1', field: 'firstName', rule: 'server_only', written: 'Cleo', stands: 'Chloé'
  })
  cora.guests.update('g_1', { checkedIn: { at: cora.now(), by: 'u_cora' } })
  await until(ann.guests, ([row]) => row.checkedIn?.by === 'u_cora')
  assert.ok(ann.budget.get(album))
})

test('a guest opens what is derived for guests', async (wedding) => {
  const ann = await couple(wedding)
  ann.details.update({ title: 'Ann & Bo', currency: 'GBP' })
  ann.guests.add({ id: 'g_1', firstName: 'Chloé', note: 'A secret' })
  ann.guests.add({ id: 'g_2', firstName: 'Other' })
  await ann.saved.whenSaved()
  const chloe = await open(wedding, undefined, { token: as(wedding, 'u_chloe', 'guest', { guest: 'g_1' }) })
  await until(chloe.guests, (rows) => rows.length === 1)
  assert.equal(chloe.details.get().title, 'Ann & Bo')
  assert.equal(chloe.guests.get('g_1').note, undefined)
  assert.equal(chloe.seating.tables.isOpen, false)
  assert.equal(chloe.guests.mayWrite('g_1', 'rsvp'), true)
  chloe.guests.update('g_1', { rsvp: { e_reception: 'yes' }, meal: 'fish' })
  await until(ann.guests, () => ann.guests.get('g_1').rsvp?.e_reception === 'yes')
  assert.equal(ann.guests.get('g_1').meal, 'fish')
})

test('who is taken out of the wedding is shut out, and comes back as somebody else', async (wedding) => {
  const ann = await couple(wedding)
  await ann.call('POST', 'members', { body: { user: 'u_pat', role: 'planner', name: 'Pat' } })
  const pat = await open(wedding, undefined, { token: token({ sub: 'u_pat', wedding }) })
  assert.equal(pat.person.role, 'planner')
  assert.equal(pat.guests.isOpen, true)
  const rights = events((listener) => pat.onRights(listener))
  await ann.call('PATCH', 'members/u_pat', { body: { role: 'wedding_party' } })
  assert.equal((await rights.next()).role, 'wedding_party')
  await until(pat.guests, () => pat.person.role === 'wedding_party')
  assert.equal(pat.budget.isOpen, false)
  await ann.call('DELETE', 'members/u_pat')
  await until(pat.status, ({ connection }) => connection === 'forbidden')
})

// Waits of the package take no time here, and are noted.
test('documents that the server names as open and shuts are asked for again, each time later', async (wedding) => {
  const WAITS = [1000, 2000, 5000, 10_000]
  const waits = []
  const server = new WebSocketServer({ port: 0 })
  let isShut = true
  const shut = new Map([['guests', 0], ['budget', 0]])
  class Shut extends WebSocket {
    constructor (url, ...more) {
      const name = new URL(url).pathname.split('/').at(-1)
      const isRefused = isShut && shut.has(name)
      if (isRefused) shut.set(name, shut.get(name) + 1)
      super(isRefused ? `ws://127.0.0.1:${server.address().port}` : url, ...more)
    }
  }
  server.on('connection', (socket) => socket.close(4403, 'forbidden'))
  const { setTimeout } = globalThis
  globalThis.setTimeout = (work, ms, ...more) => {
    if (!WAITS.includes(ms)) return setTimeout(work, ms, ...more)
    waits.push(ms)
    if (waits.length === WAITS.length) isShut = false
    return setTimeout(work, 0, ...more)
  }
  try {
    const ann = await open(wedding, undefined, { token: as(wedding, 'u_ann', 'couple'), WebSocket: Shut })
    await until(ann.status, ({ connection }) => connection === 'online')
    ann.guests.add({ firstName: 'Chloé' })
    ann.budget.add({ name: 'Candles' })
    await ann.saved.whenSaved()
  } finally {
    globalThis.setTimeout = setTimeout
    server.close()
  }
  assert.deepEqual(waits.slice(0, 4), WAITS)
  assert.ok(Math.min(...shut.values()) > 1, JSON.stringify([...shut]))
})

test('a code signs in, weddings are listed, and each refresh token is kept', async (wedding) => {
  const ann = await couple(wedding)
  await ann.call('POST', 'members', { body: { user: 'u_ann', role: 'couple' } })
  const { code } = await ann.call('POST', 'invitations', { body: { user: 'u_mia', role: 'planner', name: 'Mia' } })
  const kept = []
  const onRefreshToken = (token) => kept.push(token)
  const mia = await client.signIn(URL_, { code }, { device: 'phone', onRefreshToken })
  assert.deepEqual([mia.wedding, mia.user, mia.role], [wedding, 'u_mia', 'planner'])
  await assert.rejects(client.signIn(URL_, { code }), ({ status }) => status === 401)
  const again = await client.signIn(URL_, { refreshToken: kept[0] }, { onRefreshToken })
  assert.equal(kept.length, 2)
  const opened = await open(wedding, undefined, { getToken: again.getToken })
  assert.equal(opened.person.name, 'Mia')
  ann.details.update({ title: 'Ann & Chloé' })
  await ann.saved.whenSaved()
  assert.deepEqual(await client.listWeddings(URL_, { getToken: again.getToken }), [{ wedding, role: 'planner', title: 'Ann & Chloé' }])
  await assert.rejects(client.listWeddings(URL_, { token: 'nonsense' }), ({ status }) => status === 401)
})

await run()
