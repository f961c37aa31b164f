// Conversations, inbox and preferences of people who were invited: Clara of the couple, who organizes, and Fritz of the
// family, who opens the conversations that he takes part in.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { browse, enter, fits, holds, item, saved, screenshots, server, tab } from './support.mjs'

const MARKUP = 'The <b>oak</b> <img src=x onerror="document.title=1"> is down'

const invited = async (role, name, wedding = 'w') => {
  const code = await (await fetch(`${server}/test/invite/${wedding}/${role}/${name}`)).json()
  const page = await browse(`${server}/#wedding=${wedding}`)
  await page.locator('#proof').fill(code)
  await page.locator('#entry button').click()
  await saved(page)
  return page
}

const start = async (page, title) => {
  await tab(page, 'messages')
  await page.locator('[name=title]').fill(title)
  await page.getByRole('button', { name: 'Start' }).click()
  await page.locator('.conversation h3', { hasText: title }).waitFor()
}

const add = async (page, user) => {
  await page.locator('[name=participant]').fill(user)
  await page.locator('[name=participant]').press('Enter')
  await page.locator('.participants li').nth(1).waitFor()
}

const write = async (page, text) => {
  await page.locator('[name=body]').fill(text)
  await page.locator('[name=body]').press('Enter')
}

const message = (page, text) => page.locator('.message', { has: page.locator('.body', { hasText: text }) })
const unread = (page, number) => page.locator('#unread-count:visible', { hasText: new RegExp(`^${number}$`) }).waitFor()
const nothingUnread = (page) => page.locator('#unread').waitFor({ state: 'hidden' })

