// The planner in a headless Chromium: node planner.mjs SCENARIO SERVER_URL CHROMIUM SCREENSHOT_DIRECTORY
// All scenarios work on the wedding `demo`, each on records of its own.
import assert from 'node:assert/strict'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import {
  chair, choose, conflict, enter, fits, holds, item, lists, play, saved, screenshots, seat, sits, tab, visit
} from './support.mjs'

const [SYNC, AUTH, UPDATE] = [0, 2, 2]
const PARTS = ['timeline', 'budget', 'guests', 'seating']

const open = (name, options) => visit({ wedding: 'demo', name }, options)
const text = (page, selector) => page.locator(selector).textContent()

/** Stands between a page and one document of the server: what the page sends can be kept, and it can be told more. */
const between = (document) => {
  const line = { socket: null, kept: null }
  line.prepare = (page) => page.routeWebSocket(new RegExp(`/ws/[^/]+/${document}\\b`), (socket) => {
    const server = socket.connectToServer()
    line.socket = socket
    socket.onMessage((message) => { line.kept ? line.kept.push(message) : server.send(message) })
  })
  line.tell = (...parts) => {
    const encoder = encoding.createEncoder()
    for (const part of parts) {
      if (typeof part === 'number') encoding.writeVarUint(encoder, part)
      else if (typeof part === 'string') encoding.writeVarString(encoder, part)
      else encoding.writeVarUint8Array(encoder, part)
    }
    line.socket.send(Buffer.from(encoding.toUint8Array(encoder)))
  }
  return line
}

/** The updates among the messages of a page. */
const updates = (messages) => messages.map((message) => decoding.createDecoder(new Uint8Array(message)))
  .filter((decoder) => decoding.readVarUint(decoder) === SYNC && decoding.readVarUint(decoder) === UPDATE)
  .map((decoder) => decoding.readVarUint8Array(decoder))

