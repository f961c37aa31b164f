// Writes tests/data/corpus/yjs-*.json: updates made by Yjs, with what Yjs itself reads in them.
//   node tests/data/make_corpus.mjs [directory]     (with yjs installed; the result is the same every time)
// Each file: {about, refused?, updates: [{hex, ranges, skips, requires, deletes}]} with ranges as [client, first, next].
import * as fs from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import * as Y from 'yjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const target = process.argv[2] ?? path.join(here, 'corpus')
fs.mkdirSync(target, { recursive: true })

const hex = bytes => Buffer.from(bytes).toString('hex')

/** The answer our reader is held against, from Yjs' own decoder. */
const read = update => {
  const { structs, ds } = Y.decodeUpdate(update)
  const ranges = []
  const skips = []
  const requires = {}
  let last = null
  for (const struct of structs) {
    const { client, clock } = struct.id
    const next = clock + struct.length
    if (struct instanceof Y.Skip) {
      skips.push([client, clock, next])
      last = null
      continue
    }
    if (last !== null && last[0] === client && last[2] === clock) last[2] = next
    else ranges.push(last = [client, clock, next])
    if (struct instanceof Y.GC) continue
    for (const id of [struct.origin, struct.rightOrigin, struct.parent]) {
      if (id instanceof Y.ID && id.client !== client) requires[id.client] = Math.max(requires[id.client] ?? 0, id.clock + 1)
    }
  }
  const deletes = []
  ds.clients.forEach((items, client) => items.forEach(({ clock, len }) => deletes.push([client, clock, clock + len])))
  return { hex: hex(update), ranges, skips, requires, deletes }
}

const write = (name, about, updates, refused = undefined) => {
  const rows = updates.map(update => '  ' + JSON.stringify(refused ? { hex: hex(update) } : read(update)))
  const head = JSON.stringify({ about, refused }).slice(0, -1)
  fs.writeFileSync(path.join(target, `yjs-${name}.json`), `${head}, "updates": [\n${rows.join(',\n')}\n]}\n`)
}

const document = (clientID, options = {}) => {
  const doc = new Y.Doc({ guid: `guid-${clientID}`, ...options })
  doc.clientID = clientID
  return doc
}

/** Records each update of `edit(doc)` and the full state at its end. */
const record = (name, about, edit, { clientID = 3123456789, options = {}, refused } = {}) => {
  const doc = document(clientID, options)
  const updates = []
  doc.on('update', update => updates.push(update))
  edit(doc)
  updates.push(Y.encodeStateAsUpdate(doc))
  write(name, about, updates, refused)
}

/** A small generator of numbers, so that every run makes the same edits. */
const dice = seed => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

const exchange = docs => {
  for (const from of docs) {
    for (const to of docs) {
      if (from !== to) Y.applyUpdate(to, Y.encodeStateAsUpdate(from, Y.encodeStateVector(to)))
    }
  }
}

record('map-values', 'every kind of plain value in a map, set, overwritten and deleted', doc => {
  const map = doc.getMap('m')
  const values = [
    undefined, null, true, false, 0, -0, 1, -1, 63, 64, -64, 127, 128, 8191, 8192, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53 - 1,
    1e308, 0.5, -0.1, NaN, Infinity, -Infinity, 123n, -(2n ** 63n), '', 'text', 'Chloé', '💍', '\ud83d', 'x'.repeat(300),
    [], {}, [1, [2, [3, { a: [null] }]]], { a: { b: { c: 'd' } }, 'ключ': ['значение'] }, new Uint8Array([0, 128, 255]), new Uint8Array(0)
  ]
  values.forEach((value, i) => map.set(`k${i % 7}`, value))
  map.delete('k1')
  map.set('', 'empty key')
  map.set('\udc8d', 'half a character as key')
})

record('array', 'inserts at both ends and in the middle, deletions, several values at once', doc => {
  const array = doc.getArray('')
  array.insert(0, [1, 2, 3])
  array.push(['a', new Uint8Array([9]), 'b', { c: 1 }])
  array.unshift([null])
  array.insert(3, [[[]]])
  array.delete(1, 4)
  array.delete(0)
  doc.transact(() => { for (let i = 0; i < 50; i++) array.push([i]) })
  array.delete(10, 20)
})

record('nested-types', 'types in types in types, filled, and deleted with their children', doc => {
  const map = doc.getMap('records')
  for (let i = 0; i < 5; i++) {
    const record = new Y.Map()
    map.set(`id-${i}`, record)
    record.set('name', `guest ${i}`)
    const list = new Y.Array()
    record.set('list', list)
    list.push([new Y.Map([['a', 1]]), new Y.Text('in a list'), 5])
    list.get(1).insert(2, 'xyz')
    record.set('note', new Y.Text('note'))
  }
  map.delete('id-2')
  map.get('id-3').delete('list')
  map.set('id-4', 'plain now')
})

