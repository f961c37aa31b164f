/** An editor of ProseMirror with y-prosemirror, without Tiptap, on the document of a client. */
import { newElement } from './dom.mjs'

const { schema } = await import('prosemirror-schema-basic')
const { EditorState } = await import('prosemirror-state')
const { EditorView } = await import('prosemirror-view')
const { ySyncPlugin } = await import('y-prosemirror')

export function openProseMirror (client) {
  const plugins = [ySyncPlugin(client.doc.getXmlFragment('default'))]
  client.view = new EditorView(newElement(), { state: EditorState.create({ schema, plugins }) })
  client.editor = client.view
}
