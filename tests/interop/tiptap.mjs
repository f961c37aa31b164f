/** A Tiptap editor on the document of a client, in a DOM of jsdom. */
import { newElement } from './dom.mjs'

const { Editor } = await import('@tiptap/core')
const { default: Collaboration } = await import('@tiptap/extension-collaboration')
const { default: Document } = await import('@tiptap/extension-document')
const { default: Paragraph } = await import('@tiptap/extension-paragraph')
const { default: Text } = await import('@tiptap/extension-text')

export function openEditor (client) {
  const extensions = [Document, Paragraph, Text, Collaboration.configure({ document: client.doc, field: 'default' })]
  client.editor = new Editor({ element: newElement(), extensions })
  Object.defineProperty(client, 'view', { get: () => client.editor.view })
}