record('text', 'typing, pasting, deleting', doc => {
  const text = doc.getText('text')
  const roll = dice(1)
  for (let i = 0; i < 120; i++) {
    if (text.length > 10 && roll() < 0.3) text.delete(Math.floor(roll() * (text.length - 3)), 1 + Math.floor(roll() * 3))
    else text.insert(Math.floor(roll() * (text.length + 1)), 'abcdefghij'.slice(0, 1 + Math.floor(roll() * 5)))
  }
})

record('text-format', 'formats switched on and off, links, null, object values, embeds, deltas', doc => {
  const text = doc.getText('text')
  text.insert(0, 'Hello world', { bold: true })
  text.format(2, 4, { bold: null, italic: true })
  text.format(0, 5, { link: { href: 'https://example.org/?a="b"', deep: [{ x: [1, 2.5, -3e-7] }] }, size: 12 })
  text.insertEmbed(3, { image: 'data:…', width: 1e21, alt: 'Ünïcode 💍', list: [true, false, null] })
  text.insertEmbed(0, {}, { align: 'left' })
  text.insertEmbed(0, 'a string')
  text.insertEmbed(0, 42)
  text.insertEmbed(0, new Y.Map([['type', 'inside an embed']]))
  text.applyDelta([{ retain: 3 }, { insert: 'new\n', attributes: { header: 1 } }, { delete: 2 }, { insert: { video: 'v' } }, { insert: 'end\n' }])
  text.setAttribute('lang', 'de')
  text.format(0, text.length, { bold: null, italic: null, link: null })
  text.delete(2, 5)
})

record('emoji', 'characters outside the basic plane, whole, cut in half by edits, and lone halves', doc => {
  const text = doc.getText('text')
  text.insert(0, '💍👰🏽‍♀️🤵🏿Ünïcödé')
  text.insert(1, 'inside')
  text.delete(8, 1)
  text.insert(4, '\ud83d')
  text.insert(5, '\ude00')
  text.insert(0, '\ud83d\ude00x')
  text.delete(0, 1)
  text.format(1, 3, { 'fett💍': '💍' })
})

record('binary', 'binary content in arrays and maps', doc => {
  doc.getArray('b').insert(0, [new Uint8Array(0), new Uint8Array(200).fill(0xff), new Uint8Array([0x80, 0x80, 0x40])])
  doc.getMap('m').set('bytes', new Uint8Array(Array.from({ length: 256 }, (_, i) => i)))
})

record('subdocuments', 'documents in documents, with and without options', doc => {
  const map = doc.getMap('docs')
  map.set('plain', document(11))
  map.set('options', document(12, { autoLoad: true, gc: false, meta: { a: [1, { b: 'ü' }], none: undefined } }))
  map.delete('plain')
  doc.getArray('list').push([document(13, { meta: null })])
})

record('xml', 'fragments, elements, attributes, texts', doc => {
  const fragment = doc.getXmlFragment('xml')
  const paragraph = new Y.XmlElement('paragraph')
  fragment.insert(0, [paragraph, new Y.XmlText('plain'), new Y.XmlElement('überschrift')])
  paragraph.setAttribute('align', 'left')
  paragraph.setAttribute('level', 2)
  const text = new Y.XmlText()
  paragraph.insert(0, [text, new Y.XmlElement('br')])
  text.insert(0, 'styled 💍 text')
  text.format(0, 6, { strong: {} })
  text.format(2, 3, { comment: { id: 'c1' } })
  fragment.insertAfter(paragraph, [new Y.XmlElement('hr'), new Y.XmlFragment()])
  paragraph.removeAttribute('align')
  fragment.delete(0)
})

record('undo', 'undo and redo: items that come back', doc => {
  const text = doc.getText('text')
  const map = doc.getMap('m')
  const undo = new Y.UndoManager([text, map], { captureTimeout: 0 })
  text.insert(0, 'first ')
  map.set('a', 1)
  text.insert(6, 'second')
  map.set('a', new Y.Map([['b', 2]]))
  for (let i = 0; i < 3; i++) undo.undo()
  for (let i = 0; i < 2; i++) undo.redo()
  undo.undo()
})

record('no-gc', 'deleted content kept', doc => {
  const text = doc.getText('text')
  text.insert(0, 'kept although deleted')
  text.delete(3, 9)
  doc.getMap('m').set('a', new Y.Text('nested'))
  doc.getMap('m').delete('a')
}, { options: { gc: false } })

