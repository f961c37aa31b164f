// The parts of the page that need no page: money, time of day, order, names. Run by test_pure.py: node --test pure.mjs
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as Y from 'yjs'
import { ago, dayName, dayOf, formatClock, parseClock, timeOfDay } from '../../crdt_server/web/src/clock.js'
import { newId, newUlid } from '../../crdt_server/web/src/ids.js'
import { amountOf, convert, exponent, formatMoney, moneyToText, sum, textToMoney } from '../../crdt_server/web/src/money.js'
import { proofOf } from '../../crdt_server/web/src/calls.js'
import { documentFor, mayWrite, noteFor, sameRights, tabsFor } from '../../crdt_server/web/src/rights.js'
import { readPlace } from '../../crdt_server/web/src/place.js'
import { isToken, tokenIn, weddingOf } from '../../crdt_server/web/src/session.js'
import { EventParser, countOf, placeOf, preferencesOf, withItem, wordsOf } from '../../crdt_server/web/src/notices.js'
import { excerpt, messagesIn, presentIn, react, takeBack, writeMessage } from '../../crdt_server/web/src/thread.js'
import { byTime, family, folded, fullName, initials, list, live, text, whole, write } from '../../crdt_server/web/src/records.js'

const LARGEST = Number.MAX_SAFE_INTEGER

/** A map of records in a document, as the page reads it. */
const records = (rows) => {
  const map = new Y.Doc().getMap('items')
  for (const [id, row] of Object.entries(rows)) {
    map.set(id, row !== null && typeof row === 'object' ? new Y.Map(Object.entries(row)) : row)
  }
  return map
}
const ids = (pairs) => pairs.map(([id]) => id)

test('money is written with the digits of its currency', () => {
  assert.deepEqual(['GBP', 'JPY', 'KWD', 'XYZ'].map(exponent), [2, 0, 3, 2])
  assert.equal(formatMoney(1250, 'GBP'), '12.50 GBP')
  assert.equal(formatMoney(1250, 'JPY'), '1,250 JPY')
  assert.equal(formatMoney(1250, 'KWD'), '1.250 KWD')
  assert.equal(formatMoney(5, 'USD'), '0.05 USD')
  assert.equal(formatMoney(0, ''), '0.00')
  assert.equal(formatMoney(-123456789, 'EUR'), '−1,234,567.89 EUR')
  assert.equal(formatMoney(LARGEST, 'EUR'), '90,071,992,547,409.91 EUR')
  for (const nothing of [undefined, null, '12', 1.5, NaN, LARGEST + 1]) assert.equal(moneyToText(nothing, 'EUR'), '')
})

test('money is read as people write it', () => {
  const read = (currency, texts) => texts.map((text) => textToMoney(text, currency))
  assert.deepEqual(read('GBP', ['12.50', '12,5', '12', '.5', '1 234,56', "1'234.56"]), [1250, 1250, 1200, 50, 123456, 123456])
  assert.deepEqual(read('GBP', ['1,234', '1.234', '1,234.56', '1.234,56', '1,234,567.8']), [123400, 123400, 123456, 123456, 123456780])
  assert.deepEqual(read('JPY', ['1,250', '1250', '1.250.000']), [1250, 1250, 1250000])
  assert.deepEqual(read('KWD', ['1.25', '1.250', '1.250,5']), [1250, 1250, 1250500])
  for (const wrong of ['', '-5', 'twelve', '12.345.6', '1.234,567', '1234.567', '1.2345', '1e3', '٣', '.', '99999999999999999']) {
    assert.equal(textToMoney(wrong, 'GBP'), null, wrong)
  }
})

test('every amount is read back as it was written', () => {
  const amounts = [0, 1, 9, 10, 99, 100, 101, 12345, 99999, 100000, 2 ** 31, LARGEST]
  for (const currency of ['GBP', 'JPY', 'KWD']) {
    for (const amount of amounts) assert.equal(textToMoney(moneyToText(amount, currency), currency), amount)
  }
})

test('sums are exact, in one currency, and say what is missing', () => {
  assert.equal(convert(1250, 'EUR', '1.1', 'USD'), 1375)
  assert.equal(convert(1000, 'JPY', '0.0061', 'USD'), 610)
  assert.equal(convert(100, 'USD', '150.005', 'JPY'), 151) // as the server: fractions count as one
  assert.equal(convert(LARGEST, '', undefined, 'USD'), LARGEST)
  for (const rate of [undefined, '', '1,1', '-1', 'x', '1e2', 2]) assert.equal(convert(1, 'EUR', rate, 'USD'), null)
  const items = [...records({
    both: { estimated: 100, quoted: 250 },
    paid: { estimated: 1, quoted: 2, actual: 30 },
    none: { estimated: 'much' },
    abroad: { actual: 100, currency: 'EUR', rate: '2' },
    unknown: { actual: 100, currency: 'EUR' }
  }).values()]
  assert.deepEqual(items.map(amountOf), [250, 30, null, 100, 100])
  assert.deepEqual(sum(items, 'USD'), { total: 480, without: 1 })
})

