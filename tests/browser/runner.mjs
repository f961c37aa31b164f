// Plays scenarios in one headless Chromium: node runner.mjs SERVER_URL CHROMIUM SCREENSHOT_DIRECTORY
// In: a line `script scenario` for each. Out: a line of JSON for each, null or what went wrong.
import { createInterface } from 'node:readline'
import { play, quit } from './support.mjs'

for await (const line of createInterface({ input: process.stdin })) {
  const [script, scenario] = line.split(' ')
  const { scenarios } = await import(`./${script}.mjs`)
  let wrong = null
  try {
    await play(scenario, scenarios[scenario])
  } catch (error) {
    wrong = error.stack
  }
  console.log(JSON.stringify(wrong))
}
await quit()
