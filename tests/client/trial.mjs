/**
 * The tasks of the documentation, snippet by snippet, against a running server: each in a wedding of its own, that Ann and Bob
 * have open. The snippets come as JSON on stdin; results are lines of JSON, and a tally at the end.
 */
import 'fake-indexeddb/auto'
import { readFileSync } from 'node:fs'
import { format } from 'node:util'
import WebSocket from 'ws'

const [SECONDS, AT_ONCE] = [60, 6]
globalThis.WebSocket ??= WebSocket

const { url, packageUrl, tasks } = JSON.parse(readFileSync(0, 'utf8'))
const { openWedding, when } = await import(packageUrl)
const AsyncFunction = (async () => {}).constructor

/** Imports as an async function may have them. */
const withoutImports = (code) => code.replace(/^import (.+) from '([^']+)'$/gm, (_, names, from) => {
  const bound = names.startsWith('{') ? names.replaceAll(' as ', ': ') : names.replace('* as ', '')
  return `const ${bound} = await import('${from === 'crdt-server-client' ? packageUrl : from}')`
})

const inTime = (work) => {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not within ${SECONDS} s`)), SECONDS * 1000) })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

const play = async ({ code, setup, expected }, number) => {
  const [opened, lines] = [[], []]
  const open = async (address, options) => {
    opened.push(await openWedding(address, options))
    return opened.at(-1)
  }
  const has = (name) => new RegExp(`^const ${name} = `, 'm').test(code)
  const person = (user, role, name) => open(url, { wedding: `trial-${number}`, dev: { user, role, name } })
  const given = { url, when, console: { log: (...all) => lines.push(...format(...all).split('\n')) } }
  if (!has('ann')) Object.assign(given, { ann: await person('u_ann', 'couple', 'Ann'), bob: await person('u_bob', 'planner', 'Bob') })
  const names = Object.keys(given).filter((name) => !has(name) && !new RegExp(`^import .*\\b${name}\\b`, 'm').test(code))
  try {
    const body = withoutImports(`${setup}\n${code}`).replaceAll('http://127.0.0.1:8000', url)
    await inTime(new AsyncFunction(...names, body)(...names.map((name) => given[name])))
    const missing = expected.filter((line) => !lines.includes(line))
    if (missing.length > 0) throw new Error(`printed ${JSON.stringify(lines, null, 1)}, not ${JSON.stringify(missing)}`)
  } finally {
    await Promise.all([...opened, given.ann, given.bob].map((each) => each?.close()))
  }
}

let done = 0
const waiting = [...tasks.entries()]
const playAll = async () => {
  while (waiting.length > 0) {
    const [number, task] = waiting.shift()
    const error = await play(task, number).then(() => '', (failure) => failure?.stack ?? String(failure))
    done += task.counts && error === '' ? 1 : 0
    console.log(JSON.stringify({ task: task.name, error }))
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, playAll)) // they wait more than they compute
console.log(`${done} of ${tasks.filter(({ counts }) => counts).length}`)
process.exit(0)
