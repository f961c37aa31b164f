// What reaches people, in three tabs: conversations, the inbox and preferences, over one API.
import { Api, Refused } from './calls.js'
import { say } from './dom.js'
import { InboxFeed, InboxView } from './inbox.js'
import { countOf } from './notices.js'
import { PreferencesView } from './preferences.js'
import { messageRights } from './rights.js'
import { SearchView } from './search.js'
import { ThreadsView } from './threads.js'
import { toast } from './toast.js'

const $ = (id) => document.getElementById(id)

/** Waits for a call, and says where it was refused. */
const attempt = async (promise, failed = () => {}) => {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    failed()
    toast(error.status === 0 ? 'The server does not answer.' : `The server refuses this: ${error.message}.`)
  }
}

export class Messaging {
  /** `go(change, at)` goes to another place and record of the page, `changed()` draws it anew with the next frame. */
  constructor ({ go, changed }) {
    this.changed = changed
    this.feed = null
    this.place = null
    this.views = {
      messages: new ThreadsView($('panel-messages'), { go: (change) => go({ tab: 'messages', ...change }, null), attempt, changed }),
      inbox: new InboxView($('panel-inbox'), { go, attempt }),
      preferences: new PreferencesView($('panel-preferences'), { attempt })
    }
    this.search = new SearchView({ go, attempt, name: (user) => this.views.messages.name(user) })
    $('panel-messages').querySelector('.head').after(this.search.element)
    document.addEventListener('visibilitychange', changed)
    $('unread').addEventListener('click', () => go({ tab: 'inbox' }, null))
  }

  /** Begins for the person of a planner, if messages are open to them. */
  open (planner) {
    if (messageRights(planner.joined).length === 0) return
    const api = new Api(planner.place.wedding, () => planner.proof)
    this.feed = new InboxFeed(api, {
      changed: this.changed,
      item: ({ document }) => { if (document.startsWith('thread.')) this.views.messages.refresh() }
    })
    this.views.inbox.feed = this.feed
    this.views.preferences.api = api
    this.views.messages.use(api, planner)
    this.search.use(api)
  }

  close () {
    this.feed?.close()
    this.feed = this.views.inbox.feed = this.views.preferences.api = this.place = null
    this.views.messages.use(null, null)
    this.search.use(null)
    $('unread').hidden = true
  }

  /** The page shows another tab, or conversation. */
  arrive ({ tab, thread }) {
    if (this.feed === null) return
    const isOther = this.place?.tab !== tab || this.place.thread !== thread
    this.place = { tab, thread }
    if (!isOther) return
    this.views.messages.arrive(thread, tab === 'messages')
    if (tab === 'preferences') attempt(this.views.preferences.load())
  }

  /** A document has changed: that of a conversation changes the list, too. */
  documentChanged (name) {
    if (name.startsWith('thread.')) this.views.messages.refresh()
  }

  /** Shows how much is unread. */
  renderCount () {
    if (this.feed === null) return
    const { unread } = this.feed
    $('unread').hidden = unread.unread === 0
    say($('unread-count'), countOf(unread))
  }
}
