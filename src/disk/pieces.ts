import { rangeOf } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import type { RangeOptions } from '../base/options.js';
import { VhdxError } from '../errors.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { RuleCode } from '../rules.js';
import { type Member, tooManyExtents } from './member.js';

/** A range of the virtual disk, in bytes. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** A range that must be read, or one of nothing but zeros that need not be. */
export interface Piece extends Span {
  readonly hole: boolean;
  /** Of a damaged range that is left out like a hole: the broken rule. */
  readonly damage?: RuleCode;
}

/** How a range is cut into pieces. */
export interface PieceOptions extends ReadOptions {
  /** Longest piece to read, in bytes; holes are of any length. */
  readonly size: number;
  /** Makes holes of damaged extents; otherwise they are read with the others, and reading them rejects. */
  readonly skipDamage?: boolean | undefined;
  /** What all pieces begin and end at a multiple of, in bytes, but for the end of the disk; a divisor of `size`. */
  readonly align?: number | undefined;
}

/** Extents that are resolved at a time. */
const BATCH = 4096;
/** A hole shorter than this is read along with its neighbours: the read costs less than the pause. */
const SHORTEST_HOLE = 64 * 1024;

/** The extents of a range, joined if one continues the other. RangeError if the range leaves the disk. */
export async function* extentsOf(disk: Member, options: RangeOptions): AsyncGenerator<Extent, void, undefined> {
  const { offset, length } = rangeOf(disk.size, options);
  const end = offset + length;
  const yieldToEventLoop = eventLoopYielder();
  let left = disk.maxExtents;
  let held: Extent[] = [];
  for (let at = offset; at < end; ) {
    await yieldToEventLoop();
    at = await disk.resolve(at, end - at, held, BATCH, 0, options);
    // The last one may go on.
    const last = held.pop() as Extent;
    left -= held.length;
    if (left < 1) throw tooManyExtents(disk.maxExtents, at);
    for (const extent of held) yield extent; // `yield*` would cost as much again
    held = [last];
  }
  yield* held;
}

/** Cuts a range of a disk into pieces to read and holes between them. */
export function piecesOf(disk: Member, offset: number, length: number, options: PieceOptions): AsyncGenerator<Piece> {
  return cut(extentsOf(disk, { offset, length, signal: options.signal }), offset, options, offset + length);
}

/**
 * Cuts a source, or a range of it, into pieces to read and holes between them: the holes that it says it has.
 *
 * @throws VhdxError `unsupported-input` if its extents leave a gap, overlap, or do not end where the range ends
 */
export function piecesOfSource(
  source: RandomAccessSource,
  options: PieceOptions,
  { offset, length }: Span = { offset: 0, length: source.size },
): AsyncGenerator<Piece> {
  const whole: Extent[] = length === 0 ? [] : [{ offset, length, kind: 'data', depth: 0 }];
  const extents = source.extents ? extentsOfSource(source, { offset, length, signal: options.signal }) : whole;
  return cut(extents, offset, options, offset + length);
}

/**
 * The extents of a source that knows them, held to what they promise: what they leave out would never be read.
 *
 * @throws VhdxError `unsupported-input` if they leave a gap, overlap, or do not end where the range ends
 */
export async function* extentsOfSource(source: RandomAccessSource, options: RangeOptions = {}): AsyncGenerator<Extent> {
  const { offset: start = 0, length: bytes = source.size - start } = options;
  const limit = start + bytes;
  let end = start;
  for await (const extent of source.extents?.(options) ?? []) {
    const { offset, length } = extent;
    if (offset !== end || !(length > 0 && length <= limit - end)) throw unsound(end);
    end += length;
    yield extent;
  }
  if (end !== limit) throw unsound(end);
}

const unsound = (at: number): VhdxError =>
  new VhdxError(
    'unsupported-input',
    `the extents of the source have a gap, overlap or do not end with it, at byte ${at}`,
  );

async function* cut(
  extents: AsyncIterable<Extent> | Iterable<Extent>,
  offset: number,
  { size, skipDamage, align = 1 }: PieceOptions,
  total: number,
): AsyncGenerator<Piece> {
  let start = offset;
  let end = offset;
  function* upTo(limit: number): Generator<Piece> {
    for (; end - start > limit; start += size)
      yield { offset: start, length: Math.min(size, end - start), hole: false };
    start = Math.min(start, end);
  }
  for await (const extent of extents) {
    const skipped = skipDamage && extent.kind === 'damaged';
    const empty = extent.kind === 'zero' || extent.kind === 'unmapped';
    const extentEnd = extent.offset + extent.length;
    const from = Math.ceil(extent.offset / align) * align;
    const to = extentEnd === total ? extentEnd : Math.floor(extentEnd / align) * align;
    if ((skipped && to > from) || (empty && to - from >= SHORTEST_HOLE)) {
      end = from;
      yield* upTo(0);
      const { code } = extent;
      yield { offset: from, length: to - from, hole: true, ...(code !== undefined && { damage: code }) };
      start = to;
    }
    end = extentEnd;
    yield* upTo(size - 1);
  }
  yield* upTo(0);
}

/** Whether a piece need not be read. */
export function isHole({ hole }: Piece): boolean {
  return hole;
}