for (const clientID of [0, 1, 127, 128, 2 ** 32 - 1, 2 ** 53 - 1]) {
  record(`client-${clientID}`, `client id ${clientID}`, doc => {
    doc.getText('t').insert(0, 'ab')
    doc.getText('t').insert(1, 'c')
    doc.getMap('m').set('k', new Y.Array())
    doc.getMap('m').get('k').push([1])
    doc.getText('t').delete(0, 2)
  }, { clientID })
}

{
  const docs = [1, 4000000000, 77].map(id => document(id))
  const roll = dice(2)
  const updates = []
  docs.forEach(doc => doc.on('update', (update, origin, _, transaction) => { if (transaction.local) updates.push(update) }))
  for (let round = 0; round < 25; round++) {
    for (const doc of docs) {
      const text = doc.getText('text')
      text.insert(Math.floor(roll() * (text.length + 1)), `${doc.clientID % 10}`.repeat(1 + Math.floor(roll() * 3)))
      doc.getMap('m').set(`k${Math.floor(roll() * 3)}`, round)
      if (text.length > 4 && roll() < 0.4) text.delete(Math.floor(roll() * (text.length - 2)), 2)
    }
    if (round % 3 === 0) exchange(docs)
  }
  exchange(docs)
  const state = Y.encodeStateAsUpdate(docs[0])
  write('concurrent', 'three clients, exchanged every third round: each edit, the state, merged and partial forms', [
    ...updates, state, Y.mergeUpdates(updates), Y.mergeUpdates(updates.slice(0, 60)),
    Y.diffUpdate(state, Y.encodeStateVectorFromUpdate(Y.mergeUpdates(updates.slice(0, 30)))),
    Y.convertUpdateFormatV2ToV1(Y.encodeStateAsUpdateV2(docs[1]))
  ])

  const vectors = [...docs, document(1)].map(doc => Y.encodeStateVector(doc))
  vectors.push(Y.encodeStateVectorFromUpdate(updates[0]), Y.encodeStateVectorFromUpdate(state))
  const rows = vectors.map(bytes => '  ' + JSON.stringify({ hex: hex(bytes), clocks: Object.fromEntries(Y.decodeStateVector(bytes)) }))
  fs.writeFileSync(path.join(target, 'state-vectors.json'), `[\n${rows.join(',\n')}\n]\n`)

  const holes = []
  for (let i = 0; i < 12; i++) holes.push(Y.mergeUpdates(updates.filter((_, at) => (at * 7 + i) % 5 !== 0)))
  const late = document(5)
  Y.applyUpdate(late, holes[0])
  Y.applyUpdate(late, holes[3])
  write('holes', 'merged with gaps between (Skip), and the state of a document that holds pending structs and deletions', [
    ...holes, Y.encodeStateAsUpdate(late), Y.mergeUpdates([holes[1], holes[2]]), Y.diffUpdate(holes[4], Y.encodeStateVectorFromUpdate(updates[3]))
  ])
}

{
  const docs = [900000001, 900000002, 900000003, 900000004].map(id => document(id))
  const roll = dice(3)
  for (let i = 0; i < 1500; i++) {
    const doc = docs[i % 4]
    const text = doc.getText('text')
    text.insert(Math.floor(roll() * (text.length + 1)), 'x')
    if (roll() < 0.3 && text.length > 2) text.delete(Math.floor(roll() * (text.length - 1)), 1)
    if (i % 5 === 0) exchange(docs)
  }
  exchange(docs)
  write('large', '1,500 edits by four clients in one text, as one update', [Y.encodeStateAsUpdate(docs[0])])
}

{
  const doc = document(9)
  doc.transact(() => {
    const text = doc.getText('t')
    text.insert(0, 'abc')
    text.delete(1, 1)
  })
  write('empty', 'nothing, and a deletion alone', [
    Y.encodeStateAsUpdate(document(1)), Y.mergeUpdates([]), Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc))
  ])
}

const item = (doc, content) => {
  const type = doc.getArray('a')
  doc.transact(transaction => new Y.Item(Y.createID(doc.clientID, 0), null, null, null, null, type, null, content).integrate(transaction, 0))
}
record('refused-json-content', 'content of Yjs before 13', doc => item(doc, new Y.ContentJSON([1, undefined, { a: 1 }])), { refused: 'unsupported' })
record('refused-xml-hook', 'an XmlHook', doc => doc.getXmlFragment('x').insert(0, [new Y.XmlHook('hook')]), { refused: 'unsupported' })
record('refused-embed-large-integer', 'an integer from 2**63 on in an embed: written in full by JavaScript', doc => {
  doc.getText('t').insertEmbed(0, 2 ** 63)
}, { refused: 'json' })
record('refused-embed-half-character', 'half a character in an embed: serde_json reads no such escape', doc => {
  doc.getText('t').insertEmbed(0, { a: '\ud83d' })
}, { refused: 'json' })
