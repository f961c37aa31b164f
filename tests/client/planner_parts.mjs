// The parts of the planner that need no page: money, time of day, places, tokens. Run by test_planner_parts.py, which
// bundles them: node --test planner_parts.mjs
import assert from 'node:assert/strict'
import { test } from 'node:test'

globalThis.navigator ??= { language: 'en-GB', languages: ['en-GB'] } // Node 20 has none
globalThis.location ??= { hash: '' }
const {
  ago, attachedTo, meantBy, noteTitle, slugOf, tableName, clock, convert, dayOf, exponent, folded, formatIn, invitedNames, isToken, moneyText, nameOfDocument, parseClock, parseDuration, parseMoney, placeOf, Reviews, routeOf, timeOfDay, weddingOf, Words, Y
} = await import(process.env.PARTS)

const LARGEST = Number.MAX_SAFE_INTEGER

test('everybody is listed, however many pages the members have', async () => {
  const users = Array.from({ length: 1201 }, (_, number) => `u_${String(number).padStart(4, '0')}`)
  const call = async (method, path, { query: { after } = {} } = {}) => { // as the server answers
    assert.deepEqual([method, path], ['GET', 'members'])
    const page = users.filter((user) => after === undefined || user > after).slice(0, 500)
    return { members: page.map((user) => ({ user, name: `name of ${user}` })), next: page.at(-1) === users.at(-1) ? null : page.at(-1) }
  }
  const names = invitedNames({ wedding: { permissions: { members: ['read'] }, call } })
  await new Promise((resolve) => { names.subscribe(({ size }) => { if (size > 0) resolve() }) })
  assert.deepEqual([...names.value.keys()], users)
})

test('money is written with the digits of its currency', () => {
  assert.deepEqual(['GBP', 'JPY', 'KWD', 'XYZ'].map(exponent), [2, 0, 3, 2])
  assert.deepEqual([[1250, 'GBP'], [1250, 'JPY'], [1250, 'KWD'], [5, 'USD'], [0, ''], [LARGEST, 'EUR']].map(([minor, currency]) => moneyText(minor, currency)),
    ['12.50', '1250', '1.250', '0.05', '0.00', '90071992547409.91'])
  for (const nothing of [undefined, 1.5, NaN, LARGEST + 1]) assert.equal(moneyText(nothing, 'EUR'), '')
})

test('an amount in an input has the decimal sign of the language of the wedding, and is read back', () => {
  const texts = ['en', 'de', 'de-CH', 'ar-EG', 'no such language'].map((locale) => moneyText(125050, 'EUR', locale))
  assert.deepEqual(texts, ['1250.50', '1250,50', '1250.50', '1250.50', '1250.50'])
  for (const text of texts) assert.equal(parseMoney(text, 'EUR'), 125050)
})

test('a word stands for its value in either language, and a code that has none stays as it is', () => {
  assert.deepEqual([['meal', 'Rind'], ['meal', 'beef'], ['category', 'haare und make-up'], ['meal', 'Kaninchen'], ['', 'x']].map(([family, text]) => meantBy(family, text)),
    ['beef', 'beef', 'hair_makeup', undefined, undefined])
})

test('a note is named as people write, and a table without the word where it has a name', () => {
  assert.deepEqual(['Packing list', 'Menü: Käse & Wein', '../x', '!', 'a'.repeat(80)].map(slugOf), ['Packing-list', 'Menu-Kase-Wein', 'x', '', 'a'.repeat(64)])
  assert.deepEqual(['Packing-list', 'welcome', '--'].map(noteTitle), ['Packing list', 'Welcome', ''])
  assert.deepEqual(['4', '12b', 'C', '', 'Head table', 'Long 1'].map(tableName), ['Table 4', 'Table 12b', 'Table C', 'Table ', 'Head table', 'Long 1'])
})

test('money is read as people write it', () => {
  const read = (currency, texts) => texts.map((text) => parseMoney(text, currency))
  assert.deepEqual(read('GBP', ['12.50', '12,5', '12', '.5', '1 234,56', "1'234.56"]), [1250, 1250, 1200, 50, 123456, 123456])
  assert.deepEqual(read('GBP', ['1,234', '1.234', '1,234.56', '1.234,56', '1,234,567.8']), [123400, 123400, 123456, 123456, 123456780])
  assert.deepEqual(read('JPY', ['1,250', '1250', '1.250.000']), [1250, 1250, 1250000])
  assert.deepEqual(read('KWD', ['1.25', '1.250', '1.250,5']), [1250, 1250, 1250500])
  for (const wrong of ['', '-5', 'twelve', '12.345.6', '1234.567', '1.2345', '.', '99999999999999999']) assert.equal(parseMoney(wrong, 'GBP'), undefined, wrong)
})

