// Edits that the server has undone, field by field. A notice comes behind the update that undoes: what stands is there.
import { Emitter } from './emitter.js'
import type { Journal } from './journal.js'
import type { Notice } from './notices.js'
import type { Part } from './part.js'
import { fieldName, valueAt } from './rows.js'
import type { Rejected } from './types.js'

export class Rejections {
  readonly rejected = new Emitter<Rejected>()

  constructor (readonly journal: Journal) {}

  take (part: Part, notice: Notice): void {
    if (notice.reverted.length === 0) this.rejected.emit(this.#whole(part, notice))
    for (const { root, record, key, code, message } of notice.reverted) {
      this.rejected.emit({
        document: part.replica?.name ?? part.name,
        collection: `${part.name}.${root}`,
        record,
        field: key === null ? undefined : fieldName(part.rootSpec(root), key),
        rule: code,
        reason: message ?? notice.why,
        written: this.journal.written(part.name, root, record, key),
        stands: valueAt(part, root, record, key)
      })
    }
  }

  #whole (part: Part, { code, why }: Notice): Rejected {
    const nothing = { collection: undefined, record: undefined, field: undefined, written: undefined, stands: undefined }
    return { document: part.replica?.name ?? part.name, ...nothing, rule: code || 'refused', reason: why }
  }
}
