// The note. Every scenario works on a note of its own.
import assert from 'node:assert/strict'
import { fits, lists, saved, scenario, screenshots, visit } from './support.mjs'

const open = (name, options) => visit({ wedding: 'browser', note: scenario, name }, options)
const type = (page, text) => page.locator('#text').pressSequentially(text)
const textOf = (page) => page.locator('#text').inputValue()
const select = (page, start, end) => page.locator('#text').evaluate((area, range) => {
  area.focus()
  area.setSelectionRange(...range)
}, [start, end])
const shows = (page, text) =>
  page.waitForFunction((wanted) => document.getElementById('text').value === wanted, text)

// A page's socket is cut and kept from coming back by closing its route to the server.
const cuttable = async (page) => {
  const link = { cut: false, sockets: [] }
  await page.routeWebSocket(/\/ws\//, (socket) => {
    if (link.cut) {
      socket.close({ code: 1001 })
      return
    }
    link.sockets.push({ socket, server: socket.connectToServer() })
  })
  link.close = async () => {
    link.cut = true
    for (const { socket, server: upstream } of link.sockets.splice(0)) {
      await upstream.close({ code: 1000 })
      await socket.close({ code: 1001 })
    }
    await page.waitForSelector('#connection:not([data-state=connected])')
  }
  link.restore = () => { link.cut = false }
  await page.reload()
  await saved(page)
  return link
}

export const scenarios = {
  // Text and presence are live between two tabs; presence goes with its tab; a reload keeps the text.
  async 'two-tabs' () {
    const ann = await open('Ann Lee')
    const chloe = await open('Chloé 🌸', { colour: 'lagoon', colorScheme: 'dark' })
    await lists(ann, ['Ann Lee', 'Chloé 🌸'])
    await lists(chloe, ['Ann Lee', 'Chloé 🌸'])

    const menu = 'Menu tasting, Thursday 18:00\n\n- two vegan starters for table 4\n- the cake: lemon, elderflower 🎂\n'
    await type(ann, menu)
    await shows(chloe, menu)
    await select(chloe, 0, 4)
    await chloe.keyboard.type('Dinner')
    await shows(ann, menu.replace('Menu', 'Dinner'))
    await select(chloe, 8, 15)
    await ann.waitForSelector('.caret .flag >> text=Chloé')
    await chloe.waitForSelector('.caret .flag >> text=Ann Lee')
    await Promise.all([saved(ann), saved(chloe)])
    await ann.screenshot({ path: `${screenshots}/two-tabs-light.png` })
    await chloe.screenshot({ path: `${screenshots}/two-tabs-dark.png` })

    await chloe.locator('#name').fill('Chloé Martin')
    await lists(ann, ['Ann Lee', 'Chloé Martin'])
    await chloe.close()
    await lists(ann, ['Ann Lee'])
    await ann.reload()
    await saved(ann)
    assert.equal(await textOf(ann), menu.replace('Menu', 'Dinner'))
  },

  // The page works on a phone's screen without scrolling sideways.
  async phone () {
    const page = await open('Goran Ilić', { colour: 'olive', viewport: { width: 360, height: 740 } })
    await type(page, 'Call the florist about the peonies before Friday, they are hard to get in September.')
    await saved(page)
    assert.ok(await fits(page))
    await page.screenshot({ path: `${screenshots}/phone.png`, fullPage: true })
  },

  // Edits made without a connection are shown as not saved, and are saved after it is back. Deletions too.
  async offline () {
    const ann = await open('Ann')
    const link = await cuttable(ann)
    const bao = await open('Bao')
    await type(ann, 'one two three')
    await shows(bao, 'one two three')
    await saved(ann)
    await link.close()
    await lists(bao, ['Bao'])
    await select(ann, 4, 8)
    await ann.keyboard.press('Delete')
    await ann.waitForSelector('#saved[data-state=kept]')
    await ann.screenshot({ path: `${screenshots}/offline.png` })
    await select(bao, 13, 13)
    await bao.keyboard.type(' four')
    await saved(bao)
    assert.equal(await textOf(ann), 'one three')
    link.restore()
    await shows(ann, 'one three four')
    await shows(bao, 'one three four')
    await saved(ann)
    await lists(bao, ['Ann', 'Bao'])
  },

  // Both type at one place, undo takes back one's own only, and an emoji is one thing.
  async together () {
    const ann = await open('Ann')
    const bao = await open('Bao')
    await Promise.all([type(ann, 'aaaaaaaaaa'), type(bao, 'bbbbbbbbbb')])
    await Promise.all([saved(ann), saved(bao)])
    const text = await textOf(ann)
    await shows(bao, text)
    assert.equal([...text].sort().join(''), 'aaaaaaaaaabbbbbbbbbb')
    await ann.keyboard.press('Control+z')
    await shows(ann, 'bbbbbbbbbb')
    await shows(bao, 'bbbbbbbbbb')
    await ann.keyboard.press('Control+Shift+z')
    await shows(bao, text)
    await select(bao, 0, 20)
    await bao.keyboard.insertText('👩‍🚀🎂')
    await shows(ann, '👩‍🚀🎂')
    await select(ann, 7, 7)
    await ann.keyboard.press('Backspace')
    await shows(bao, '👩‍🚀')
    await Promise.all([saved(ann), saved(bao)])
  },

  // While an input method composes, the others' edits wait; then both are there.
  async composition () {
    const ann = await open('Ann')
    const bao = await open('Bao')
    await type(ann, 'red wine')
    await shows(bao, 'red wine')
    const keyboard = await ann.context().newCDPSession(ann)
    await select(ann, 4, 4)
    await keyboard.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 })
    await select(bao, 0, 3)
    await bao.keyboard.type('white')
    await saved(bao)
    await shows(ann, 'red にwine')
    await keyboard.send('Input.insertText', { text: '日本' })
    await shows(ann, 'white 日本wine')
    await shows(bao, 'white 日本wine')
    assert.equal(await ann.locator('#text').evaluate((area) => area.selectionStart), 8)
  },

  // Another note is another room, and the hash of the URL leads there.
  async places () {
    const ann = await open('Ann')
    await type(ann, 'here')
    await saved(ann)
    await ann.locator('#note').fill('places-2')
    await ann.locator('#place button').click()
    await shows(ann, '')
    await saved(ann)
    assert.match(ann.url(), /note=places-2/)
    await ann.evaluate(() => { location.hash = location.hash.replace('places-2', 'places') })
    await shows(ann, 'here')
    await ann.locator('#note').fill('not/a/name')
    await ann.locator('#place button').click()
    assert.equal(await ann.locator('#note').evaluate((input) => input.validity.valid), false)
    assert.equal(await ann.locator('#note-title').textContent(), 'places')
  }
}
