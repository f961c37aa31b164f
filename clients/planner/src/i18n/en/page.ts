// Sentences in English for the page around the plan, and of what all records share.
export const page = {
  'app.name': 'Wedding planner',
  'app.opening': 'Opening the wedding…',
  'app.skip': 'Skip to the content',
  'ui.close': 'Close',
  'nav.views': 'Views',
  'nav.more': 'More',
  'view.overview': 'Overview',
  'view.guests': 'Guests',
  'view.arrivals': 'Arrivals',
  'view.seating': 'Seating',
  'view.diets': 'Food',
  'view.timeline': 'Timeline',
  'view.budget': 'Budget',
  'view.tasks': 'Tasks',
  'view.vendors': 'Vendors',
  'view.conflicts': 'Decisions',
  'view.messages': 'Messages',
  'view.settings': 'Settings',
  'action.add': 'Add',
  'action.cancel': 'Cancel',
  'action.discard': 'Discard',
  'action.download': 'Download',
  'action.export': 'Export',
  'action.import': 'Import guests',
  'action.print': 'Print',
  'action.redo': 'Redo',
  'action.remove': 'Remove',
  'action.rename': 'New name',
  'action.restore': 'Restore',
  'action.undo': 'Undo',
  'undo.nothing': 'Nothing was taken back: it had been changed since.',
  'record.remove': 'Remove {name}',
  'record.removed': '{name} was removed.',
  'record.removedMany': '{n} were removed.',
  'record.restored': '{name} is back.',
  'record.unnamed': 'No name',
  'removed.button': 'Removed ({n})',
  'removed.title': 'Recently removed',
  'form.problem': 'This is not possible ({rule}): {expected}.',
  'form.unreadable': 'This cannot be read. Please write it differently.',
  'rule.type': 'wrong type',
  'rule.length': 'too long',
  'rule.range': 'out of range',
  'rule.format': 'wrong format',
  'rule.choice': 'not a choice',
  'rule.member': 'a part is missing',
  'rule.not_allowed': 'you may not change this',
  'saved.saved': 'Saved',
  'saved.saving': 'Saving',
  'saved.loading': 'Loading',
  'saved.offline': 'Offline',
  'saved.kept': 'Offline, {n} change waits|Offline, {n} changes wait',
  'saved.waiting': '{n} change waits for the receipt|{n} changes wait for the receipt',
  'waiting.title': 'Waiting to be sent',
  'waiting.hint': 'These changes are kept on this device. They are sent as soon as there is a connection.',
  'waiting.changes': '{n} change|{n} changes',
  'people.here': 'Here now: {names}',
  'notice.rejected': 'The server took back a change: {reason}',
  'notice.rejectedField': 'The server took back a change ({field}): {reason}',
  'notice.setAside': '{n} change in “{document}” could not be sent. A copy is kept here.|{n} changes in “{document}” could not be sent. A copy is kept here.',
  'entry.title': 'Welcome',
  'entry.proof': 'Token or invitation',
  'entry.hint': 'The code of an invitation, or a token that somebody has given you. It stays in this tab.',
  'entry.go': 'Come in',
  'entry.expired': 'This is not valid, or not any more.',
  'entry.forbidden': 'You are not part of this wedding, or not any more.',
  'entry.unknown': 'There is no such wedding.',
  'entry.refused': 'The server answered: {reason}',
  'entry.noInvitation': 'This is no token, and no invitation that is still good.',
  'entry.notEnded': 'You are signed out here. The server was not reached: it knows this device until its session runs out.',
  'you.button': 'You: {name}',
  'you.pretendHint': 'This server believes who you say you are.',
  'you.person': 'Person',
  'you.myself': 'Myself',
  'you.role': 'Role',
  'you.enforce': 'With the rights of this role',
  'you.offline': 'Work offline',
  'you.signOut': 'Sign out',
  'role.couple': 'couple',
  'role.planner': 'planner',
  'role.coordinator': 'coordinator',
  'role.venue': 'venue',
  'role.caterer': 'caterer',
  'role.photographer': 'photographer',
  'role.vendor': 'vendor',
  'role.family': 'family',
  'role.wedding_party': 'wedding party',
  'role.guest': 'guest',
  'time.now': 'just now',
  'setup.title': 'A new wedding',
  'setup.about': 'Three answers and a template are enough to begin. Everything can be changed later.',
  'setup.names': 'What is it called?',
  'setup.namesExample': 'Chloé & Aroha',
  'setup.date': 'Date',
  'setup.place': 'Place',
  'setup.placeExample': 'Old Mill, Winterthur',
  'setup.limit': 'Budget',
  'setup.currency': 'Currency',
  'setup.template': 'Begin with',
  'setup.template.classic': 'Classic day',
  'setup.template.classic.about': 'Running order, budget, tasks, eight tables',
  'setup.template.small': 'Small party',
  'setup.template.small.about': 'Budget, tasks, three tables',
  'setup.template.blank': 'Blank',
  'setup.template.blank.about': 'Ceremony and reception only',
  'setup.go': 'Begin planning',
  'template.ceremony': 'Ceremony',
  'template.reception': 'Reception',
  'field.name': 'Name',
  'field.title': 'Title',
  'field.note': 'Note',
  'field.place': 'Place',
  'field.vendor': 'Vendor',
  'field.start': 'start',
  'field.order': 'order',
  'kind.guest': 'Guest',
  'kind.household': 'Household',
  'kind.table': 'Table',
  'kind.item': 'Item',
  'kind.cost': 'Cost',
  'kind.category': 'Category',
  'kind.task': 'Task',
  'kind.vendor': 'Vendor',
  'kind.event': 'Event',
  'kind.place': 'Place',
  'kind.rule': 'Rule',
  'kind.fixture': 'Fixture',
  'template.timeline': `540 90 setup flex Hair and make-up
660 45 setup flex Set-up of the room
705 15 setup buffer Buffer
720 30 photo flex First look
840 30 moment flex Guests arrive
900 40 moment fixed Ceremony
940 20 photo flex Congratulations and confetti
960 45 photo flex Group portraits
960 60 meal flex Drinks and canapés
1005 15 photo buffer Buffer
1020 15 moment fixed Guests take their seats
1035 30 moment flex Welcome
1065 90 meal flex Dinner
1155 30 moment flex Toasts
1185 15 meal buffer Buffer
1200 15 moment fixed Cake
1230 10 moment fixed First dance
1240 150 moment flex Dancing
1410 15 moment fixed Farewell
1425 60 breakdown flex Breakdown`,
  'template.budget': `45 Venue and catering
12 Photo and video
9 Flowers and decoration
8 Music
8 Attire
3 Stationery
2 Cake
2 Transport
7 Planning
4 Contingency`,
  'template.tasks': `300 Agree on the budget
290 Book the venue
270 Write the guest list
240 Book the photographer
210 Book the caterer
180 Book the music
150 Send save-the-dates
120 Order the attire
90 Send the invitations
60 Taste the menu
45 Order flowers and cake
30 Chase missing replies
21 Draft the seating
14 Send the running order to vendors
7 Give the caterer the numbers
2 Pack the emergency bag`
} as const
