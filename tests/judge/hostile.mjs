// Every shape a client can put where a plain value or a record belongs. Prints updates in base64, one a line.
import * as Y from 'yjs'

const doc = new Y.Doc()
doc.clientID = 7
doc.on('update', update => console.log(Buffer.from(update).toString('base64')))
const guests = doc.getMap('guests')
const guest = new Y.Map()
guest.set('note', new Y.Text('plain'))
guests.set('g_1', guest)

const shapes = [
  () => new Y.Map([['k', 1]]), () => Y.Array.from([1, { a: [null] }]), () => new Y.Text('text'), () => new Y.XmlText('x'),
  () => new Y.XmlElement('p'), () => new Y.XmlFragment(), () => new Y.Doc({ guid: 'inner' }), () => new Uint8Array([1, 2]),
  () => null, () => undefined, () => NaN, () => -Infinity, () => 10n ** 18n, () => 1e300, () => 1.5, () => ({}), () => []
]
shapes.forEach((shape, i) => {
  guest.set(`firstName`, shape())          // where a string belongs
  guest.set(`shape${i}`, shape())          // under an unknown key
  guest.set(`tag:t${i}`, shape())          // in a family
  guest.set('note', shape())               // where a text belongs
  guests.set(`shape_${i}`, shape())        // where a record belongs
  doc.getMap('meta').set('x:a.b', shape()) // in a single record
})
guest.set('', 3)
guests.set('', new Y.Map([['', 1]]))
guests.set('__proto__', new Y.Map([['toString', 1]]))

// Events from inside what is nested, and from a text with more in it than characters.
const note = new Y.Text('formatted')
guest.set('note', note)
note.format(0, 4, { bold: true })
note.insertEmbed(2, { image: 'x' })
note.insertEmbed(2, new Y.Map([['inside', 1]]))
note.insert(0, '👰🏽')
guest.set('list', new Y.Array())
guest.get('list').push([new Y.Map([['k', 1]])])
guest.get('list').get(0).set('k', 2)
guests.set('g_2', new Y.XmlElement('p'))
guests.get('g_2').setAttribute('firstName', 'x')
guests.get('g_2').insert(0, [new Y.XmlText('y')])
guests.set('g_3', new Y.Text('record'))
guests.get('g_3').insert(0, 'not a ')
let deepest = guest
for (let i = 0; i < 60; i++) {
  const inner = new Y.Map()
  deepest.set('deep', inner)
  deepest = inner
}
deepest.set('bottom', true)
doc.transact(() => {
  guest.set('firstName', 'gone at once')
  guests.delete('g_1')
  guests.set('g_1', Y.Array.from([1]))
  guests.get('g_1').push([2])
  guests.set('g_1', new Y.Map([['firstName', 'back']]))
  guests.get('g_1').set('lastName', 'again')
})

// Other root types under the names of roots. The server refuses such updates before; rows must stand them all the same.
const other = new Y.Doc()
other.clientID = 8
other.on('update', update => console.log(Buffer.from(update).toString('base64')))
other.getArray('guests').push([1, new Y.Map([['firstName', 'listed']]), new Y.Text('x')])
other.getArray('guests').get(1).set('firstName', 'changed')
other.getArray('guests').get(2).insert(0, 'y')
other.getText('households').insert(0, 'text')
other.getText('households').insertEmbed(0, new Y.Map([['k', 1]]))
other.getXmlFragment('meta').insert(0, [new Y.XmlElement('p')])
other.getXmlFragment('meta').get(0).setAttribute('k', 'v')
