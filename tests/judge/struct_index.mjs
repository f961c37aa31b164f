// Three people and a server that hears of their edits late. For each seed one JSON line: a list of deliveries, each
// {update, state}. State: the newest item of every key on the server as Yjs has it, "root|record|key" -> [client, clock,
// is there, value]; keys of records only while the record is there. Last, the whole state of the server as `full`.
//   node items.mjs <first seed> <seeds>
import * as Y from 'yjs'

const chance = seed => () => {
  seed = (seed + 0x6D2B79F5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const hex = update => Buffer.from(update).toString('hex')

const play = seed => {
  const random = chance(seed)
  const below = n => Math.floor(random() * n)
  const pick = list => list[below(list.length)]
  let counter = 0

  const document = clientID => {
    const doc = new Y.Doc({ gc: random() < 0.7 })
    doc.clientID = clientID
    return doc
  }
  const ids = [11, 12, 13, 4000000001, 2 ** 40].sort(() => random() - 0.5).slice(0, 3)
  const server = document(1)
  const people = ids.map(document)
  const undos = people.map(doc => new Y.UndoManager([doc.getMap('guests'), doc.getMap('meta')], { captureTimeout: 0 }))
  const unsent = people.map(() => [])
  people.forEach((doc, i) => doc.on('update', (update, origin) => { if (origin !== 'server') unsent[i].push(update) }))

  const plain = () => pick([++counter, `v${++counter}`, true, [++counter], { n: ++counter }, null])
  const wrong = () => pick([
    () => new Y.Map([['a', ++counter]]), () => Y.Array.from([1, new Y.Map([['b', 1]])]), () => new Y.Text('stray'),
    () => new Uint8Array([++counter & 255])
  ])()
  const record = () => {
    const fields = new Y.Map()
    if (random() < 0.7) fields.set('name', plain())
    if (random() < 0.7) fields.set('note', new Y.Text('hello'))
    if (random() < 0.2) { fields.set('name', plain()); fields.set('name', plain()) }
    return fields
  }
  const keys = ['name', 'phone', 'side']
  const write = (map, key) => {
    const kind = random()
    if (kind < 0.2) map.delete(key)
    else map.set(key, kind < 0.3 ? wrong() : plain())
  }
  const whole = (text, at) => text.toString().codePointAt(at - 1) > 0xffff ? at + 1 : at // not inside of a character
  const type = text => {
    const at = whole(text, below(text.length + 1))
    const kind = random()
    if (kind < 0.5) text.insert(at, pick(['a', 'bc', '👰🏽', 'é']))
    else if (kind < 0.8) text.delete(at, whole(text, Math.min(at + 2, text.length)) - at)
    else text.format(0, text.length, { bold: random() < 0.5 || null })
  }
  const edit = (doc, undo) => {
    const guests = doc.getMap('guests')
    const id = pick(['g1', 'g2', 'g3'])
    const guest = guests.get(id)
    const kind = random()
    if (kind < 0.08) guests.set(id, record())
    else if (kind < 0.12) guests.delete(id)
    else if (kind < 0.14) guests.set(id, wrong())
    else if (kind < 0.6) { if (guest instanceof Y.Map) write(guest, pick(keys)); else guests.set(id, record()) }
    else if (kind < 0.65) { if (guest instanceof Y.Map) guest.set('note', new Y.Text('new')) }
    else if (kind < 0.75) { if (guest instanceof Y.Map && guest.get('note') instanceof Y.Text) type(guest.get('note')) }
    else if (kind < 0.82) write(doc.getMap('meta'), pick(keys))
    else if (kind < 0.89) write(doc.getMap('seats'), pick(['s1', 's2']))
    else if (kind < 0.94) type(doc.getText('remarks'))
    else pick([() => undo.undo(), () => undo.redo()])()
  }

  const shown = item => {
    const value = item.content.getContent()[item.length - 1]
    if (value instanceof Y.AbstractType) return 'shared type'
    return value instanceof Uint8Array ? [...value] : value
  }
  const row = item => {
    const last = item.lastId
    return item.deleted ? [last.client, last.clock, false] : [last.client, last.clock, true, shown(item)]
  }
  const state = () => {
    const found = {}
    server.getMap('meta')._map.forEach((item, key) => { found[`meta||${key}`] = row(item) })
    server.getMap('seats')._map.forEach((item, id) => { found[`seats|${id}|`] = row(item) })
    server.getMap('guests')._map.forEach((item, id) => {
      found[`guests|${id}|`] = row(item)
      const guest = item.deleted ? null : server.getMap('guests').get(id)
      if (guest instanceof Y.Map) guest._map.forEach((inner, key) => { found[`guests|${id}|${key}`] = row(inner) })
    })
    return found
  }

  const deliveries = []
  const hear = update => {
    Y.applyUpdate(server, update)
    deliveries.push({ update: hex(update), state: state() })
  }
  const send = i => {
    if (!unsent[i].length) return
    const kind = random()
    if (kind < 0.4) unsent[i].forEach(hear)
    else if (kind < 0.7) hear(Y.mergeUpdates(unsent[i]))
    else hear(Y.encodeStateAsUpdate(people[i], random() < 0.5 ? Y.encodeStateVector(server) : undefined))
    unsent[i] = []
  }
  for (let step = 0; step < 60; step++) {
    const i = below(people.length)
    const kind = random()
    if (kind < 0.7) people[i].transact(() => { for (let n = 1 + below(3); n; n--) edit(people[i], undos[i]) }, undos[i])
    else if (kind < 0.85) send(i)
    else {
      send(i)
      Y.applyUpdate(people[i], Y.encodeStateAsUpdate(server, Y.encodeStateVector(people[i])), 'server')
    }
  }
  people.forEach((_, i) => send(i))
  return { deliveries, full: hex(Y.encodeStateAsUpdate(server)) }
}

const [first, seeds] = process.argv.slice(2).map(Number)
for (let seed = first; seed < first + seeds; seed++) console.log(JSON.stringify(play(seed)))
