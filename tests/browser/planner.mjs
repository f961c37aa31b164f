// The parts of the planner. All scenarios work on the wedding `demo`, each on records of its own.
import assert from 'node:assert/strict'
import {
  chair, conflict, enter, fits, holds, item, lists, offline, online, saved, screenshots, seat, sits, tab, visit
} from './support.mjs'

const PARTS = ['timeline', 'budget', 'guests', 'seating']

const open = (name, options) => visit({ wedding: 'demo', name }, options)
const text = (page, selector) => page.locator(selector).textContent()

export const scenarios = {
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

  // Money is entered as people write it, and the sums follow for everybody. Too much of it is a conflict, until it is
  // less again.
  async money () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao')])
    await Promise.all([tab(ann, 'budget'), tab(bao, 'budget')])
    const rowOf = (page) => page.locator('.money tbody tr').first()
    const name = 'Hall <b>ליל</b> & 🎂'
    await enter(rowOf(ann).locator('input').first(), name)
    const before = await text(bao, '#panel-budget .summary')
    await enter(rowOf(ann).locator('[data-field=actual]'), '1.234.567,80')
    await holds(rowOf(bao).locator('[data-field=actual]'), '1234567.80')
    await bao.waitForFunction((old) => document.querySelector('#panel-budget .summary').textContent !== old, before)
    assert.equal(await bao.locator('#panel-budget .summary').getAttribute('data-over'), 'true')
    await tab(bao, 'conflicts')
    for (const summary of ['Everything together costs', 'is set aside']) {
      const card = conflict(bao, summary).filter({ hasText: `Take ${name} off the budget.` })
      await card.getByRole('button', { name: 'Leave it as it is.' }).waitFor()
    }
    await bao.screenshot({ path: `${screenshots}/planner-conflicts.png` })
    await enter(rowOf(ann).locator('[data-field=actual]'), '')
    await conflict(bao, 'Everything together costs').waitFor({ state: 'detached' })
    await conflict(bao, name).waitFor({ state: 'detached' })
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
    await sits(bao, 'Long 2', 3, [])
    await seat(ann, 'Madhuri', 'Long 2', 3)
    await sits(bao, 'Long 2', 3, ['Madhuri'])
    assert.equal(await bao.locator('.waiting').getByText('Madhuri', { exact: true }).count(), 0)
    await chair(bao, 'Long 2', 3).click()
    await bao.getByRole('button', { name: 'Take the chair away' }).click()
    await sits(ann, 'Long 2', 3, [])
    await ann.locator('.waiting').getByText('Madhuri', { exact: true }).waitFor()
    await Promise.all([saved(ann), saved(bao)])
  },

  // Work goes on offline and comes together afterwards.
  async offline () {
    const [ann, bao] = await Promise.all([open('Ann'), open('Bao')])
    await offline(ann)
    await lists(bao, ['Bao'])
    const [hers, his] = [await item(ann, 'Toasts'), await item(bao, 'Toasts')]
    await enter(hers.locator('.duration'), '17')
    await ann.waitForSelector('#saved[data-state=kept]')
    await ann.screenshot({ path: `${screenshots}/planner-offline.png` })
    await his.locator('.status').selectOption('ready')
    await saved(bao)
    await online(ann)
    await holds(his.locator('.duration'), '17')
    await holds(hers.locator('.status'), 'ready')
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

  // With its rights, a role sees what it may see and nothing else; without them everything again.
  async rights () {
    const page = await open('Ann')
    const shown = () => page.locator('[role=tab]:visible').evaluateAll((all) => all.map(({ id }) => id.slice(4)))
    await page.locator('#role').selectOption('family')
    await saved(page)
    assert.equal((await shown()).length, 9)
    await page.locator('#enforce').check()
    await page.locator('#tab-note').waitFor({ state: 'hidden' })
    await saved(page)
    assert.ok((await shown()).includes('seating'))
    assert.equal(await page.locator('.item .title').first().isDisabled(), true)
    assert.match(page.url(), /role=family/)
    assert.match(page.url(), /enforce=1/)
    await page.screenshot({ path: `${screenshots}/planner-rights.png` })
    await page.locator('#role').selectOption('coordinator')
    await page.locator('#tab-note').waitFor()
    await saved(page)
    assert.ok(!(await shown()).includes('budget'))
    await page.locator('#enforce').uncheck()
    await page.locator('#tab-budget').waitFor()
    await saved(page)
    assert.equal((await shown()).length, 9)
  }
}
