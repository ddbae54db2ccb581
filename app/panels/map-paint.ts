import { KINDS, type Kind, type MapBins } from '../protocol.js';
import { boxOf, type CellBox, type MapView } from './map-view.js';

/** The colours of a map, as the style sheet has them. */
export interface Palette {
  readonly kinds: Readonly<Record<Kind, string>>;
  readonly cursor: string;
  /** What is not known yet. */
  readonly pending: string;
  /** The lines below the cells of partitions, in turns. */
  readonly partitions: readonly [string, string];
}

/** The order in which kinds are stacked in a cell, from the bottom. */
const STACK: readonly Kind[] = ['damaged', 'data', 'parent', 'absent', 'zero'];
/** A kind of which there is anything at all is never lower than this, in pixels. */
const LEAST = 2;

/** Makes a canvas as sharp as the screen, and returns what to paint with, in CSS pixels. */
export function prepare(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | undefined {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d') ?? undefined;
  pen?.scale(ratio, ratio);
  return pen;
}

/** What to paint with. */
export interface Brush {
  readonly pen: CanvasRenderingContext2D;
  readonly palette: Palette;
}

/** Paints the cells of a view. A cell that is not summed yet is faint. */
export function paintCells({ pen, palette }: Brush, view: MapView, bins: MapBins | undefined): void {
  for (let cell = 0; cell * view.binLength < view.length; cell++) {
    const box = boxOf(view, cell);
    const end = Math.min(view.offset + (cell + 1) * view.binLength, view.offset + view.length);
    if (bins !== undefined && end <= bins.reached) {
      paintStack({ pen, palette }, bins.bytes.subarray(cell * KINDS.length, (cell + 1) * KINDS.length), box);
    } else {
      pen.fillStyle = palette.pending;
      pen.fillRect(box.x, box.y, box.width, box.height);
    }
  }
}

/** Underlines the cells that are in a partition, in the gap below them, so that each partition differs from the next. */
export function paintOwners({ pen, palette }: Brush, view: MapView, owners: Int32Array): void {
  owners.forEach((place, cell) => {
    if (place < 0) return;
    const { x, y, width, height } = boxOf(view, cell);
    const joins = owners[cell + 1] === place && (cell + 1) % view.columns !== 0;
    pen.fillStyle = palette.partitions[place % 2 === 0 ? 0 : 1];
    pen.fillRect(x, y + height + 1, joins ? boxOf(view, cell + 1).x - x : width, 2);
  });
}

/** Paints a strip in which each column is a bin. */
export function paintStrip(brush: Brush, bins: MapBins, width: number, height: number): void {
  const count = bins.bytes.length / KINDS.length;
  // The last bin may reach past the end of the disk.
  const perBin = (width * bins.binLength) / bins.length;
  for (let bin = 0; bin < count; bin++) {
    if (bins.offset + bin * bins.binLength >= bins.reached) break;
    const x = Math.floor(bin * perBin);
    const right = Math.max(x + 1, Math.floor((bin + 1) * perBin));
    const bytes = bins.bytes.subarray(bin * KINDS.length, (bin + 1) * KINDS.length);
    paintStack(brush, bytes, { x, y: 0, width: right - x, height });
  }
}

/** Outlines a cell. */
export function paintCursor({ pen, palette }: Brush, view: MapView, cell: number, bold: boolean): void {
  const { x, y, width, height } = boxOf(view, cell);
  pen.strokeStyle = palette.cursor;
  pen.lineWidth = bold ? 2 : 1;
  // In the gaps around the cell; at the edges of the canvas there is none.
  const [left, top] = [Math.max(pen.lineWidth / 2, x - 0.5), Math.max(pen.lineWidth / 2, y - 0.5)];
  pen.strokeRect(left, top, x + width + 0.5 - left, y + height + 0.5 - top);
}

/** A rectangle whose heights are the shares of the kinds, so that a little data in a large bin is still to be seen. */
function paintStack({ pen, palette }: Brush, bytes: Float64Array, { x, y, width, height }: CellBox): void {
  const total = bytes.reduce((sum, part) => sum + part, 0);
  pen.fillStyle = palette.kinds.unmapped;
  pen.fillRect(x, y, width, height);
  let bottom = y + height;
  for (const kind of STACK) {
    const part = bytes[KINDS.indexOf(kind)] ?? 0;
    if (part <= 0) continue;
    const share = Math.max(LEAST, Math.round((height * part) / total));
    const top = Math.max(y, bottom - share);
    pen.fillStyle = palette.kinds[kind];
    pen.fillRect(x, top, width, bottom - top);
    bottom = top;
  }
}

/** Takes the colours from the style sheet, by way of an element that has them. */
export function readPalette(probe: HTMLElement): Palette {
  const colourOf = (kind: string): string => {
    probe.dataset['kind'] = kind;
    return getComputedStyle(probe).backgroundColor;
  };
  const kinds = Object.fromEntries(KINDS.map((kind) => [kind, colourOf(kind)])) as Record<Kind, string>;
  const partitions = [colourOf('partition-0'), colourOf('partition-1')] as const;
  return { kinds, cursor: colourOf('cursor'), pending: colourOf('pending'), partitions };
}