export const scenarios = {
  // Two people hold a conversation: what one writes is on the page of the other, in the inbox, and counted.
  async conversation () {
    const [clara, fritz] = [await invited('couple', 'Clara'), await invited('family', 'Fritz')]
    await nothingUnread(fritz)
    await start(clara, 'The garden')
    await add(clara, 'u_fritz')
    await write(clara, MARKUP)
    const notice = fritz.locator('.notice-item', { hasText: MARKUP })
    await unread(fritz, 1)
    await fritz.locator('#unread').click()
    await notice.waitFor()
    assert.equal(await fritz.locator('#panel-inbox img, #panel-inbox .body b').count(), 0)
    await fritz.screenshot({ path: `${screenshots}/messages-inbox.png` })

    // The list counts until the conversation is open.
    await tab(fritz, 'messages')
    const listed = fritz.locator('.thread', { hasText: 'The garden' })
    await listed.locator('.number', { hasText: /^1$/ }).waitFor()
    await tab(fritz, 'inbox')
    await notice.locator('.title').click()
    await fritz.locator('.conversation h3', { hasText: 'The garden' }).waitFor()
    await message(fritz, MARKUP).waitFor()
    assert.equal(await fritz.locator('.messages img, .messages .body b').count(), 0)
    await listed.locator('.number').waitFor({ state: 'hidden' })
    await tab(fritz, 'inbox')
    assert.equal(await notice.getAttribute('data-read'), 'true')
    await nothingUnread(fritz)

    await tab(fritz, 'messages')
    await message(fritz, MARKUP).getByRole('button', { name: '🎉' }).click()
    await message(fritz, MARKUP).getByRole('button', { name: 'Reply' }).click()
    await write(fritz, 'Then we plant a new one')
    await message(clara, 'Then we plant').locator('.quoted', { hasText: 'oak' }).waitFor()
    await message(clara, MARKUP).locator('[data-emoji="🎉"]', { hasText: '1' }).waitFor()
    await message(clara, 'Then we plant').locator('.from', { hasText: 'Fritz' }).waitFor()
    assert.equal(await message(fritz, MARKUP).getByRole('button', { name: 'Take back' }).isVisible(), false)
    await fritz.screenshot({ path: `${screenshots}/messages-conversation.png` })
    await message(fritz, 'Then we plant').getByRole('button', { name: 'Take back' }).click()
    await message(clara, 'This message was taken back').waitFor()
    assert.equal(await message(clara, 'Then we plant').count(), 0)

    await clara.getByRole('button', { name: 'Mute', exact: true }).click()
    await clara.getByRole('button', { name: 'Unmute' }).click()
    await clara.getByRole('button', { name: 'Mute', exact: true }).waitFor()

    // A second message while the other is elsewhere; what is marked as read is so on a second device, too.
    await tab(fritz, 'inbox')
    await nothingUnread(fritz)
    await write(clara, 'An apple tree?')
    await unread(fritz, 1)
    const [other] = await Promise.all([fritz.waitForEvent('popup'), fritz.evaluate(() => { open(location.href) })])
    await unread(other, 1)
    await fritz.locator('.notice-item', { hasText: 'An apple tree?' }).getByRole('button', { name: 'Mark as read' }).click()
    await nothingUnread(fritz)
    await nothingUnread(other)

    // Who is taken out does not see the conversation any more.
    await clara.locator('.participants li', { hasText: 'Fritz' }).getByRole('button', { name: 'Remove' }).click()
    await fritz.locator('.toast', { hasText: 'not open to you' }).waitFor()
    await tab(fritz, 'messages')
    await listed.waitFor({ state: 'detached' })
    assert.equal(await fritz.locator('.conversation').isVisible(), false)
    await clara.setViewportSize({ width: 390, height: 800 })
    assert.ok(await fits(clara))
  },

  // A file goes with a message, and comes as it was; a search finds the message, and leads to it.
  async files () {
    const [clara, fritz] = [await invited('couple', 'Cleo'), await invited('family', 'Fred')]
    await start(clara, 'The cellar')
    await add(clara, 'u_fred')
    await clara.locator('[name=file]').setInputFiles({ name: 'wine.txt', mimeType: 'text/plain', buffer: Buffer.from('Pinot') })
    await clara.locator('.write li', { hasText: 'wine.txt' }).waitFor()
    await write(clara, 'Sixty bottles of Spätburgunder')
    await clara.locator('.write li').waitFor({ state: 'detached' })

    // The router indexes a message some time after it was sent.
    await tab(fritz, 'messages')
    await fritz.locator('[name=q]').fill('spatburgunder')
    const found = fritz.locator('.find li', { hasText: 'Sixty bottles' })
    for (let hits = []; !hits.length;) {
      const response = fritz.waitForResponse((each) => each.url().includes('/search?'))
      await fritz.locator('[name=q]').press('Enter')
      ;({ hits } = await (await response).json())
    }
    assert.equal(await found.locator('mark').textContent(), 'Spätburgunder')
    await found.locator('.title').click()
    const file = message(fritz, 'Sixty bottles').getByRole('button', { name: 'wine.txt' })
    const [download] = await Promise.all([fritz.waitForEvent('download'), file.click()])
    assert.equal(download.suggestedFilename(), 'wine.txt')
    assert.equal(await readFile(await download.path(), 'utf8'), 'Pinot')
    await fritz.screenshot({ path: `${screenshots}/messages-files.png` })
    await fritz.locator('[name=q]').fill('riesling')
    await fritz.locator('[name=q]').press('Enter')
    await fritz.locator('.find', { hasText: 'Nothing found.' }).waitFor()
    await fritz.setViewportSize({ width: 390, height: 800 })
    assert.ok(await fits(fritz))
  },

  // An item leads to its record: here an item of the timeline that somebody else has moved.
  async record () {
    const [rosa, carl] = [await invited('planner', 'Rosa', 'planted'), await invited('couple', 'Carl', 'planted')]
    await enter((await item(carl, 'Toasts')).locator('.start'), '21:10')
    await saved(carl)
    await tab(rosa, 'inbox')
    await rosa.locator('.notice-item', { hasText: 'timeline item moved' }).filter({ hasText: 'Toasts' }).locator('.title').click()
    await rosa.waitForSelector('#panel-timeline:not([hidden])')
    await rosa.waitForFunction(() => document.activeElement.querySelector('.title')?.value === 'Toasts')
  },

  // What somebody prefers is there after a reload, and so are the addresses.
  async preferences () {
    const page = await invited('planner', 'Petra')
    await tab(page, 'preferences')
    const mode = page.locator('[data-group=messages][data-channel=mail]')
    await mode.selectOption('digest')
    await page.locator('[name=start]').fill('22:00')
    await page.locator('[name=end]').fill('07:30')
    await page.locator('[name=digestHour]').selectOption('19')
    await page.locator('[name=timezone]').fill('Pacific/Auckland')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.locator('#panel-preferences .summary', { hasText: /^Saved$/ }).waitFor()
    await page.locator('[name=address]').fill('petra@example.org')
    await page.locator('[name=address]').press('Enter')
    const contact = page.locator('.contacts li', { hasText: 'petra@example.org' })
    await contact.locator('[name=code]').waitFor()
    const code = await (await fetch(`${server}/test/code/w/u_petra/mail/petra@example.org`)).json()
    await contact.locator('[name=code]').fill(code)
    await contact.locator('[name=code]').press('Enter')
    await contact.locator('[name=code]').waitFor({ state: 'hidden' })
    await page.reload()
    await saved(page)
    await holds(mode, 'digest')
    const expected = { start: '22:00', end: '07:30', digestHour: '19', timezone: 'Pacific/Auckland' }
    for (const [name, value] of Object.entries(expected)) await holds(page.locator(`[name=${name}]`), value)
    await page.screenshot({ path: `${screenshots}/messages-preferences.png` })
    await page.locator('.contacts li', { hasText: 'petra@example.org' }).getByRole('button', { name: 'Remove' }).click()
    await page.locator('.contacts li').waitFor({ state: 'detached' })
  }
}
