import type { ProgressOptions } from '../../base/options.js';
import { MiB } from '../../base/units.js';
import type { LeasedBuffer } from '../../core/buffers.js';
import type { Core } from '../../core/instance.js';
import type { Piece } from '../../disk/pieces.js';
import { coreBuffers, readAhead } from '../../disk/read-ahead.js';
import type { RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import type { WritableVhdxDisk } from '../writable/writable-disk.js';

/** A range of a disk that gets the bytes of a source, or becomes zeros. */
export interface RangeChange {
  readonly offset: number;
  readonly length: number;
  readonly zeros: boolean;
}

/** Longest piece that is copied at a time, in bytes. Pieces begin at its multiples, so that most of them are in one block. */
const PIECE = 1 * MiB;

/**
 * Brings ranges of a source onto a disk, in order and none twice: several pieces are read and written at the same time.
 * When it rejects, nothing is being read or written any more.
 *
 * @param options with `total`, how many bytes the ranges have in all, if the progress is to be reported
 */
export async function applyChanges(
  core: Core,
  source: RandomAccessSource,
  disk: WritableVhdxDisk,
  changes: AsyncIterable<RangeChange>,
  { signal, onProgress, total = 0 }: ReadOptions & ProgressOptions & { readonly total?: number },
): Promise<void> {
  const copy = async ({ offset, length }: Piece, [buffer]: readonly LeasedBuffer[]): Promise<void> => {
    if (!buffer) throw new RangeError('no buffer was lent');
    const bytes = buffer.bytes.subarray(0, length);
    await source.readInto(bytes, offset, { signal });
    await disk.write(bytes, offset, { signal });
  };
  const isHole = ({ hole }: Piece) => hole;
  let done = 0;
  for await (const { piece } of readAhead(inPieces(changes), {
    supply: coreBuffers(core.buffers),
    isHole,
    read: copy,
    signal,
  })) {
    if (piece.hole) await disk.zero(piece.offset, piece.length, { signal });
    done += piece.length;
    onProgress?.({ done, total });
  }
}

async function* inPieces(changes: AsyncIterable<RangeChange>): AsyncGenerator<Piece> {
  for await (const { offset, length, zeros } of changes) {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const next = zeros ? end : Math.min(end, (Math.floor(at / PIECE) + 1) * PIECE);
      yield { offset: at, length: next - at, hole: zeros };
      at = next;
    }
  }
}