test('time of day goes across midnight both ways', () => {
  const written = { 930: '15:30', 0: '00:00', 1439: '23:59', 1440: '00:00 +1', 1500: '01:00 +1', '-1': '23:59 -1', '-360': '18:00 -1', '-1440': '00:00 -1', 43200: '00:00 +30' }
  for (const [minutes, text] of Object.entries(written)) {
    assert.equal(formatClock(Number(minutes)), text)
    assert.equal(parseClock(text), Number(minutes))
  }
  for (let minutes = -43200; minutes <= 43200; minutes += 1) assert.equal(parseClock(formatClock(minutes)), minutes)
  assert.deepEqual([-1441, -1, 0, 1439, 1440].map(dayOf), [-2, -1, 0, 0, 1])
  assert.equal(timeOfDay(-1), '23:59')
  assert.deepEqual([-2, -1, 0, 1, 3].map(dayName), ['2 days before', 'The day before', 'The day', 'The day after', '3 days after'])
  assert.equal(formatClock(undefined), '')
})

test('time of day is read as people write it', () => {
  assert.deepEqual(['9:05', '9.05', '0905', '905', ' 15h30 ', '18:00 −1', '18:00-1', '1:00 + 1', '15:30 +0'].map(parseClock),
    [545, 545, 545, 545, 930, -360, -360, 1500, 930])
  for (const wrong of ['', '24:00', '12:60', 'noon', '9', '12:5', '12:30 1', '00:01 +30', '00:00 -31']) {
    assert.equal(parseClock(wrong), null, wrong)
  }
})

test('moments are told by their age', () => {
  const now = Date.parse('2026-06-20T12:00:00Z')
  assert.deepEqual(['2026-06-20T11:59:30Z', '2026-06-20T11:01:00Z', '2026-06-20T09:00:00Z', '2026-06-17T11:00:00Z',
    '2026-06-20T12:05:00Z', 'x'].map((at) => ago(at, now)), ['just now', '59 min ago', '3 h ago', '3 d ago', 'just now', ''])
})

test('order is that of code units, then of ids; what is deleted or no record is left out', () => {
  const rows = { e: { order: 'Zz' }, d: { order: 'a0' }, c: { order: 'a0' }, b: {}, a: { order: 'aV' }, f: { order: 7 }, gone: { order: 'a1', deleted: { at: '', by: '' } }, odd: 5, none: null }
  assert.deepEqual(ids(live(records(rows))), ['b', 'f', 'e', 'c', 'd', 'a'])
})

test('values of another shape are as if there were none', () => {
  const [record] = [...records({ a: { name: 5, start: '9', options: 'x' } }).values()]
  for (const odd of [record, 'text', 5, null, undefined, {}]) {
    assert.deepEqual([text(odd, 'name', '?'), whole(odd, 'start'), list(odd, 'options')], ['?', null, []])
  }
})

test('a timeline goes by start, then by order, and ends with what has no start', () => {
  const rows = { none: { order: 'a0' }, late: { start: 1500 }, two: { start: 900, order: 'a1' }, one: { start: 900, order: 'a0' }, eve: { start: -360 }, odd: { start: '5', order: 'a1' } }
  assert.deepEqual(ids(byTime(records(rows))), ['eve', 'one', 'two', 'late', 'none', 'odd'])
})

test('names of any script can be searched and shortened', () => {
  const [ann, one, nobody] = [...records({ a: { firstName: 'Zoë', lastName: 'Ångström' }, b: { firstName: '美咲' }, c: {} }).values()]
  assert.deepEqual([ann, one, nobody].map(fullName), ['Zoë Ångström', '美咲', 'No name'])
  assert.equal(folded('Zoë ÅNGSTRÖM'), 'zoe angstrom')
  assert.deepEqual(['Zoë Ångström', '美咲', '👰 van Dam', 'ليلى'].map(initials), ['ZÅ', '美', '👰D', 'ل'])
})

