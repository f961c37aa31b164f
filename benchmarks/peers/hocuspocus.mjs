// Hocuspocus with its own defaults: node hocuspocus.mjs PORT DATABASE
// With DEBOUNCE_MS=0 it stores a document at each change.
//
// Its SQLite extension is better-sqlite3 behind the database extension, and better-sqlite3 has to be compiled for each
// version of Node. The same schema and statements run here on the SQLite that is part of Node.
import { DatabaseSync } from 'node:sqlite'
import { Database } from '@hocuspocus/extension-database'
import { Server } from '@hocuspocus/server'

const [port, path] = process.argv.slice(2)
const database = new DatabaseSync(path)
database.exec('CREATE TABLE IF NOT EXISTS "documents" ("name" varchar(255) NOT NULL, "data" blob NOT NULL, UNIQUE(name))')
const select = database.prepare('SELECT data FROM "documents" WHERE name = ? ORDER BY rowid DESC')
const upsert = database.prepare(
  'INSERT INTO "documents" ("name", "data") VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET data = excluded.data'
)

const { DEBOUNCE_MS } = process.env
const debounce = DEBOUNCE_MS === undefined ? {} : { debounce: Number(DEBOUNCE_MS), maxDebounce: Number(DEBOUNCE_MS) }

const server = new Server({
  ...debounce,
  address: '127.0.0.1',
  port: Number(port),
  quiet: true,
  extensions: [
    new Database({
      fetch: async ({ documentName }) => select.get(documentName)?.data ?? null,
      store: async ({ documentName, state }) => {
        upsert.run(documentName, state)
      }
    })
  ]
})
await server.listen()
