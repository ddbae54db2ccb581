import { rangeOf } from '../base/byte-range.js';
import { eventLoopYielder } from '../base/concurrency.js';
import type { RangeOptions } from '../base/options.js';
import type { Extent, ReadOptions } from '../io/random-access.js';
import type { RuleCode } from '../rules.js';
import type { Member } from './member.js';

/** A range of the virtual disk that is worth reading, or one that holds nothing but zeros and need not be read. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly hole: boolean;
  /** Of a hole that is none: why it is not read. */
  readonly damage?: RuleCode;
}

/** How a range is cut into pieces. */
export interface PieceOptions extends ReadOptions {
  /** Longest piece to read, in bytes; holes are of any length. */
  readonly size: number;
  /** Makes holes of damaged extents; otherwise they are read with the others, and say what is wrong. */
  readonly skipDamage?: boolean | undefined;
}

/** Extents that are resolved at a time. */
const BATCH = 4096;
/** A hole shorter than this is read along with its neighbours: the read costs less than the pause. */
const SHORTEST_HOLE = 64 * 1024;

/** The extents of a range, joined where one continues the other. RangeError where the range leaves the disk. */
export async function* extentsOf(disk: Member, options: RangeOptions): AsyncGenerator<Extent, void, undefined> {
  const { offset, length } = rangeOf(disk.size, options);
  const end = offset + length;
  const yieldToEventLoop = eventLoopYielder();
  let held: Extent[] = [];
  for (let at = offset; at < end; ) {
    await yieldToEventLoop();
    at = await disk.resolve(at, end - at, held, BATCH, 0, options);
    // The last one may go on.
    const last = held.pop() as Extent;
    for (const extent of held) yield extent; // `yield*` would cost as much again
    held = [last];
  }
  yield* held;
}

/** Cuts a range into pieces to read and holes between them. */
export async function* piecesOf(
  disk: Member,
  offset: number,
  length: number,
  { size, skipDamage, signal }: PieceOptions,
): AsyncGenerator<Piece> {
  let start = offset;
  let end = offset;
  function* upTo(limit: number): Generator<Piece> {
    for (; end - start > limit; start += size)
      yield { offset: start, length: Math.min(size, end - start), hole: false };
    start = Math.min(start, end);
  }
  for await (const extent of extentsOf(disk, { offset, length, signal })) {
    const skipped = skipDamage && extent.kind === 'damaged';
    const empty = extent.kind === 'zero' || extent.kind === 'unmapped';
    if (skipped || (empty && extent.length >= SHORTEST_HOLE)) {
      yield* upTo(0);
      const { offset: at, length: bytes, code } = extent;
      yield { offset: at, length: bytes, hole: true, ...(code !== undefined && { damage: code }) };
      start = end = extent.offset + extent.length;
    } else {
      end = extent.offset + extent.length;
      yield* upTo(size - 1);
    }
  }
  yield* upTo(0);
}

/** Whether a piece need not be read. */
export function isHole({ hole }: Piece): boolean {
  return hole;
}