test('every amount is read back as it was written', () => {
  for (const currency of ['GBP', 'JPY', 'KWD']) {
    for (const amount of [0, 1, 9, 10, 99, 100, 101, 12345, 99999, 100000, 2 ** 31, LARGEST]) assert.equal(parseMoney(moneyText(amount, currency), currency), amount)
  }
})

test('amounts of other currencies are exact, and nothing without a rate', () => {
  assert.equal(convert(1250, 'EUR', '1.1', 'USD'), 1375)
  assert.equal(convert(1000, 'JPY', '0.0061', 'USD'), 610)
  assert.equal(convert(100, 'USD', '150.005', 'JPY'), 151) // as the server: fractions count as one
  assert.equal(convert(LARGEST, '', undefined, 'USD'), LARGEST)
  for (const rate of [undefined, '', '1,1', '-1', 'x', '1e2']) assert.equal(convert(1, 'EUR', rate, 'USD'), undefined)
})

test('time of day goes across midnight both ways, and is read as people write it', () => {
  const written = { 930: '15:30', 0: '00:00', 1439: '23:59', 1440: '00:00 +1', '-1': '23:59 -1', '-360': '18:00 -1', 43200: '00:00 +30' }
  for (const [minutes, text] of Object.entries(written)) assert.equal(clock(Number(minutes)), text)
  for (let minutes = -43200; minutes <= 43200; minutes += 1) assert.equal(parseClock(clock(minutes)), minutes)
  assert.deepEqual([-1441, -1, 0, 1439, 1440].map(dayOf), [-2, -1, 0, 0, 1])
  assert.equal(timeOfDay(-1), '23:59')
  assert.deepEqual(['9:05', '9.05', '0905', '905', ' 15h30 ', '18:00 −1', '18:00-1', '1:00 + 1', '15:30 +0'].map(parseClock),
    [545, 545, 545, 545, 930, -360, -360, 1500, 930])
  for (const wrong of ['', '24:00', '12:60', 'noon', '12:5', '12:30 1', '00:01 +30', '00:00 -31']) assert.equal(parseClock(wrong), undefined, wrong)
  assert.deepEqual(['1 h 30', '1:30', '1.5 h', '90', '90 min', 'long'].map(parseDuration), [90, 90, 90, 90, 90, undefined])
})

test('a time zone that is spelt wrongly is UTC', () => {
  const day = (zone) => formatIn(zone, 'en-CA').format(new Date('2026-06-20T23:30:00Z'))
  assert.deepEqual(['Europe/Berlin', 'Europe/Berln', '', undefined].map(day), ['2026-06-21', '2026-06-20', '2026-06-20', '2026-06-20'])
})

test('moments are told by their age, and names are found in any script', () => {
  const now = Date.parse('2026-06-20T12:00:00Z')
  assert.deepEqual(['2026-06-20T11:59:30Z', '2026-06-20T12:05:00Z', 'x'].map((at) => ago(at, now)), ['just now', 'just now', ''])
  assert.match(ago('2026-06-20T11:01:00Z', now), /^59 min/)
  assert.equal(folded('Zoë ÅNGSTRÖM'), 'zoe angstrom')
})

test('a token names its wedding, and a code is no token', () => {
  assert.deepEqual(['a.b.c', 'eyJ.e-J_.', 'ABCD-EFGH', 'a.b', 'a.b.c.d', 'a b.c.d'].map(isToken), [true, true, false, false, false, false])
  const signed = `x.${Buffer.from(JSON.stringify({ wedding: 'w_2', name: 'Zoë 🌿 ?>' })).toString('base64url')}.x`
  assert.equal(weddingOf(signed), 'w_2')
  for (const nonsense of ['', 'x', 'a.b.c', 'x.é.x', `x.${btoa('[1]')}.x`, `x.${btoa('null')}.x`, `x.${btoa('{"wedding":5}')}.x`]) assert.equal(weddingOf(nonsense), '')
})

test('documents have the names of their views', () => {
  assert.deepEqual(['guests', 'timeline@team', 'notes.board', 'x'].map((name) => nameOfDocument(undefined, name)), ['Guests', 'Timeline', 'Notes: board', 'x'])
})

test('what the server names by its document leads to a view', () => {
  const place = (type, document) => placeOf({ type, document, record: 'x' })
  assert.deepEqual(place('message.sent', 'thread.t_1'), { view: 'messages', record: 't_1' })
  assert.deepEqual(place('doc.changed', 'notes.board'), { view: 'notes', record: 'board' })
  assert.deepEqual(place('timeline.item.moved', 'timeline@team'), { view: 'timeline', record: 'x' })
  assert.deepEqual(place('conflict.opened', 'guests'), { view: 'conflicts' })
  assert.equal(place('seating.changed', 'elsewhere'), undefined)
})

