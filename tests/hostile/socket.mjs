// A WebSocket that is read in a thread of its own: when a frame arrived is known however long the replicas of the main
// thread take for the frames before it. As much of the browser's interface as the providers use.
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import WebSocket from 'ws'

const sockets = new Map() // number -> socket, in either thread
let opened = 0

/** `arrivedAt`: when the frame that is being handled was read, in milliseconds since 1970. */
export class ThreadedSocket {
  static arrivedAt = 0
  static #thread = isMainThread ? startThread() : null

  OPEN = WebSocket.OPEN
  readyState = WebSocket.CONNECTING
  onopen = null
  onmessage = null
  onerror = null
  onclose = null
  #number = ++opened

  constructor (url) {
    sockets.set(this.#number, this)
    ThreadedSocket.#thread.postMessage(['open', this.#number, url])
  }

  send (data) {
    if (this.readyState === WebSocket.OPEN) ThreadedSocket.#thread.postMessage(['send', this.#number, data])
  }

  // Hocuspocus' provider has one listener of each kind.
  addEventListener (kind, listener) { this[`on${kind}`] = listener }

  removeEventListener (kind, listener) {
    if (this[`on${kind}`] === listener) this[`on${kind}`] = null
  }

  close () {
    this.readyState = WebSocket.CLOSING
    ThreadedSocket.#thread.postMessage(['close', this.#number])
  }
}

function startThread () {
  const thread = new Worker(new URL(import.meta.url))
  thread.on('message', ([what, number, ...told]) => {
    const socket = sockets.get(number)
    if (what === 'open') {
      socket.readyState = WebSocket.OPEN
      socket.onopen?.({})
    } else if (what === 'message') {
      const [data, at] = told
      ThreadedSocket.arrivedAt = at
      socket.onmessage?.({ data })
    } else if (what === 'error') {
      socket.onerror?.({ message: told[0] })
    } else {
      sockets.delete(number)
      socket.readyState = WebSocket.CLOSED
      socket.onclose?.({ code: told[0], reason: told[1] })
    }
  })
  thread.on('error', (error) => { throw error })
  return thread
}

function open (number, url) {
  const socket = new WebSocket(url)
  const tell = (...what) => parentPort.postMessage(what)
  socket.binaryType = 'arraybuffer'
  sockets.set(number, socket)
  socket.onopen = () => tell('open', number)
  socket.onmessage = ({ data }) => tell('message', number, data, Date.now())
  socket.onerror = ({ message }) => tell('error', number, message)
  socket.onclose = ({ code, reason }) => {
    sockets.delete(number)
    tell('close', number, code, reason)
  }
}

if (!isMainThread) {
  parentPort.on('message', ([what, number, argument]) => {
    if (what === 'open') open(number, argument)
    else if (what === 'send') sockets.get(number)?.send(argument)
    else sockets.get(number)?.close()
  })
}
