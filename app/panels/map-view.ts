/** What a map shows: a range of the disk, cut into bins, one for each cell of a grid. Bytes and pixels. */
export interface MapView {
  readonly offset: number;
  readonly length: number;
  readonly binLength: number;
  /** Bins, and so cells that are in use. */
  readonly bins: number;
  readonly columns: number;
  readonly rows: number;
  readonly width: number;
  readonly height: number;
}

/** Where a cell is on the canvas, in pixels. */
export interface CellBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The disk and the canvas. */
export interface MapFrame {
  readonly size: number;
  readonly sectorSize: number;
  readonly width: number;
  readonly height: number;
}

/** Side of a cell that is good to look at, in pixels. */
const CELL = 12;
/** How much narrower bins get with one step of zoom. */
export const ZOOM = 4;

/** The narrowest bin, the sector size doubled so often, with which a length has at most `limit` bins. */
export function binLengthFor(length: number, limit: number, sectorSize: number): number {
  let width = sectorSize;
  while (Math.ceil(length / width) > limit) width *= 2;
  return width;
}

/** The view of the whole disk. */
export function wholeView(frame: MapFrame): MapView {
  return viewOf(frame, 0, wholeBin(frame));
}

/** The view with bins of another width around an offset of the disk. */
export function zoomedView(frame: MapFrame, binLength: number, centre: number): MapView {
  const whole = wholeBin(frame);
  const width = Math.min(whole, Math.max(frame.sectorSize, binLength));
  const { columns, rows } = gridOf(frame);
  return viewOf(frame, centre - (columns * rows * width) / 2, width);
}

/** The closest view that shows all of a range. */
export function viewAround(frame: MapFrame, offset: number, length: number): MapView {
  const { columns, rows } = gridOf(frame);
  // One bin less, because bins do not begin where the range does.
  return zoomedView(frame, binLengthFor(length, columns * rows - 1, frame.sectorSize), offset + length / 2);
}

/** The view with bins of the same width elsewhere. */
export function movedView(frame: MapFrame, view: MapView, offset: number): MapView {
  return viewOf(frame, offset, view.binLength);
}

/** The cell of a view that holds an offset. */
export function cellAt(view: MapView, offset: number): number {
  return Math.max(0, Math.min(view.bins - 1, Math.floor((offset - view.offset) / view.binLength)));
}

/** Where a cell is, without the gap to its neighbours. Edges lie between pixels, so that no colours mix. */
export function boxOf({ columns, rows, width, height }: MapView, cell: number): CellBox {
  const column = cell % columns;
  const row = Math.floor(cell / columns);
  const x = Math.round((column * width) / columns);
  const y = Math.round((row * height) / rows);
  const right = Math.round(((column + 1) * width) / columns);
  const bottom = Math.round(((row + 1) * height) / rows);
  const across = right - x > 5 ? 2 : 1;
  // Below there is room for a line.
  const below = bottom - y > 10 ? 4 : 2;
  return { x, y, width: Math.max(1, right - x - across), height: Math.max(1, bottom - y - below) };
}

/** The cell under a point of the canvas; undefined if there is none. */
export function cellUnder(view: MapView, x: number, y: number): number | undefined {
  const column = Math.floor((x * view.columns) / view.width);
  const row = Math.floor((y * view.rows) / view.height);
  const cell = row * view.columns + column;
  const isInside = column >= 0 && column < view.columns && cell >= 0 && cell * view.binLength < view.length;
  return isInside ? cell : undefined;
}

/** The grid of the cells. */
interface Grid {
  readonly columns: number;
  readonly rows: number;
}

function wholeBin({ size, width, height, sectorSize }: MapFrame): number {
  const most = Math.max(64, Math.floor(width / CELL) * Math.floor(height / CELL));
  return binLengthFor(size, most, sectorSize);
}

/** Cells fill the canvas and are nearly square; columns are a power of two, so that rows begin at round places of the disk. */
function gridOf(frame: MapFrame): Grid {
  const bins = Math.max(1, Math.ceil(frame.size / wholeBin(frame)));
  const columns = 2 ** Math.round(Math.log2(Math.min(bins, Math.sqrt((bins * frame.width) / frame.height))));
  return { columns, rows: Math.ceil(bins / columns) };
}

function viewOf(frame: MapFrame, wanted: number, binLength: number): MapView {
  const { size, width, height } = frame;
  const { columns, rows } = gridOf(frame);
  const cells = columns * rows;
  const last = Math.max(0, Math.ceil(size / binLength) - cells) * binLength;
  const offset = Math.max(0, Math.min(last, Math.round(wanted / binLength) * binLength));
  const length = Math.min(size - offset, cells * binLength);
  return { offset, length, binLength, bins: Math.ceil(length / binLength), columns, rows, width, height };
}
