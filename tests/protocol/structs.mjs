// Reads updates in hex from standard input, one a line; prints for each what Yjs' own decoder finds in it, as JSON.
import * as fs from 'node:fs'
import * as Y from 'yjs'

const id = found => (found instanceof Y.ID ? [found.client, found.clock] : found)

const value = content => {
  if (content.constructor === Y.ContentString) return content.str
  if (content.constructor === Y.ContentType) return typeNumber(content)
  if (content.constructor === Y.ContentBinary) return [...content.content]
  if (content.constructor === Y.ContentAny) return content.arr
  return null
}

const typeNumber = content => {
  const written = []
  content.type._write({ writeTypeRef: number => written.push(number), writeKey: () => {} })
  return written[0]
}

// Numbers that JSON has no words for.
const spelled = (_, each) => {
  if (typeof each === 'bigint') return { bigint: String(each) }
  if (typeof each === 'number' && !Number.isFinite(each)) return { number: String(each) }
  if (each instanceof Uint8Array) return { bytes: [...each] }
  return each === undefined ? null : each
}

const row = struct => {
  const { client, clock } = struct.id
  if (struct instanceof Y.GC) return [client, clock, struct.length, 0, null, null, null, null, null]
  return [
    client, clock, struct.length, struct.content.getRef(), id(struct.origin), id(struct.rightOrigin), id(struct.parent),
    struct.parentSub, value(struct.content)
  ]
}

for (const line of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const { structs } = Y.decodeUpdate(Buffer.from(line, 'hex'))
  console.log(JSON.stringify(structs.filter(struct => !(struct instanceof Y.Skip)).map(row), spelled))
}
