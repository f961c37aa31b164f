// Sätze auf Deutsch für die Seite um den Plan und was alle Einträge teilen.
import type { page as english } from '../en/page.js'

export const page: Readonly<Record<keyof typeof english, string>> = {
  'app.name': 'Hochzeitsplaner',
  'app.opening': 'Die Hochzeit wird geöffnet …',
  'app.skip': 'Zum Inhalt springen',
  'ui.close': 'Schließen',
  'nav.views': 'Ansichten',
  'nav.more': 'Mehr',
  'view.overview': 'Übersicht',
  'view.guests': 'Gäste',
  'view.arrivals': 'Ankunft',
  'view.seating': 'Sitzplan',
  'view.diets': 'Essen',
  'view.timeline': 'Ablauf',
  'view.budget': 'Budget',
  'view.tasks': 'Aufgaben',
  'view.vendors': 'Dienstleister',
  'view.conflicts': 'Entscheidungen',
  'view.messages': 'Nachrichten',
  'view.settings': 'Einstellungen',
  'action.add': 'Hinzufügen',
  'action.cancel': 'Abbrechen',
  'action.discard': 'Verwerfen',
  'action.download': 'Herunterladen',
  'action.export': 'Exportieren',
  'action.import': 'Gäste importieren',
  'action.print': 'Drucken',
  'action.redo': 'Wiederholen',
  'action.remove': 'Entfernen',
  'action.rename': 'Neuer Name',
  'action.restore': 'Wiederherstellen',
  'action.undo': 'Rückgängig',
  'undo.nothing': 'Nichts zurückgenommen: Es wurde seither geändert.',
  'record.remove': '{name} entfernen',
  'record.removed': '{name} wurde entfernt.',
  'record.removedMany': '{n} wurden entfernt.',
  'record.restored': '{name} ist wieder da.',
  'record.unnamed': 'Ohne Namen',
  'removed.button': 'Entfernt ({n})',
  'removed.title': 'Kürzlich entfernt',
  'form.problem': 'Das geht nicht: {rule}.',
  'form.unreadable': 'Das ist nicht lesbar. Bitte anders schreiben.',
  'rule.type': 'falsche Art',
  'rule.length': 'zu lang',
  'rule.range': 'außerhalb des Bereichs',
  'rule.format': 'falsches Format',
  'rule.choice': 'keine Auswahl',
  'rule.member': 'ein Teil fehlt',
  'rule.not_allowed': 'das dürfen Sie nicht ändern',
  'saved.saved': 'Gespeichert',
  'saved.saving': 'Wird gespeichert',
  'saved.loading': 'Wird geladen',
  'saved.offline': 'Offline',
  'saved.kept': 'Offline, {n} Änderung wartet|Offline, {n} Änderungen warten',
  'saved.waiting': '{n} Änderung wartet auf die Bestätigung|{n} Änderungen warten auf die Bestätigung',
  'waiting.title': 'Wartet auf das Senden',
  'waiting.hint': 'Diese Änderungen sind auf diesem Gerät gesichert. Sie werden gesendet, sobald es eine Verbindung gibt.',
  'waiting.changes': '{n} Änderung|{n} Änderungen',
  'people.here': 'Jetzt hier: {names}',
  'notice.rejected': 'Der Server hat eine Änderung zurückgenommen: {reason}',
  'notice.rejectedField': 'Der Server hat eine Änderung zurückgenommen ({field}): {reason}',
  'notice.setAside': '{n} Änderung in „{document}“ konnte nicht gesendet werden. Eine Kopie liegt hier.|{n} Änderungen in „{document}“ konnten nicht gesendet werden. Eine Kopie liegt hier.',
  'entry.title': 'Willkommen',
  'entry.proof': 'Token oder Einladung',
  'entry.hint': 'Der Code einer Einladung oder ein Token, das Sie bekommen haben. Es bleibt in diesem Tab.',
  'entry.go': 'Eintreten',
  'entry.expired': 'Das ist nicht oder nicht mehr gültig.',
  'entry.forbidden': 'Sie gehören nicht oder nicht mehr zu dieser Hochzeit.',
  'entry.unknown': 'Diese Hochzeit gibt es nicht.',
  'entry.refused': 'Der Server antwortet: {reason}',
  'entry.noInvitation': 'Das ist kein Token und keine gültige Einladung.',
  'entry.notEnded': 'Hier sind Sie abgemeldet. Der Server war nicht zu erreichen: Er kennt dieses Gerät, bis die Sitzung abläuft.',
  'you.button': 'Sie: {name}',
  'you.pretendHint': 'Dieser Server glaubt, wer Sie zu sein angeben.',
  'you.person': 'Person',
  'you.myself': 'Ich selbst',
  'you.role': 'Rolle',
  'you.enforce': 'Mit den Rechten dieser Rolle',
  'you.offline': 'Offline arbeiten',
  'you.signOut': 'Abmelden',
  'role.couple': 'Brautpaar',
  'role.planner': 'Planung',
  'role.coordinator': 'Koordination',
  'role.venue': 'Location',
  'role.caterer': 'Catering',
  'role.photographer': 'Fotografie',
  'role.vendor': 'Dienstleister',
  'role.family': 'Familie',
  'role.wedding_party': 'Trauzeugen',
  'role.guest': 'Gast',
  'time.now': 'gerade eben',
  'setup.title': 'Eine neue Hochzeit',
  'setup.about': 'Drei Antworten und eine Vorlage genügen für den Anfang. Alles lässt sich später ändern.',
  'setup.names': 'Wie heißt sie?',
  'setup.namesExample': 'Chloé & Aroha',
  'setup.date': 'Datum',
  'setup.place': 'Ort',
  'setup.placeExample': 'Alte Mühle, Winterthur',
  'setup.limit': 'Budget',
  'setup.currency': 'Währung',
  'setup.template': 'Beginnen mit',
  'setup.template.classic': 'Klassischer Tag',
  'setup.template.classic.about': 'Ablauf, Budget, Aufgaben, acht Tische',
  'setup.template.small': 'Kleine Feier',
  'setup.template.small.about': 'Budget, Aufgaben, drei Tische',
  'setup.template.blank': 'Leer',
  'setup.template.blank.about': 'Nur Trauung und Feier',
  'setup.go': 'Planung beginnen',
  'template.ceremony': 'Trauung',
  'template.reception': 'Feier',
  'field.name': 'Name',
  'field.title': 'Titel',
  'field.note': 'Notiz',
  'field.place': 'Ort',
  'field.vendor': 'Dienstleister',
  'field.start': 'Beginn',
  'field.order': 'Reihenfolge',
  'kind.guest': 'Gast',
  'kind.household': 'Haushalt',
  'kind.table': 'Tisch',
  'kind.item': 'Punkt',
  'kind.cost': 'Posten',
  'kind.category': 'Kategorie',
  'kind.task': 'Aufgabe',
  'kind.vendor': 'Dienstleister',
  'kind.event': 'Termin',
  'kind.place': 'Ort',
  'kind.rule': 'Regel',
  'kind.fixture': 'Einrichtung',
  'template.timeline': `540 90 setup flex Haare und Make-up
660 45 setup flex Aufbau im Saal
705 15 setup buffer Puffer
720 30 photo flex Erster Blick
840 30 moment flex Ankunft der Gäste
900 40 moment fixed Trauung
940 20 photo flex Gratulation
960 45 photo flex Gruppenfotos
960 60 meal flex Empfang
1005 15 photo buffer Puffer
1020 15 moment fixed Gäste nehmen Platz
1035 30 moment flex Begrüßung
1065 90 meal flex Abendessen
1155 30 moment flex Reden
1185 15 meal buffer Puffer
1200 15 moment fixed Torte
1230 10 moment fixed Eröffnungstanz
1240 150 moment flex Tanz
1410 15 moment fixed Abschied
1425 60 breakdown flex Abbau`,
  'template.budget': `45 Location und Catering
12 Foto und Film
9 Blumen und Dekoration
8 Musik
8 Kleidung
3 Papeterie
2 Torte
2 Fahrten
7 Planung
4 Reserve`,
  'template.tasks': `300 Budget festlegen
290 Location buchen
270 Gästeliste schreiben
240 Fotografie buchen
210 Catering buchen
180 Musik buchen
150 Save-the-Dates versenden
120 Kleidung bestellen
90 Einladungen versenden
60 Menü probieren
45 Blumen und Torte bestellen
30 Offene Antworten einholen
21 Sitzplan entwerfen
14 Ablauf an Dienstleister senden
7 Zahlen an das Catering geben
2 Notfalltasche packen`
}