test('writing says nothing twice and nothing in place of deleting', () => {
  const doc = new Y.Doc()
  const record = doc.getMap('items')
  let updates = 0
  doc.on('update', () => { updates += 1 })
  for (const value of ['x', 'x', 5, 5, '', '', null]) write(record, 'key', value)
  assert.equal(updates, 3)
  assert.equal(record.has('key'), false)
  record.set('vendor:v_1', true)
  record.set('vendorNote:v_1', 'x')
  assert.deepEqual(family(record, 'vendor'), ['v_1'])
})

test('ids are those of the documents', () => {
  const made = new Set(Array.from({ length: 1000 }, () => newId('g')))
  assert.equal(made.size, 1000)
  for (const id of made) assert.match(id, /^g_[0-9a-hjkmnp-tv-z]{12}$/)
})

const listed = (...names) => names.map((name) => ({ name, write: 'all', writable: [] }))
const COUPLE = { documents: listed('budget', 'guests', 'seating', 'timeline', 'wedding', 'notes.welcome'), families: listed('notes.*', 'thread.*'), person: { role: 'couple' } }
const VENDOR = { documents: listed('wedding@service', 'timeline@v.v_1'), families: [], person: { role: 'vendor', vendor: 'v_1' } }

test('a part of the plan is shown by the whole document, else by the one derived for us', () => {
  assert.equal(documentFor(COUPLE, 'timeline').name, 'timeline')
  assert.equal(documentFor(VENDOR, 'timeline').name, 'timeline@v.v_1')
  assert.equal(documentFor(VENDOR, 'budget'), null)
  assert.equal(documentFor({ documents: listed('guests@coord', 'guests'), families: [] }, 'guests').name, 'guests')
})

test('tabs without anything to see are not there', () => {
  assert.deepEqual(tabsFor(COUPLE, 'welcome'), ['timeline', 'budget', 'guests', 'seating', 'conflicts', 'note'])
  assert.deepEqual(tabsFor(VENDOR, 'welcome'), ['timeline'])
  assert.deepEqual(tabsFor({ documents: [], families: [] }, 'welcome'), [])
  assert.deepEqual(tabsFor({ ...VENDOR, permissions: { messages: [] } }, 'welcome'), ['timeline'])
  assert.deepEqual(tabsFor({ ...VENDOR, permissions: { messages: ['write_own'] } }, 'welcome'), ['timeline', 'messages', 'inbox', 'preferences'])
  assert.equal(noteFor(COUPLE, 'new').name, 'notes.new')
  assert.equal(noteFor({ documents: listed('notes.a'), families: [] }, 'a').name, 'notes.a')
  assert.equal(noteFor({ documents: listed('notes.a'), families: [] }, 'b'), null)
})

test('fields are writable where the document and the record say so', () => {
  const own = (...writable) => ({ name: '', write: 'own', writable })
  const record = (row) => [...records({ row }).values()][0]
  const field = (root, id, row, key) => ({ root, id, record: record(row), key })
  const title = field('items', 'i', { 'vendor:v_1': true }, 'title')
  assert.equal(mayWrite(null, {}, title), false)
  assert.equal(mayWrite({ write: 'none', writable: [] }, {}, title), false)
  assert.equal(mayWrite({ write: 'all', writable: [] }, {}, title), true)
  const vendor = { role: 'vendor', vendor: 'v_1', guest: '', side: '' }
  const items = own('items.status', 'items.vendorNote:')
  assert.equal(mayWrite(items, vendor, title), false)
  assert.equal(mayWrite(items, vendor, { ...title, key: 'status' }), true)
  assert.equal(mayWrite(items, vendor, { ...title, key: 'vendorNote:v_1' }), true)
  assert.equal(mayWrite(items, vendor, field('items', 'i', { 'vendor:v_2': true }, 'status')), false)
  const family = { role: 'family', vendor: '', guest: '', side: 'a' }
  assert.equal(mayWrite(own('guests'), family, field('guests', 'g', { side: 'a' }, 'meal')), true)
  assert.equal(mayWrite(own('guests'), family, field('guests', 'g', { side: 'b' }, 'meal')), false)
  const guest = { role: 'guest', vendor: '', guest: 'g_1', side: '' }
  const answers = own('guests.meal', 'guests.rsvp:')
  assert.equal(mayWrite(answers, guest, field('guests', 'g_1', {}, 'rsvp:e_1')), true)
  assert.equal(mayWrite(answers, guest, field('guests', 'g_2', { plusOneOf: 'g_1' }, 'meal')), true)
  assert.equal(mayWrite(answers, guest, field('guests', 'g_3', {}, 'meal')), false)
  assert.equal(mayWrite(answers, { ...guest, role: 'coordinator', guest: '' }, field('guests', 'g_3', {}, 'meal')), true)
})

