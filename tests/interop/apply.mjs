// Reads lines of {rows: [base64], clocks: {client: clock}} and applies each document's rows with Yjs, one by one.
// Prints what threw or came to other clocks.
import readline from 'node:readline'
import * as Y from 'yjs'

const problems = []
const silent = console.error
console.error = () => {}

function clocksOf(updates) {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, new Uint8Array(Buffer.from(update, 'base64')))
  return Object.fromEntries([...Y.decodeStateVector(Y.encodeStateVector(doc))].sort())
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { seed, rows, clocks } = JSON.parse(line)
  try {
    const reached = clocksOf(rows)
    for (const [client, clock] of Object.entries(clocks)) {
      if ((reached[client] ?? 0) !== clock) problems.push(`seed ${seed}: client ${client} at ${reached[client]}, not ${clock}`)
    }
  } catch (error) {
    problems.push(`seed ${seed}: ${String(error.stack).split('\n').slice(0, 3).join(' | ')}`)
  }
}
console.error = silent
console.log(JSON.stringify(problems))
process.exit(0)
