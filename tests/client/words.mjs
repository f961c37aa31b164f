// Each word of the package, by one or two people.
import assert from 'node:assert/strict'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { URL_, client, events, open, run, test, until } from './cases.mjs'

const pair = async (wedding) => {
  const ann = await open(wedding)
  const bob = await open(wedding, { user: 'u_bob', role: 'planner', name: 'Bob' })
  return [ann, bob]
}
const seen = (collection, id) => until(collection, (rows) => rows.some((row) => row.id === id))

test('a guest is added, changed, removed and restored', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const id = ann.guests.add({ firstName: 'Chloé', rsvp: { e_reception: 'yes' }, tags: { choir: true }, note: 'Sings.' })
  assert.match(id, /^g_[0-9a-z]{12}$/)
  await ann.saved.whenSaved()
  await seen(bob.guests, id)
  assert.deepEqual(bob.guests.get(id), { id, order: 'a0', firstName: 'Chloé', rsvp: { e_reception: 'yes' }, tags: { choir: true }, note: 'Sings.' })
  bob.guests.update(id, { rsvp: { e_reception: 'no' }, tags: { choir: null, band: true }, note: 'Sings loud.' })
  await until(ann.guests, ([row]) => row?.note === 'Sings loud.')
  assert.deepEqual(ann.guests.get(id).tags, { band: true })
  ann.guests.remove(id)
  await until(bob.guests, (rows) => rows.length === 0)
  assert.equal(bob.guests.removed()[0].deleted.by, 'u_ann')
  bob.guests.restore(id)
  await until(ann.guests, (rows) => rows.length === 1)
  assert.throws(() => ann.guests.update('g_none', {}), client.UnknownRecord)
})

test('rows and lists that have not changed are the same objects', async (wedding) => {
  const ann = await open(wedding)
  const [one, two] = [ann.guests.add({ firstName: 'One' }), ann.guests.add({ firstName: 'Two' })]
  const [list, row] = [ann.guests.list(), ann.guests.get(one)]
  assert.equal(ann.guests.list(), list)
  ann.guests.update(two, { firstName: 'Zwei' })
  assert.notEqual(ann.guests.list(), list)
  assert.equal(ann.guests.get(one), row)
  assert.ok(Object.isFrozen(row) && Object.isFrozen(list))
})

test('records have a place in their list and move in it', async (wedding) => {
  const ann = await open(wedding)
  const [a, b, c] = ['A', 'B', 'C'].map((name) => ann.budget.categories.add({ name }))
  const names = () => ann.budget.categories.list().map(({ name }) => name).join('')
  assert.equal(names(), 'ABC')
  ann.budget.categories.reorder(c, a)
  assert.equal(names(), 'ACB')
  ann.budget.categories.reorder(b, null)
  assert.equal(names(), 'BAC')
  for (let turn = 0; turn < 40; turn++) ann.budget.categories.reorder([a, b, c][turn % 3], [b, c, a][turn % 3])
  const rejected = events((listener) => ann.onRejected(listener))
  await ann.saved.whenSaved()
  assert.deepEqual(rejected.come, [])
})

test('guests are seated and exchange their seats', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const table = ann.seating.tables.add({ label: '4', capacity: 8 })
  const [one, two] = [ann.guests.add({ firstName: 'One' }), ann.guests.add({ firstName: 'Two' })]
  ann.seating.place(one, table, 2)
  ann.seating.place(two, table)
  await until(bob.seating.seats, (rows) => rows.length === 2)
  bob.seating.swap(one, two)
  await until(ann.seating.seats, () => ann.seating.seats.get(two)?.seat === 2)
  assert.equal(ann.seating.seats.get(one).seat, null)
  ann.seating.unseat(one)
  ann.seating.swap(one, two)
  assert.deepEqual(ann.seating.seats.list().map(({ id }) => id), [one])
  ann.seating.lock(table)
  assert.equal(ann.seating.tables.get(table).locked.by, 'u_ann')
})

