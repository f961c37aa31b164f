// Point 8: what reaches somebody, and who is part of the wedding.
import assert from 'node:assert/strict'
import { begin, go, open, passes, PHONE, record, saved } from './support.mjs'

export const scenarios = {
  // Preferences are the person's own: chosen by channel, and there after a reload.
  async preferences () {
    const ann = await open('prefs', 'overview')
    await begin(ann, { title: 'My own', template: 'Blank' })
    await go(ann, 'prefs', 'settings')
    const mine = ann.getByRole('region', { name: 'What reaches me' })
    const stored = (work) => Promise.all([ann.waitForResponse((answer) => answer.request().method() === 'PUT' && answer.ok()), work()])
    await mine.getByRole('radio', { name: 'mail' }).check({ force: true })
    await stored(() => mine.getByLabel('Budget').selectOption('digest'))
    await stored(async () => {
      await mine.getByLabel('Quiet from').fill('21:30')
      await mine.getByLabel('Quiet from').press('Enter')
    })
    await ann.reload()
    await mine.getByRole('radio', { name: 'mail' }).check({ force: true })
    assert.equal(await mine.getByLabel('Budget').inputValue(), 'digest')
    assert.equal(await mine.getByLabel('Quiet from').inputValue(), '21:30')
    const bao = await open('prefs', 'settings', { name: 'Bao', viewport: PHONE, colorScheme: 'dark' })
    const his = bao.getByRole('region', { name: 'What reaches me' })
    await his.getByRole('radio', { name: 'mail' }).check({ force: true })
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
  }
}
