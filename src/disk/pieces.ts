import type { ReadOptions } from '../source/source.js';
import type { Extent } from './extent.js';
import type { Member } from './member.js';

/** A range of the virtual disk that is worth reading, or one that holds nothing but zeros and need not be read. */
export interface Piece {
  readonly offset: number;
  readonly length: number;
  readonly hole: boolean;
}

/** How a range is cut into pieces. */
export interface PieceOptions extends ReadOptions {
  /** Longest piece to read, in bytes; holes are of any length. */
  readonly size: number;
  /** Takes damaged extents, which are holes then; otherwise they are pieces, so that reading them says what is wrong. */
  readonly onDamage?: ((extent: Extent) => void) | undefined;
}

/** Extents that are resolved at a time. */
const BATCH = 4096;
/** A hole shorter than this is read along with its neighbours: the read costs less than the pause. */
const SHORTEST_HOLE = 64 * 1024;

/** The extents of a range, joined where one continues the other. */
export async function* extentsOf(
  disk: Member,
  offset: number,
  length: number,
  options?: ReadOptions,
): AsyncGenerator<Extent> {
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

/** Cuts a range into pieces to read and holes between them. */
export async function* piecesOf(
  disk: Member,
  offset: number,
  length: number,
  { size, onDamage, signal }: PieceOptions,
): AsyncGenerator<Piece> {
  let start = offset;
  let end = offset;
  function* upTo(limit: number): Generator<Piece> {
    for (; end - start > limit; start += size)
      yield { offset: start, length: Math.min(size, end - start), hole: false };
    start = Math.min(start, end);
  }
  for await (const extent of extentsOf(disk, offset, length, { signal })) {
    const skipped = onDamage !== undefined && extent.kind === 'damaged';
    if (skipped) onDamage(extent);
    const empty = extent.kind === 'zero' || extent.kind === 'unmapped';
    if (skipped || (empty && extent.length >= SHORTEST_HOLE)) {
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

/** Whether a piece need not be read. */
export function isHole({ hole }: Piece): boolean {
  return hole;
}