test('the running order moves, and an emergency is acknowledged', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const ceremony = ann.timeline.add({ title: 'Ceremony', start: 900, duration: 40 })
  const portraits = ann.timeline.add({ title: 'Portraits', start: 800, duration: 30, after: { [ceremony]: 10 } })
  ann.timeline.move(portraits, { behind: ceremony })
  assert.equal(ann.timeline.get(portraits).start, 950)
  ann.timeline.move(portraits, { by: 5 })
  ann.timeline.move(ceremony, 1000)
  assert.deepEqual(ann.timeline.list().map(({ title }) => title), ['Portraits', 'Ceremony'])
  const storm = ann.timeline.raise({ kind: 'weather', text: 'Thunder at four' })
  await seen(bob.timeline.emergencies, storm)
  bob.timeline.acknowledge(storm)
  await until(ann.timeline.emergencies, ([row]) => row.acknowledgedBy?.u_bob !== undefined)
})

test('payments are recorded, voided and approved', async (wedding) => {
  const ann = await open(wedding)
  ann.budget.limits.update({ limit: 4500000, mustApproveOver: 200000 })
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  const album = bob.budget.add({ name: 'Album', quoted: 320000 })
  const payment = bob.budget.pay(album, 100000, { on: '2026-01-15' })
  await seen(ann.budget.payments, payment)
  assert.deepEqual(ann.budget.payments.get(payment), { id: payment, item: album, amount: 100000, on: '2026-01-15', kind: 'deposit' })
  ann.budget.void(payment, 'entered twice')
  assert.equal(ann.budget.voids.get(payment).reason, 'entered twice')
  const [approval] = await until(ann.budget.approvals, (rows) => rows.length === 1)
  assert.equal(approval.state, 'pending')
  ann.budget.approve(approval.id)
  await until(bob.budget.approvals, ([row]) => row?.state === 'approved')
  assert.throws(() => ann.budget.pay('b_none', 1), client.UnknownRecord)
})

test('a batch is one transaction of each document and one step back', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  let changes = -1 // the first call comes at once
  bob.guests.subscribe(() => { changes += 1 })
  const ids = ann.batch(() => {
    const household = ann.households.add({ name: 'O’Brien' })
    ann.timeline.add({ title: 'Toast', start: 1100 })
    return ['A', 'B', 'C'].map((firstName) => ann.guests.add({ firstName, household }))
  })
  assert.equal(ann.saved.get().waiting, 2)
  await until(bob.guests, (rows) => rows.length === ids.length)
  assert.equal(changes, 1)
  assert.equal(ann.undo(), true)
  await until(bob.guests, (rows) => rows.length === 0)
  await until(bob.timeline, (rows) => rows.length === 0)
  assert.throws(() => ann.batch(async () => {}), TypeError)
})

test('undo takes back what was written here and nothing else', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const id = ann.guests.add({ firstName: 'Chloé', note: 'one 😀 three' })
  await seen(bob.guests, id)
  ann.guests.update(id, { meal: 'fish' })
  ann.guests.update(id, { note: 'one 😁 three' })
  await until(bob.guests, ([row]) => row.note === 'one 😁 three')
  bob.guests.update(id, { lastName: 'Brown', note: 'one 😁 three four' })
  await until(ann.guests, ([row]) => row.note.endsWith('four'))
  assert.deepEqual(ann.undoable.get(), { canUndo: true, canRedo: false })
  assert.ok(ann.undo())
  assert.equal(ann.guests.get(id).note, 'one 😀 three four')
  assert.ok(ann.undo())
  assert.equal(ann.guests.get(id).meal, undefined)
  assert.ok(ann.undo())
  await until(bob.guests, (rows) => rows.length === 0)
  assert.equal(bob.guests.removed()[0].deleted.by, 'u_ann')
  assert.equal(ann.undo(), false)
  for (let turn = 0; turn < 3; turn++) assert.ok(ann.redo())
  assert.equal(ann.redo(), false)
  const [row] = await until(bob.guests, ([row]) => row?.meal === 'fish' && row.note.includes('😁'))
  assert.equal(row.lastName, 'Brown')
})

