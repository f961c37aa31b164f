// Conversations and the inbox of people who were invited: one of the couple, who organizes, and one of the family, who
// opens the conversations that they take part in.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { fits, server } from '../support.mjs'
import { comeIn, go, knock, passes, PHONE, saved } from './support.mjs'

const WEDDING = 'w'
const MARKUP = 'The <b>oak</b> <img src=x onerror="document.title=1"> is down'

const invited = async (role, name, options) => {
  const code = await (await fetch(`${server}/test/invite/${role}/${name}`)).json()
  const page = await knock(`/${WEDDING}/messages`, options)
  await comeIn(page, code)
  await saved(page)
  await go(page, WEDDING, 'messages')
  return page
}

const pair = (one, other) => Promise.all([invited('couple', one), invited('family', other)])

const start = async (page, title, other) => {
  await page.getByLabel('New conversation').fill(title)
  await page.getByRole('button', { name: 'Start' }).click()
  await page.getByRole('heading', { name: title }).waitFor()
  await page.getByRole('button', { name: '1 person' }).click()
  const details = page.getByRole('dialog', { name: title })
  await details.getByLabel('Add a person').selectOption({ label: other })
  await details.getByRole('button', { name: 'Add' }).click()
  await details.locator('.participants li', { hasText: other }).waitFor()
  await page.keyboard.press('Escape')
}

const write = async (page, text) => {
  await page.getByLabel('Write a message').fill(text)
  await page.keyboard.press('Enter')
}

const message = (page, text) => page.locator('.message', { has: page.locator('.body', { hasText: text }) })

