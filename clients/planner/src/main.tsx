import { render } from 'preact'
import { App } from './app.js'
import { language, setLanguage } from './i18n/index.js'
import { startRouter } from './router.js'
import { startSession } from './session/open.js'

setLanguage(language.peek())
startSession(startRouter())
render(<App />, document.getElementById('app')!)

// Outside of secure contexts there is none, and a browser may forbid it: the page works all the same, with a network.
navigator.serviceWorker?.register('worker.js').catch(() => {})
