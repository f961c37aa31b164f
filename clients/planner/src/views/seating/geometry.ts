// Where chairs stand around tables, in centimetres of the room. A position is the middle of what stands there.
import type { Row, rows } from 'crdt-server-client'

export interface Point { readonly x: number; readonly y: number }
export interface Box { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number }

type Table = Row<rows.SeatingTable>

const CHAIR_CM = 33
const MARGIN_CM = 90
const ROUND_CM = 180
const PER_CHAIR_CM = 62
const APART_CM = 420
const IN_A_ROW = 5

export const sizeOf = ({ size, shape, capacity = 8 }: Table): { readonly width: number; readonly height: number } => {
  if (size !== undefined) return size
  if (shape === 'rectangle' || shape === 'row' || shape === 'oval') return { width: Math.max(ROUND_CM, Math.ceil(capacity / 2) * PER_CHAIR_CM), height: 90 }
  return { width: ROUND_CM, height: ROUND_CM }
}

/** Of a table without a position: a place in a grid, by where it is in the list. */
export const positionOf = ({ position }: Table, at: number): Point & { readonly rotation?: number } =>
  position ?? { x: (at % IN_A_ROW) * APART_CM, y: Math.floor(at / IN_A_ROW) * APART_CM }

const aroundEllipse = (count: number, width: number, height: number): Point[] => Array.from({ length: count }, (_, at) => {
  const angle = (at / count) * 2 * Math.PI - Math.PI / 2
  return { x: Math.cos(angle) * (width / 2 + CHAIR_CM), y: Math.sin(angle) * (height / 2 + CHAIR_CM) }
})

/** Along one side, then along the other back again. */
const alongSides = (count: number, width: number, height: number, isOneSided: boolean): Point[] => {
  const above = isOneSided ? count : Math.ceil(count / 2)
  const below = count - above
  const place = (at: number, of: number): number => ((at + 0.5) / of - 0.5) * width
  const y = height / 2 + CHAIR_CM
  return [
    ...Array.from({ length: above }, (_, at) => ({ x: place(at, above), y: -y })),
    ...Array.from({ length: below }, (_, at) => ({ x: place(below - 1 - at, below), y }))
  ]
}

/** The middles of the chairs of a table, from the middle of the table. */
export const chairsOf = (table: Table): readonly Point[] => {
  const count = Math.min(table.capacity ?? 0, 200)
  const { width, height } = sizeOf(table)
  if (table.shape === 'rectangle' || table.shape === 'row') return alongSides(count, width, height, table.shape === 'row')
  return aroundEllipse(count, width, height)
}

/** What holds all of them, with a margin. */
export const around = (things: readonly (Point & { readonly width: number; readonly height: number })[]): Box => {
  if (things.length === 0) return { left: -600, top: -400, right: 600, bottom: 400 }
  const edge = (of: (thing: (typeof things)[number]) => number, choose: (...all: number[]) => number): number => choose(...things.map(of))
  return {
    left: edge(({ x, width }) => x - width / 2, Math.min) - MARGIN_CM, top: edge(({ y, height }) => y - height / 2, Math.min) - MARGIN_CM,
    right: edge(({ x, width }) => x + width / 2, Math.max) + MARGIN_CM, bottom: edge(({ y, height }) => y + height / 2, Math.max) + MARGIN_CM
  }
}

/** Turned about the middle by degrees. */
export const turned = ({ x, y }: Point, degrees: number): Point => {
  const angle = (degrees * Math.PI) / 180
  return { x: x * Math.cos(angle) - y * Math.sin(angle), y: x * Math.sin(angle) + y * Math.cos(angle) }
}
