// Tables as the text of files, read and written.

const FORMULA = /(^|[;\t\r\n])(?=[ \u00a0]*[=+\-@\uff1d\uff0b\uff0d\uff20])/g
/** What `toCsv` has marked as no formula. */
const MARKED = /(^|[;\t\r\n])'(?=[ \u00a0]*[=+\-@\uff1d\uff0b\uff0d\uff20])/g
const PHONE = /^\+[0-9 ()/.-]+$/

/** A file as text. Spreadsheets write UTF-8, UTF-16 with its mark, or what Windows had before. */
export const textOf = async (file: Blob): Promise<string> => {
  const bytes = new Uint8Array(await file.arrayBuffer())
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

/** The character between columns: the one that stands most often in the first line. */
const separatorOf = (text: string): string => {
  const [first = ''] = text.split(/[\r\n]/, 1)
  return ['\t', ';', ','].map((each) => [first.split(each).length, each] as const).sort(([one], [other]) => other - one)[0]![1]
}

/** Cells of a text with separators, quotes and line ends as RFC 4180 has them. */
export const cellsOf = (file: string): string[][] => {
  const separator = separatorOf(file)
  const text = file.replace(/^\uFEFF/, '')
  const rows: string[][] = [['']]
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    const row = rows.at(-1)!
    if (isQuoted && character === '"' && text[at + 1] === '"') row[row.length - 1] += text[++at]!
    else if (character === '"' && (isQuoted || row.at(-1) === '')) isQuoted = !isQuoted
    else if (!isQuoted && character === separator) row.push('')
    else if (!isQuoted && (character === '\n' || character === '\r')) rows.push(['']) // empty ones are left out
    else row[row.length - 1] += character
  }
  return rows.map((row) => row.map((cell) => cell.trim().replace(MARKED, '$1'))).filter((row) => row.some(Boolean))
}

/**
 * Rows as the text of a file that spreadsheets open. No cell begins a formula, and no part of one does where a spreadsheet
 * of another language cuts it. A telephone number is no formula: with a mark before it nobody could dial it.
 */
export const toCsv = (rows: readonly (readonly string[])[]): string => {
  const cell = (text: string): string => {
    const safe = PHONE.test(text) ? text : text.replace(FORMULA, "$1'")
    return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  return '\uFEFF' + rows.map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}