test('rights are the same as long as person, documents and parts are, whatever notes there are', () => {
  assert.equal(sameRights(COUPLE, { ...COUPLE, documents: [...COUPLE.documents, ...listed('notes.more')] }), true)
  assert.equal(sameRights(COUPLE, { ...COUPLE, person: { role: 'planner' } }), false)
  assert.equal(sameRights(VENDOR, { ...VENDOR, documents: listed('wedding@service', 'timeline@v.v_2') }), false)
  assert.equal(sameRights(VENDOR, { ...VENDOR, permissions: { messages: ['write'] } }), false)
  assert.equal(sameRights(VENDOR, { ...VENDOR, documents: [...VENDOR.documents, ...listed('guests@service')] }), false)
})

test('a token is found in the fragment, and proves who we are in place of a name', () => {
  assert.equal(tokenIn('#wedding=demo&token=a.b.c'), 'a.b.c')
  for (const none of ['', '#', '#wedding=demo', '#tokens=a']) assert.equal(tokenIn(none), '')
  assert.deepEqual(['a.b.c', 'eyJ.e-J_.', 'ABCD-EFGH', 'a.b', 'a.b.c.d', 'a b.c.d'].map(isToken), [true, true, false, false, false, false])
  const signed = `x.${Buffer.from(JSON.stringify({ wedding: 'w_2', name: 'Zoë 🌿 ?>' })).toString('base64url')}.x`
  assert.equal(weddingOf(signed), 'w_2')
  for (const nonsense of ['', 'x', 'a.b.c', 'x.é.x', `x.${btoa('[1]')}.x`, `x.${btoa('{"wedding":5}')}.x`]) assert.equal(weddingOf(nonsense), '')
  for (const [hash, wedding] of [[`#token=${signed}`, 'w_2'], [`#token=${signed}&wedding=w_3`, 'w_3'], ['#token=a.b.c', 'demo']]) {
    globalThis.location = { hash, search: '' }
    assert.equal(readPlace().wedding, wedding)
  }
  const person = { user: 'u_1', role: 'vendor', vendor: 'v_1', guest: '', side: '', enforce: '1', name: 'Ann' }
  assert.deepEqual(proofOf(person, 'a.b.c'), { token: 'a.b.c' })
  assert.deepEqual(proofOf(person, ''), { user: 'u_1', role: 'vendor', vendor: 'v_1', enforce: '1' })
})

