/** What a document holds, as one string: equal documents give equal strings, whoever wrote what first. */
import * as Y from 'yjs'

/** The order of keys in a map says in which order they arrived, and nothing else. */
const sorted = (_, value) => value?.constructor === Object
  ? Object.fromEntries(Object.keys(value).sort().map(key => [key, value[key]]))
  : value

export function contents (doc) {
  return {
    text: doc.getText('text').toDelta(),
    map: doc.getMap('map').toJSON(),
    array: doc.getArray('array').toJSON(),
    xml: doc.getXmlFragment('xml').toString()
  }
}

/** The four roots the tests use, the snapshot (state vector and delete set), and whether anything is pending. */
export function canonical (doc) {
  return JSON.stringify({
    snapshot: Buffer.from(Y.encodeSnapshot(Y.snapshot(doc))).toString('base64'),
    pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null,
    contents: contents(doc)
  }, sorted)
}