export const scenarios = {
  // Two people hold a conversation: what one writes is on the page of the other, in the inbox, and counted; who reads and
  // who writes is seen. What people type is text.
  async conversation () {
    const [clara, fritz] = await pair('Clara', 'Fritz')
    await start(clara, 'The garden', 'Fritz')
    await write(clara, MARKUP)
    await message(clara, MARKUP).and(clara.locator('[data-waiting=false]')).waitFor()
    const listed = fritz.locator('.thread-list').getByRole('link', { name: 'The garden' })
    await listed.locator('.count', { hasText: '1' }).waitFor()
    await fritz.locator('.thread-list').getByRole('link', { name: 'Inbox' }).click()
    const notice = fritz.locator('.inbox-item', { hasText: MARKUP })
    await notice.waitFor()
    assert.equal(await fritz.locator('.inbox-item :is(img, b)').count(), 0)
    await notice.getByRole('link', { name: 'The garden' }).click()
    await message(fritz, MARKUP).waitFor()
    assert.equal(await fritz.locator('.message :is(img, .body b)').count(), 0)
    await listed.locator('.count').waitFor({ state: 'detached' })

    await clara.getByText('Fritz is reading').waitFor()
    await message(fritz, MARKUP).hover()
    await message(fritz, MARKUP).getByRole('button', { name: '🎉, 0 people' }).click()
    await message(fritz, MARKUP).getByRole('button', { name: /^Reply to/ }).click()
    await fritz.getByLabel('Write a message').pressSequentially('Then we')
    await clara.getByText('Fritz is writing…').waitFor()
    await write(fritz, 'Then we plant a new one')
    await message(clara, 'Then we plant').locator('.quoted', { hasText: 'oak' }).waitFor()
    await message(clara, 'Then we plant').locator('.from', { hasText: 'Fritz' }).waitFor()
    await clara.getByText('Fritz is reading').waitFor()
    await message(clara, MARKUP).getByRole('button', { name: '🎉, 1 person' }).waitFor()
    assert.equal(await message(fritz, MARKUP).getByRole('button', { name: 'Take back' }).count(), 0)
    await message(fritz, 'Then we plant').hover()
    await message(fritz, 'Then we plant').getByRole('button', { name: 'Take back' }).click()
    await fritz.getByRole('dialog', { name: 'Take back this message?' }).getByRole('button', { name: 'Take back' }).click()
    await message(clara, 'Taken back').waitFor()
    assert.equal(await message(clara, 'Then we plant').count(), 0)
    await passes(clara, 'talk', { hasAxe: true })

    // Who is taken out does not see the conversation any more.
    await clara.getByRole('button', { name: '2 people' }).click()
    await clara.getByRole('button', { name: 'Mute', exact: true }).click()
    await clara.getByRole('button', { name: 'Unmute' }).click()
    await clara.getByRole('button', { name: 'Mute', exact: true }).waitFor()
    await clara.getByRole('button', { name: 'Take out Fritz' }).click()
    await fritz.getByText('not open to you, or not any more').waitFor()
  },

  // A file goes with a message, and comes as it was; a search finds the message, and leads to it.
  async files () {
    const [clara, fritz] = await pair('Cleo', 'Fred')
    await start(clara, 'The cellar', 'Fred')
    await clara.getByLabel('Attach files').setInputFiles({ name: 'wine.txt', mimeType: 'text/plain', buffer: Buffer.from('Pinot') })
    await clara.locator('.composer .files li', { hasText: 'wine.txt' }).waitFor()
    await write(clara, 'Sixty bottles of Spätburgunder')
    await clara.locator('.composer .files').waitFor({ state: 'detached' })

    // The router indexes a message some time after it was sent.
    const search = fritz.getByLabel('Search messages and notes')
    await search.fill('spatburgunder')
    for (let hits = []; !hits.length;) {
      const response = fritz.waitForResponse((each) => each.url().includes('/search?'))
      await search.press('Enter')
      ;({ hits } = await (await response).json())
    }
    const found = fritz.locator('.hits li', { hasText: 'Sixty bottles' })
    assert.equal(await found.locator('mark').textContent(), 'Spätburgunder')
    await found.getByRole('link').click()
    const file = message(fritz, 'Sixty bottles').getByRole('button', { name: 'wine.txt' })
    const [download] = await Promise.all([fritz.waitForEvent('download'), file.click()])
    assert.equal(download.suggestedFilename(), 'wine.txt')
    assert.equal(await readFile(await download.path(), 'utf8'), 'Pinot')
    await search.fill('riesling')
    await search.press('Enter')
    await fritz.getByText('Nothing found.').waitFor()
    await fritz.setViewportSize(PHONE)
    assert.ok(await fits(fritz))
  },

  // An item of the inbox leads to its record, here one of the timeline that somebody else has moved. An address is
  // confirmed by the code that was sent to it.
  async reaches () {
    const [rosa, carl] = await Promise.all([invited('planner', 'Rosa'), invited('couple', 'Carl')])
    await go(carl, WEDDING, 'timeline')
    await carl.locator('.item', { hasText: 'Toasts' }).first().click()
    const drawer = (page) => page.getByRole('dialog', { name: 'Toasts' })
    await drawer(carl).getByLabel('Start').fill('21:10')
    await drawer(carl).getByLabel('Start').press('Enter')
    await saved(carl)
    await rosa.locator('.thread-list').getByRole('link', { name: 'Inbox' }).click()
    await rosa.locator('.inbox-item a[href*="/timeline/"]', { hasText: 'Toasts' }).first().click()
    await drawer(rosa).waitFor()

    await go(rosa, WEDDING, 'settings')
    const addresses = rosa.getByRole('region', { name: 'Addresses' })
    await addresses.getByLabel('Address').fill('rosa@example.org')
    await addresses.getByRole('button', { name: 'Add an address' }).click()
    const line = addresses.locator('li', { hasText: 'rosa@example.org' })
    await line.getByLabel('Code that was sent').waitFor()
    await line.getByLabel('Code that was sent').fill(await (await fetch(`${server}/test/code/u_rosa/mail/rosa@example.org`)).json())
    await line.getByLabel('Code that was sent').press('Enter')
    await line.getByLabel('Code that was sent').waitFor({ state: 'detached' })
    await line.getByRole('button', { name: 'Remove rosa@example.org' }).click()
    await line.waitFor({ state: 'detached' })
  }
}