test('ids of messages are ULIDs, which sort by time', () => {
  const made = [0, 1, 31, 32, 1_700_000_000_000, 2 ** 48 - 1].map(newUlid)
  for (const id of made) assert.match(id, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  assert.deepEqual([...made].sort(), made)
  assert.equal(newUlid(1_469_918_176_385).slice(0, 10), '01ARYZ6S41')
  assert.notEqual(newUlid(5), newUlid(5))
})

const AT = '2026-06-20T12:00:00.000Z'

test('messages stand in the order of their arrival; what has not arrived, and has another shape, comes last or not at all', () => {
  const doc = new Y.Doc()
  for (const id of ['A', 'B', 'C', 'D']) writeMessage(doc, id, 'u_1', AT, `text of ${id}`, id === 'B' ? 'A' : '')
  doc.getMap('stamps').set('B', { sequence: 1, at: AT })
  doc.getMap('stamps').set('A', { sequence: 2, at: AT })
  doc.getMap('stamps').set('C', 'odd')
  for (const [id, odd] of [['X', 5], ['Y', null], ['Z', { body: 7, attachments: 'x', inReplyTo: {} }]]) doc.getMap('messages').set(id, odd)
  const messages = messagesIn(doc)
  assert.deepEqual(ids(messages), ['B', 'A', 'C', 'D', 'Z'])
  assert.deepEqual(doc.getMap('messages').get('B'), { from: 'u_1', at: AT, kind: 'text', body: 'text of B', inReplyTo: 'A' })
  assert.equal('inReplyTo' in doc.getMap('messages').get('A'), false)
  const { body, attachments, inReplyTo, sequence } = messages.at(-1)[1]
  assert.deepEqual([body, attachments, inReplyTo, sequence], ['', [], '', null])
})

test('a message that was taken back has no text, and reactions are given and taken', () => {
  const doc = new Y.Doc()
  writeMessage(doc, 'A', 'u_1', AT, 'secret', '')
  react(doc, 'A', '👍', 'u_2')
  react(doc, 'A', '👍', 'u_1')
  react(doc, 'A', '🎉', 'u_2')
  react(doc, 'A', '🎉', 'u_2')
  doc.getMap('reactions').set('odd', true)
  takeBack(doc, 'A', 'u_1', AT)
  takeBack(doc, 'A', 'u_3', AT)
  const [[, message]] = messagesIn(doc)
  assert.deepEqual([message.body, message.isRedacted, message.reactions], ['', true, [['👍', ['u_2', 'u_1']]]])
  assert.equal(doc.getMap('redactions').get('A').by, 'u_1')
  assert.deepEqual([excerpt(' a\n b '), excerpt('🌳🌳🌳', 2), excerpt('🌳🌳', 2)], ['a b', '🌳🌳…', '🌳🌳'])
})

test('those who are in a conversation are named once, whatever their states are', () => {
  const states = new Map([[1, { user: { name: 'Me' }, typing: true }], [2, { user: { name: 'Bo' }, typing: true }], [3, { user: { name: 'Bo' } }],
    [4, { user: { name: 5 }, typing: true }], [5, null], [6, 'x'], [7, { user: { name: 'Al' }, typing: 'yes' }]])
  assert.deepEqual(presentIn(states, 1), { here: ['Al', 'Bo'], typing: ['Bo'] })
})

test('a stream of events is cut into them wherever its parts end', () => {
  const whole = 'retry: 5\nid: 3\n\n: nothing new\n\nid: 4\nevent: message.sent\ndata: {"a": "b: c"}\n\n'
  for (const size of [1, 2, 7, whole.length]) {
    const parser = new EventParser()
    const events = whole.match(new RegExp(`[^]{1,${size}}`, 'g')).flatMap((part) => parser.take(part))
    assert.deepEqual(events.at(-1), { id: '4', event: 'message.sent', data: '{"a": "b: c"}' })
    assert.deepEqual(events.map(({ data }) => data === ''), [true, true, false])
  }
})

test('a new item takes the place of an unread one about the same, and of itself', () => {
  const item = (id, record, read) => ({ id, type: 'message.sent', document: 'thread.t', record, read_at: read ? AT : null })
  const items = [item(5, 'b', false), item(4, 'a', false), item(3, 'a', true)]
  assert.deepEqual(withItem(items, item(6, 'a', false)).map(({ id }) => id), [6, 5, 3])
  assert.deepEqual(withItem(items, item(5, 'b', true)).map(({ id }) => id), [5, 4, 3])
})

test('items are said in words and lead to their records', () => {
  const words = (item) => Object.values(wordsOf({ count: 1, ...item }))
  assert.deepEqual(words({ type: 'message.sent', params: { title: 'Garden', text: '<b>', actor: 'Ann' }, count: 3 }),
    ['Garden', '<b>', 'message sent · Ann · 3 times'])
  assert.deepEqual(words({ type: 'timeline.item.moved', params: { title: 'Toasts', before_minutes: '930', after_minutes: '1500', role: 'wedding_party' } }),
    ['Toasts', '15:30 → 01:00 +1', 'timeline item moved · wedding party'])
  assert.deepEqual(words({ type: 'payment.recorded', params: { amount_minor: '1250', currency: 'EUR' } }), ['payment recorded', '12.50 EUR', ''])
  assert.deepEqual(words({ type: 'wedding.changed' }), ['wedding changed', '', ''])
  const place = (type, document, record = 'x') => placeOf({ type, document, record })
  assert.deepEqual(place('message.sent', 'thread.t_1'), { change: { tab: 'messages', thread: 't_1' }, at: null })
  assert.deepEqual(place('doc.changed', 'notes.board'), { change: { tab: 'note', note: 'board' }, at: null })
  assert.deepEqual(place('timeline.item.moved', 'timeline'), { change: { tab: 'timeline' }, at: { document: 'timeline', record: 'x' } })
  assert.deepEqual(place('conflict.opened', 'guests'), { change: { tab: 'conflicts' }, at: { document: 'guests', record: 'x' } })
  assert.equal(place('care.changed', 'care'), null)
  assert.deepEqual([{ unread: 7, more: false }, { unread: 1000, more: true }].map(countOf), ['7', '1000+'])
})

test('preferences are sent as they were chosen, and nothing for what was not', () => {
  const form = { language: ' de ', timezone: '', start: '22:00', end: '07:00', digestHour: '19', modes: [['tasks', 'mail', 'digest'], ['tasks', 'sms', 'off'], ['care', 'mail', '']] }
  assert.deepEqual(preferencesOf(form), {
    language: 'de', timezone: '', quiet_hours: { start: '22:00', end: '07:00' }, digest_hour: 19, types: { tasks: { mail: 'digest', sms: 'off' } }
  })
  assert.equal(preferencesOf({ ...form, start: '', end: '' }).quiet_hours, null)
})
