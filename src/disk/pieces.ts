import type { ReadOptions } from '../source/source.js';
import type { Extent } from './extent.js';
import type { Member } from './member.js';

/** A range of the virtual disk that is worth reading, or one that holds nothing but zeros and need not be read. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly hole: boolean;
}

/** Extents that are resolved at a time. */
const BATCH = 4096;
/** A hole shorter than this is read along with its neighbours: the read costs less than the pause. */
const SHORTEST_HOLE = 64 * 1024;

/** The extents of a range, joined where one continues the other. */
export async function* extentsOf(disk: Member, offset: number, length: number, options?: ReadOptions): AsyncGenerator<Extent> {
  const end = offset + length;
  let held: Extent[] = [];
  for (let at = offset; at < end; ) {
    at = await disk.resolve(at, end - at, held, BATCH, 0, options);
    // The last one may go on.
    const last = held.pop() as Extent;
    yield* held;
    held = [last];
  }
  yield* held;
}

/**
 * Cuts a range into pieces of at most `size` bytes to read, and holes of any length between them.
 * A damaged extent belongs to a piece, so that reading it says what is wrong.
 */
export async function* piecesOf(disk: Member, offset: number, length: number, size: number, options?: ReadOptions): AsyncGenerator<Piece> {
  let start = offset;
  let end = offset;
  function* upTo(limit: number): Generator<Piece> {
    for (; end - start > limit; start += size) yield { offset: start, length: Math.min(size, end - start), hole: false };
    if (start > end) start = end;
  }
  for await (const extent of extentsOf(disk, offset, length, options)) {
    const hole = extent.kind === 'zero' || extent.kind === 'unmapped';
    if (hole && extent.length >= SHORTEST_HOLE) {
      yield* upTo(0);
      yield { offset: extent.offset, length: extent.length, hole: true };
      start = end = extent.offset + extent.length;
    } else {
      end = extent.offset + extent.length;
      yield* upTo(size - 1);
    }
  }
  yield* upTo(0);
}