test('files of a message are what has an id and a name, whatever somebody has written', () => {
  assert.deepEqual([undefined, 'x', [5, null, { id: 'a' }, { id: 'a', name: 'b', size: 1 }]].map((each) => attachedTo(each).length), [0, 0, 1])
})

/** A record of a conflict as a server has written it, in the list of a client. */
const listed = (record) => {
  const [doc, watched] = [new Y.Doc(), []]
  doc.getMap('items').set('i_1', new Y.Map([['title', 'Toast'], ['start', 960]]))
  doc.getMap('review').set('c_1', new Y.Map(Object.entries(record)))
  const part = { name: 'timeline', kind: 'timeline', map: (root) => doc.getMap(root), rootSpec: () => ({ fields: { start: { type: 'minutes' } } }), watch: (root) => { watched.push(root); return () => {} } }
  const journal = { person: () => ({ id: 'u_me', user: 'u_me', name: 'Me', role: 'planner' }) }
  const reviews = new Reviews(journal, new Words((name) => (name === 'timeline' ? part : undefined)), () => Date.parse('2026-05-01T12:00:00Z'))
  reviews.add(part)
  return [reviews.list('auto')[0], watched]
}
const field = (key) => ({ document: 'timeline', root: 'items', record: 'i_1', key })
const auto = { _state: 'auto', _at: '2026-05-01T11:00:00Z', _options: [{ id: 0, text: 'Keep.' }, { id: 1, text: 'Back.' }] }

test('a conflict that nobody had to decide is moot', () => {
  const of = (outcome) => listed({ ...auto, _outcome: outcome })[0]
  assert.deepEqual([of('moot'), of('undone')].map(({ isMoot, decidedBy }) => [isMoot, decidedBy]), [[true, null], [false, null]])
})

test('conflicts of older servers have no more than these knew', () => {
  const [old, watched] = listed({ ...auto, _subject: [field('start')], _parties: [{ user: 'u_me', role: 'couple', value: 930 }] })
  assert.deepEqual([old.undo, old.canUndo, watched], [undefined, true, ['review']])
  const { wrote, before, text, place, stands, now } = old.people[0]
  assert.deepEqual([wrote, before, text, place, stands, now], ['15:30', undefined, '', undefined, false, undefined])
  const [mixed] = listed({ ...auto, _subject: [field('start'), field('title')], _parties: [{ user: 'u_me', role: 'couple', value: 930 }] })
  assert.equal(mixed.people[0].wrote, '')
})

test('a conflict says who wrote which field over what, what stands, and how to undo it', () => {
  const parties = [{ user: 'u_me', role: 'couple', subject: 0, value: 930, before: 900, text: 'Toast.' }, { user: 'u_bob', role: 'planner', subject: 0, value: 960 }, { user: 'u_bob', role: 'planner', subject: 1, before: null, value: 'Toast' }]
  const [conflict, watched] = listed({ ...auto, _undo: 1, _subject: [field('start'), field('title')], _parties: parties })
  assert.deepEqual(conflict.undo, { id: 1, text: 'Back.' })
  assert.deepEqual(conflict.people.map(({ place, wrote, before, stands, now }) => [place.field, wrote, before, stands, now]),
    [['start', '15:30', '15:00', false, '16:00'], ['start', '16:00', undefined, true, '16:00'], ['title', 'Toast', '', true, 'Toast']])
  assert.deepEqual(conflict.people.map(({ name }) => name), ['Me', '', '']) // an application has a word of its own language
  assert.deepEqual(watched, ['review', 'items'])
  const [guarded] = listed({ ...auto, _undo: 1, _options: [{ id: 1, text: 'Back.', roles: ['couple'] }] })
  assert.deepEqual([guarded.undo, guarded.canUndo], [undefined, false])
  const [late] = listed({ ...auto, _at: '2026-04-01T11:00:00Z', _undo: 1 })
  assert.deepEqual([late.undo, late.canUndo], [undefined, false])
})

test('an address that is spelt wrongly leads to the start', () => {
  const start = { wedding: 'demo', view: 'overview', record: '' }
  for (const hash of ['', '#', '#/', '#/%E0%A4%A', '#/../x', '#/%', '#wedding=%']) assert.deepEqual(routeOf(hash), start, hash)
  assert.deepEqual(routeOf('#/w_42/messages/t_1'), { wedding: 'w_42', view: 'messages', record: 't_1' })
  assert.deepEqual(routeOf('#/w_42/nowhere/%zz'), { ...start, wedding: 'w_42' })
  assert.deepEqual(routeOf('#wedding=w_42'), { ...start, wedding: 'w_42' })
})
