import { viewOf } from '../base/bytes.js';
import { eventLoopYielder } from '../base/concurrency.js';
import { MiB } from '../base/units.js';
import { BAT_ENTRY_SIZE } from '../format/bat.js';
import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** Entries of a BAT, from number `first` on. The view is good until the next piece is asked for. */
export interface BatPiece {
  readonly first: number;
  readonly count: number;
  readonly view: DataView;
}

/** Bytes of a BAT that are read at a time. */
const PIECE = 1 * MiB;

/** Reads a BAT piece by piece, from entry `start` up to entry `end`. */
export async function* batPieces(
  source: RandomAccessSource,
  batOffset: number,
  start: number,
  end: number,
  options: ReadOptions,
): AsyncGenerator<BatPiece> {
  const yieldToEventLoop = eventLoopYielder();
  const bytes = new Uint8Array(Math.min(PIECE, Math.max(0, end - start) * BAT_ENTRY_SIZE));
  const view = viewOf(bytes);
  for (let first = start; first < end; ) {
    options.signal?.throwIfAborted();
    await yieldToEventLoop();
    const count = Math.min(PIECE / BAT_ENTRY_SIZE, end - first);
    await source.readInto(bytes.subarray(0, count * BAT_ENTRY_SIZE), batOffset + first * BAT_ENTRY_SIZE, options);
    yield { first, count, view };
    first += count;
  }
}