test('undoing what somebody else wrote over does nothing', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const id = ann.guests.add({ firstName: 'Chloé' })
  ann.guests.update(id, { meal: 'fish' })
  await until(bob.guests, ([row]) => row?.meal === 'fish')
  bob.guests.update(id, { meal: 'beef' })
  await until(ann.guests, ([row]) => row.meal === 'beef')
  assert.equal(ann.undo(), false)
  assert.equal(ann.guests.get(id).meal, 'beef')
})

test('undoing what the server undid does nothing', async (wedding) => {
  const ann = await open(wedding)
  const id = ann.guests.add({ firstName: 'Chloé', meal: 'fish' })
  const rejected = events((listener) => ann.onRejected(listener))
  ann.guests.update(id, { meal: 'two words' })
  await rejected.next()
  assert.equal(ann.undo(), false)
  assert.equal(ann.guests.get(id).meal, 'fish')
  await ann.saved.whenSaved()
  assert.deepEqual(rejected.come, [])
})

test('undoing a payment voids it, and a restored guest is removed in ones own name', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const item = ann.budget.add({ name: 'Album' })
  const payment = ann.budget.pay(item, 5)
  assert.ok(ann.undo())
  assert.equal(ann.budget.voids.get(payment).by, 'u_ann')
  assert.ok(ann.redo())
  assert.equal(ann.budget.voids.get(payment), undefined)
  const guest = bob.guests.add({ firstName: 'Chloé' })
  bob.guests.remove(guest)
  await until(ann.guests, () => ann.guests.get(guest)?.deleted !== undefined)
  ann.guests.restore(guest)
  assert.ok(ann.undo())
  assert.equal(ann.guests.get(guest).deleted.by, 'u_ann')
})

test('a rejected write says what was written and what stands', async (wedding) => {
  const ann = await open(wedding)
  const id = ann.guests.add({ firstName: 'Chloé', rsvp: { e_reception: 'yes' } })
  const rejected = events((listener) => ann.onRejected(listener))
  ann.guests.update(id, { rsvp: { e_reception: 'perhaps' } })
  const { reason, ...notice } = await rejected.next()
  assert.deepEqual(notice, {
    document: 'guests', collection: 'guests.guests', record: id, field: 'rsvp.e_reception', rule: 'choice', written: 'perhaps', stands: 'yes'
  })
  assert.match(reason, /pending/)
  ann.guests.update(id, { mael: 'fish' }) // a typo
  assert.equal((await rejected.next()).rule, 'unknown_key')
  ann.guests.update(id, { meal: 'fish' }) // and on it goes
  await ann.saved.whenSaved()
  assert.equal(ann.guests.get(id).meal, 'fish')
  assert.equal(ann.guests.get(id).mael, undefined)
  assert.deepEqual(client.problemsIn('guests.guests', { mael: 'fish', meal: 'two words', rsvp: { e_1: 'perhaps' } }).map(({ field, rule }) => [field, rule]),
    [['mael', 'unknown_key'], ['meal', 'format'], ['rsvp.e_1', 'choice']])
})

