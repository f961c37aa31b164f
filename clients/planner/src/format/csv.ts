// Tables as the text of files, read and written.

const FORMULA = /(^|[;\t\r\n])(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g
/** What `toCsv` has marked as no formula. */
const MARKED = /(^|[;\t\r\n])'(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g
const PHONE = /^\+[0-9 ()/.-]+$/

/** The character between columns: the one that stands most often in the first line. */
const separatorOf = (text: string): string => {
  const [first = ''] = text.split('\n')
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
    else if (!isQuoted && character === '\n') rows.push([''])
    else if (character !== '\r' || isQuoted) row[row.length - 1] += character
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