const scenarios = {
  // The demo is there, every part of it is filled, and it fits a phone in the dark.
  async filled () {
    const rows = { timeline: '.item', budget: '.money tbody tr', guests: '.guests tbody tr', seating: '.table' }
    const wide = await open('Ann Lee')
    const phone = await open('Goran Ilić', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' })
    for (const part of PARTS) {
      await tab(wide, part)
      await tab(phone, part)
      await wide.locator(`#panel-${part} ${rows[part]}`).first().waitFor()
      await phone.locator(`#panel-${part} ${rows[part]}`).first().waitFor()
      assert.ok(await fits(phone), part)
      await wide.screenshot({ path: `${screenshots}/planner-${part}.png` })
      await phone.screenshot({ path: `${screenshots}/planner-${part}-phone.png` })
    }
    assert.equal(await wide.locator('.item').count(), 70)
    assert.equal(await wide.locator('.guests tbody tr').count(), 250)
    assert.match(await text(wide, '#panel-budget .summary'), /^[\d,]+\.\d\d USD of 56,900\.00 USD$/)
    assert.match(await text(wide, '#panel-guests .summary'), /^250 invited, \d+ come/)
    assert.equal(await text(wide, 'h1'), 'Chloé & Aroha')
  },

  // Two people edit one item: each sees the other's values, and where the other is, and keeps the place in the page.
  async together () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao 🌸', { colour: 'lagoon' })])
    await lists(ann, ['Ann', 'Bao 🌸'])
    const [hers, his] = [await item(ann, 'Breakfast in the suite'), await item(bao, 'Breakfast in the suite')]
    await enter(hers.locator('.title'), 'Breakfast עם 🥐')
    await holds(his.locator('.title'), 'Breakfast עם 🥐')
    await his.locator('.start').focus()
    await ann.waitForSelector('.item[data-who="Bao 🌸"]')
    await ann.screenshot({ path: `${screenshots}/planner-together.png` })
    await his.locator('.start').fill('23:45 -1')
    await enter(hers.locator('.duration'), '50') // while the other types
    await holds(his.locator('.duration'), '50')
    await holds(his.locator('.start'), '23:45 -1')
    await his.locator('.start').press('Enter')
    await holds(hers.locator('.start'), '23:45 -1')
    assert.equal(await hers.locator('.until').textContent(), 'until 00:35')
    await his.locator('.status').selectOption('ready')
    await holds(hers.locator('.status'), 'ready')
    await his.locator('.start').fill('25:00')
    await his.locator('.start').press('Enter')
    await bao.waitForSelector('.item .start:invalid')
    assert.equal(await hers.locator('.start').inputValue(), '23:45 -1')
    await Promise.all([saved(ann), saved(bao)])
  },

  // Money is entered as people write it, and the sums follow for everybody.
  async money () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao')])
    await Promise.all([tab(ann, 'budget'), tab(bao, 'budget')])
    const rowOf = (page) => page.locator('.money tbody tr').first()
    const before = await text(bao, '#panel-budget .summary')
    await enter(rowOf(ann).locator('[data-field=actual]'), '1.234.567,80')
    await holds(rowOf(bao).locator('[data-field=actual]'), '1234567.80')
    await bao.waitForFunction((old) => document.querySelector('#panel-budget .summary').textContent !== old, before)
    assert.equal(await bao.locator('#panel-budget .summary').getAttribute('data-over'), 'true')
    await enter(rowOf(bao).locator('[data-field=actual]'), '')
    await holds(rowOf(ann).locator('[data-field=actual]'), '')
    await Promise.all([saved(ann), saved(bao)])
  },

  // Searching is without case and accents; an answer is seen by others.
  async guests () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao')])
    await Promise.all([tab(ann, 'guests'), tab(bao, 'guests')])
    await ann.locator('#guest-search').fill('AKESSON')
    await ann.waitForFunction(() => / of 250 found$/.test(document.querySelector('#panel-guests .summary').textContent))
    const names = await ann.locator('.guests tbody tr:visible th').allTextContents()
    assert.ok(names.length > 0 && names.every((name) => name.includes('Åkesson')), String(names))
    const row = ann.locator('.guests tbody tr:visible').first()
    const at = await row.getAttribute('data-at')
    await row.locator('select').first().selectOption('maybe')
    await holds(bao.locator(`[data-at="${at}"] select`).first(), 'maybe')
    await saved(ann)
  },

  // A guest who is seated by two clicks sits there on the other page too, and can be taken away again.
  async seating () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao')])
    await Promise.all([tab(ann, 'seating'), tab(bao, 'seating')])
    await sits(bao, 'Long 1', 3, [])
    await seat(ann, 'Madhuri', 'Long 1', 3)
    await sits(bao, 'Long 1', 3, ['Madhuri'])
    assert.equal(await bao.locator('.waiting').getByText('Madhuri', { exact: true }).count(), 0)
    await chair(bao, 'Long 1', 3).click()
    await bao.getByRole('button', { name: 'Take the chair away' }).click()
    await sits(ann, 'Long 1', 3, [])
    await ann.locator('.waiting').getByText('Madhuri', { exact: true }).waitFor()
    await Promise.all([saved(ann), saved(bao)])
  },

  // Work goes on offline and comes together afterwards.
  async offline () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao')])
    await ann.locator('#offline').click()
    await ann.waitForSelector('#connection[data-state=disconnected]')
    await lists(bao, ['Bao'])
    const [hers, his] = [await item(ann, 'Toasts'), await item(bao, 'Toasts')]
    await enter(hers.locator('.duration'), '17')
    await ann.waitForSelector('#saved[data-state=kept]')
    await ann.screenshot({ path: `${screenshots}/planner-offline.png` })
    await his.locator('.status').selectOption('ready')
    await saved(bao)
    await ann.locator('#offline').click()
    await holds(his.locator('.duration'), '17')
    await holds(hers.locator('.status'), 'ready')
    await saved(ann)
    await lists(bao, ['Ann', 'Bao'])
  },

  // Who is chosen among the members acts under that name and role.
  async person () {
    const urls = []
    const page = await open('Ann', { prepare: (page) => page.on('websocket', (socket) => urls.push(socket.url())) })
    const member = page.locator('#person option', { hasText: ', caterer' })
    const [id, label] = [await member.getAttribute('value'), await member.textContent()]
    urls.length = 0
    await page.locator('#person').selectOption(id)
    await lists(page, [label.replace(', caterer', '')])
    await saved(page)
    assert.ok(urls.length > 0 && urls.every((url) => url.includes(`user=${id}&role=caterer&vendor=v_`)), String(urls))
    urls.length = 0
    await page.locator('#person').selectOption('')
    await saved(page)
    assert.ok(urls.length > 0 && urls.every((url) => !url.includes(id) && !url.includes('vendor=')), String(urls))
  },

  // An open conflict is shown with what can be done about it; choosing is one write of `choice`.
  async conflicts () {
    const line = between('timeline')
    const page = await open('Ann', { prepare: line.prepare })
    line.kept = [] // the server is not told what it has not written itself
    const server = new Y.Doc()
    server.getMap('review').set('c_1', new Y.Map(Object.entries({
      _state: 'open', _severity: 'error', _summary: 'Two start at once: <b>ليلى</b> & 🎂', _at: new Date().toISOString(),
      _parties: [{ user: 'u_x', role: 'planner', value: 930 }],
      _options: [{ id: 0, text: 'Keep both' }, { id: 3, text: 'Move the cake' }]
    })))
    line.tell(SYNC, UPDATE, Y.encodeStateAsUpdate(server))
    await page.waitForFunction(() => document.getElementById('open-conflicts').textContent === '1')
    await tab(page, 'conflicts')
    await conflict(page, '<b>ليلى</b> & 🎂').waitFor()
    await page.screenshot({ path: `${screenshots}/planner-conflicts.png` })
    await choose(page, 'Two start at once', 'Move the cake')
    await conflict(page, 'Chosen: Move the cake').waitFor()
    for (const update of updates(line.kept)) Y.applyUpdate(server, update)
    assert.equal(server.getMap('review').get('c_1').get('choice'), 3)
  },

  // What the server takes back is said.
  async denied () {
    const line = between('budget')
    const page = await open('Ann', { prepare: line.prepare })
    line.tell(AUTH, 0, JSON.stringify({ reverted: [{ root: 'items' }], why: 'Only the couple <i>may</i>.' }))
    const toast = page.locator('.toast')
    await toast.waitFor()
    assert.equal(await toast.locator('p').textContent(), 'budget: Only the couple <i>may</i>. Taken back: one edit.')
    await toast.getByRole('button').click()
    await toast.waitFor({ state: 'detached' })
  }
}

await play(scenarios)