test('conflicts are told in words and decided', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  ann.details.update({ currency: 'GBP', locale: 'en-GB' })
  const item = ann.timeline.add({ title: 'Ceremony', start: 900, duration: 40 })
  await seen(bob.timeline, item)
  await ann.saved.whenSaved()
  ann.goOffline()
  ann.timeline.move(item, 930)
  bob.timeline.move(item, 960)
  await bob.saved.whenSaved()
  ann.goOnline()
  const settled = () => ann.conflicts.list('auto')
  await until(ann.conflicts, () => settled().length === 1)
  const [conflict] = settled()
  assert.deepEqual(conflict.about, [{ collection: 'timeline.items', record: item, field: 'start', label: 'Ceremony' }])
  assert.deepEqual(conflict.people.map(({ user, isYou, wrote }) => [user, isYou, wrote]).sort(), [['u_ann', true, '15:30'], ['u_bob', false, '16:00']])
  assert.ok(conflict.canUndo && conflict.options.length > 0)
  const other = conflict.options.find(({ text }) => text.includes('960') || text.includes('16:00')) ?? conflict.options[0]
  ann.conflicts.choose(conflict.id, other.id)
  await until(bob.conflicts, () => bob.conflicts.list('resolved').length === 1)
  assert.throws(() => ann.conflicts.choose(conflict.id, 77), RangeError)
})

test('a seat that two have is shown with its table', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  ann.details.update({ 'strategy': { S1: 'manual_review' } })
  const table = ann.seating.tables.add({ label: '4', capacity: 8 })
  const [one, two] = [ann.guests.add({ firstName: 'One' }), ann.guests.add({ firstName: 'Two' })]
  await until(bob.seating.tables, (rows) => rows.length === 1)
  ann.goOffline() // a conflict of what was written apart is not waited for
  ann.seating.place(one, table, 2)
  bob.seating.place(two, table, 2)
  await bob.saved.whenSaved()
  ann.goOnline()
  const [conflict] = await until(bob.conflicts, (list) => list.some(({ kind }) => kind === 'S1'))
  assert.deepEqual(conflict.people.map(({ wrote }) => wrote), ['table 4, seat 3', 'table 4, seat 3'])
  assert.deepEqual(conflict.about.map(({ label }) => label).sort(), ['One', 'Two'])
})

test('people see each other and where they are', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  bob.presence.set({ section: 'guests', at: { collection: 'guests.guests', record: 'g_1', field: 'meal' }, color: '#112233', typing: true })
  const [{ key, ...person }] = await until(ann.presence, ([person]) => person?.at && person.typing && person.color === '#112233')
  assert.ok(key)
  assert.deepEqual(person, {
    user: 'u_bob', name: 'Bob', role: 'planner', color: '#112233', section: 'guests', typing: true, zone: undefined, battery: undefined,
    at: { collection: 'guests.guests', record: 'g_1', field: 'meal' }
  })
  bob.presence.set({ at: null, typing: null })
  await until(ann.presence, ([person]) => person?.at === undefined && !person?.typing)
  await bob.close()
  await until(ann.presence, (people) => people.length === 0)
})

test('nobody takes the place of somebody else', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  bob.presence.set({ section: 'guests' })
  const [{ key }] = await until(ann.presence, ([person]) => person?.section === 'guests')
  const params = { user: 'u_eve', role: 'planner' }
  const eve = new WebsocketProvider(`${URL_.replace('http', 'ws')}/ws/${wedding}`, 'guests', new Y.Doc(), { WebSocketPolyfill: WebSocket, params, disableBc: true })
  eve.awareness.setLocalState({ user: { id: 'u_eve' }, tab: key.match(/\w{16}/)[0] })
  const people = await until(ann.presence, ({ length }) => length === 2)
  assert.deepEqual(people.map(({ user }) => user).sort(), ['u_bob', 'u_eve'])
  eve.destroy()
})

