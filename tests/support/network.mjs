// A network that a test can cut.
import { connect, createServer } from 'node:net'

/** A network that can be cut: connections through it end, and new ones are refused. Delayed, it takes all and gives nothing. */
export const networkTo = async (target) => {
  const { hostname, port } = new URL(target)
  const sockets = new Set()
  let isCut = false
  let isLate = false
  const server = createServer((near) => {
    if (isCut) return near.destroy()
    if (isLate) return void near.on('error', () => {}).resume()
    const far = connect(Number(port), hostname)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => { near.destroy(); far.destroy(); sockets.delete(socket) })
    }
    near.pipe(far).pipe(near)
  })
  server.unref() // a test that fails leaves it behind
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut () { isCut = true; for (const socket of sockets) socket.destroy() },
    delay () { isLate = true; for (const socket of sockets) socket.destroy() },
    mend () { isCut = false },
    close () { this.cut(); server.close() },
    end () { this.cut(); return new Promise((resolve) => server.close(resolve)) }
  }
}
