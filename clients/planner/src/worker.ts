// The service worker: keeps the files of this build on the device, so that the page begins without a network. What is
// planned is kept by the client package, and never passes here.
interface Lasting extends Event { waitUntil (work: Promise<unknown>): void }
interface Fetching extends Lasting { readonly request: Request; respondWith (answer: Promise<Response>): void }
interface Scope {
  addEventListener (type: 'install' | 'activate', listener: (event: Lasting) => void): void
  addEventListener (type: 'fetch', listener: (event: Fetching) => void): void
}

declare const self: Scope
/** By the build: the page first, then all that it names; relative to the worker. */
declare const FILES: readonly string[]
declare const VERSION: string

// Several planners may be served by one host, below different prefixes.
const OURS = `${location.pathname} `
const CACHE = OURS + VERSION
const [PAGE = '', ...NAMED] = FILES.map((path) => new URL(path, location.href).href)
const NETWORK_MS = 400

const keep = async (): Promise<void> => {
  const cache = await caches.open(CACHE)
  await cache.addAll([new Request(PAGE, { cache: 'reload' }), ...NAMED])
}

const forgetOthers = async (): Promise<void> => {
  const names = await caches.keys()
  await Promise.all(names.filter((name) => name.startsWith(OURS) && name !== CACHE).map((name) => caches.delete(name)))
}

const kept = async (url: string): Promise<Response | undefined> => (await caches.open(CACHE)).match(url)

/** What the server answers soon, so that a new build, or a way to sign in, is seen at once; else the page that is kept. */
const page = async (request: Request): Promise<Response> => {
  const ours = await kept(PAGE)
  if (ours === undefined) return fetch(request)
  const fresh = fetch(request).then((response) => (response.status >= 500 ? ours : response), () => ours)
  return Promise.race([fresh, new Promise<Response>((resolve) => { setTimeout(() => resolve(ours), NETWORK_MS) })])
}

/** Other addresses below the page, such as a link in a mail, are the server's. */
const isPage = (url: string): boolean => url.replace(/[?#].*/, '') === PAGE

const file = async (request: Request): Promise<Response> => await kept(request.url) ?? fetch(request)

self.addEventListener('install', (event) => event.waitUntil(keep()))
self.addEventListener('activate', (event) => event.waitUntil(forgetOthers()))
self.addEventListener('fetch', (event) => {
  const { request } = event
  if (request.mode === 'navigate' && isPage(request.url)) event.respondWith(page(request))
  else if (NAMED.includes(request.url)) event.respondWith(file(request))
})

export {}