test('messages are sent, read in order, taken back and reacted to', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  await ann.call('POST', 'members', { body: { user: 'u_bob', role: 'planner' } }) // members are informed
  const reached = new Promise((resolve) => { bob.onInbox(resolve) })
  const thread = await ann.threads.create({ title: 'Flowers', participants: ['u_bob'] })
  await reached
  const first = await ann.threads.send(thread, 'Is the oak still standing?')
  const [at, bobs] = [await ann.threads.open(thread), await bob.threads.open(thread)]
  await until(at, ([message]) => message?.sequence !== undefined)
  const second = bobs.send('It is.', { inReplyTo: first })
  for (const emoji of ['🌳', 'constructor']) bobs.react(first, emoji)
  const list = await until(at, (messages) => messages.length === 2 && messages[1].sequence !== undefined && messages[0].reactions['🌳'])
  assert.deepEqual(list.map(({ id, from, body }) => [id, from, body]), [[first, 'u_ann', 'Is the oak still standing?'], [second, 'u_bob', 'It is.']])
  await at.markRead()
  at.redact(first)
  await until(bobs, ([message]) => message.isRedacted && message.body === '')
  assert.equal((await bob.threads.list())[0].title, 'Flowers')
  at.close()
})

test('status and receipt say what waits', async (wedding) => {
  const ann = await open(wedding)
  assert.deepEqual(ann.saved.get(), { isSaved: true, waiting: 0 })
  await until(ann.status, ({ connection, isSynced }) => connection === 'online' && isSynced)
  ann.goOffline()
  assert.equal(ann.status.get().connection, 'offline')
  ann.guests.add({ firstName: 'A' })
  ann.guests.add({ firstName: 'B' })
  assert.deepEqual(ann.saved.get(), { isSaved: false, waiting: 2 })
  assert.deepEqual(ann.saved.byDocument(), { guests: 2 })
  ann.goOnline()
  await ann.saved.whenSaved()
  assert.deepEqual(ann.saved.get(), { isSaved: true, waiting: 0 })
  ann.goOffline()
  ann.guests.add({ firstName: 'C' })
  const waiting = ann.saved.whenSaved()
  await Promise.all([assert.rejects(waiting, client.Closed), ann.close()])
  assert.equal(ann.status.get().connection, 'closed')
})

test('a copy that is refused for good is set aside and fetched anew', async (wedding) => {
  const ann = await open(wedding)
  const id = ann.guests.add({ firstName: 'Chloé' })
  await ann.saved.whenSaved()
  const { doc } = ann.guests.text(id, 'note')
  const own = doc.clientID
  doc.clientID = 1 // that of the server
  ann.guests.update(id, { firstName: 'Mallory' })
  doc.clientID = own
  const [aside] = await until(ann.setAside, (list) => list.length === 1)
  assert.deepEqual([aside.code, aside.document, aside.unsaved, aside.rows.guests[id].firstName], [4409, 'guests', 1, 'Mallory'])
  await until(ann.guests, ([row]) => row?.firstName === 'Chloé')
  const saved = JSON.parse(await ann.setAside.download(aside.id).text())
  assert.equal(saved.rows.guests[id].firstName, 'Mallory')
  assert.ok(Buffer.from(saved.update, 'base64').length > 20)
  assert.equal(ann.undo(), false)
  ann.guests.update(id, { firstName: 'Cleo' })
  await ann.saved.whenSaved()
  const bob = await open(wedding, { user: 'u_bob', role: 'planner' })
  assert.equal(bob.guests.get(id).firstName, 'Cleo')
  await ann.setAside.discard(aside.id)
  assert.deepEqual(ann.setAside.get(), [])
})

test('the plan of another event and a note are opened when they are needed', async (wedding) => {
  const [ann, bob] = await pair(wedding)
  const brunch = await ann.seatingOf('e_brunch')
  brunch.place('g_1', brunch.tables.add({ label: 'Long' }), 1)
  const same = await bob.seatingOf('e_brunch')
  await until(same.seats, ([seat]) => seat?.seat === 1)
  const [mine, theirs] = [await ann.note('ideas'), await bob.note('ideas')]
  const arrived = new Promise((resolve) => theirs.doc.getText('text').observe(resolve))
  mine.doc.getText('text').insert(0, 'Peonies')
  await arrived
  assert.equal(String(theirs.doc.getText('text')), 'Peonies')
  mine.close()
})

await run()
