// What reaches somebody, and who is part of the wedding.
import assert from 'node:assert/strict'
import { begin, go, offers, open, passes, PHONE, record, saved } from './support.mjs'

export const scenarios = {
  // Preferences are the person's own: chosen by channel, and there after a reload.
  async preferences () {
    const ann = await open('prefs', 'overview')
    await begin(ann, { title: 'My own', template: 'Blank' })
    await go(ann, 'prefs', 'settings')
    const mine = ann.getByRole('region', { name: 'What reaches me' })
    const stored = (work) => Promise.all([ann.waitForResponse((answer) => answer.request().method() === 'PUT' && answer.ok()), work()])
    await mine.getByRole('radio', { name: 'mail' }).check()
    await stored(() => mine.getByLabel('Budget').selectOption('digest'))
    await stored(async () => {
      await mine.getByLabel('Quiet from').fill('21:30')
      await mine.getByLabel('Quiet from').press('Enter')
    })
    await ann.reload()
    await mine.getByRole('radio', { name: 'mail' }).check()
    assert.equal(await mine.getByLabel('Budget').inputValue(), 'digest')
    assert.equal(await mine.getByLabel('Quiet from').inputValue(), '21:30')
    const bao = await open('prefs', 'settings', { name: 'Bao', viewport: PHONE, colorScheme: 'dark' })
    const his = bao.getByRole('region', { name: 'What reaches me' })
    await his.getByRole('radio', { name: 'mail' }).check()
    assert.equal(await his.getByLabel('Budget').inputValue(), '')
    await saved(ann)
    await passes(bao, 'preferences-phone')
  },

  // A vendor has somebody to call.
  async contact () {
    const ann = await open('contact', 'overview')
    await begin(ann, { title: 'Whom to call', template: 'Blank' })
    await go(ann, 'contact', 'vendors')
    await ann.getByLabel('Add a vendor').fill('Night Shift')
    await ann.keyboard.press('Enter')
    await record(ann, 'Night Shift').click()
    const drawer = ann.getByRole('dialog', { name: 'Night Shift' })
    await drawer.getByLabel('Trade').fill('Music, live')
    await drawer.getByLabel('E-mail').fill('dj@night.example')
    await drawer.getByLabel('E-mail').press('Enter')
    await drawer.getByRole('link', { name: 'Write a mail' }).waitFor()
    assert.equal(await drawer.getByLabel('Trade').inputValue(), 'music live')
    await saved(ann)
  },

  // Somebody is invited by a code that is shown once; the invitation is withdrawn.
  async people () {
    const ann = await open('invite', 'overview')
    await begin(ann, { title: 'Come in', template: 'Blank' })
    await go(ann, 'invite', 'settings')
    const people = ann.getByRole('region', { name: 'People' })
    await people.getByLabel('Name').fill('Pat')
    await people.getByLabel('Name').press('Enter')
    await people.locator('.invitation-code').waitFor()
    await people.getByText('Pat planner, invited').waitFor()
    await passes(ann, 'people')
    await people.getByRole('button', { name: 'Withdraw the invitation of Pat' }).click()
    await people.getByText('Pat planner, invited').waitFor({ state: 'detached' })
  },

  // Whoever takes part is removed only after a question.
  async removal () {
    const ann = await open('demo', 'settings')
    const people = ann.getByRole('region', { name: 'People' })
    const asked = []
    ann.on('request', (request) => { if (request.method() === 'DELETE') asked.push(request.url()) })
    await people.getByRole('button', { name: /^Remove / }).first().click()
    await ann.getByRole('dialog', { name: / from this wedding\?$/ }).getByRole('button', { name: 'Cancel' }).press('Enter')
    await ann.getByRole('dialog').waitFor({ state: 'detached' })
    await people.getByRole('button', { name: /^Remove / }).first().and(ann.locator(':focus')).waitFor()
    assert.deepEqual(asked, [])
  },

  // Towards a server with --dev one looks as any role: as a member with their name, with the rights of the role or without.
  async roles () {
    const urls = []
    const page = await open('demo', 'overview', { route: (page) => page.on('websocket', (socket) => urls.push(socket.url())) })
    const ALL = 'overview guests arrivals seating diets timeline budget tasks vendors conflicts messages notes settings'
    const change = async (work) => {
      await saved(page)
      urls.length = 0
      if (await page.getByRole('dialog').count() === 0) await page.getByRole('button', { name: /^You:/ }).click()
      await work(page.getByRole('dialog'))
    }
    await offers(page, ALL)
    await change(async (you) => {
      const [id] = await you.getByLabel('Person').locator('option', { hasText: ', caterer' }).evaluateAll((all) => all.map(({ value }) => value))
      await you.getByLabel('Person').selectOption(id)
    })
    await offers(page, ALL)
    await page.waitForFunction(() => document.querySelector('.saved[data-state=saved]'))
    assert.ok(urls.some((url) => /\/demo\/wedding\?.*role=caterer.*vendor=v_/.test(url)), String(urls))
    await change((you) => you.getByLabel('Role', { exact: true }).selectOption('family'))
    await offers(page, ALL)
    await change((you) => you.getByLabel('With the rights of this role').click())
    await offers(page, 'overview seating timeline tasks vendors conflicts messages settings')
    await change((you) => you.getByLabel('Role', { exact: true }).selectOption('coordinator'))
    await offers(page, 'overview guests arrivals seating diets timeline tasks vendors conflicts messages notes settings')
    await change((you) => you.getByLabel('With the rights of this role').click())
    await offers(page, ALL)
    assert.match(page.url(), /#\/demo\/overview$/)
  }
}
