import type { ProgressOptions, RangeOptions } from '../base/options.js';
import { sumBuffer } from '../core/buffer-bytes.js';
import type { LeasedBuffer } from '../core/buffers.js';
import type { Core } from '../core/instance.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { Member } from './member.js';
import { isHole, type Piece, piecesOf, piecesOfSource } from './pieces.js';
import { coreBuffers, type ReadPiece, readAhead } from './read-ahead.js';

/** The pieces of a range, those with data read into the core's memory, so that the core can sum or scan them. */
function readIntoCore(
  core: Core,
  disk: Member | RandomAccessSource,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadPiece<Piece, readonly LeasedBuffer[]>> {
  const options = { size: core.buffers.bufferBytes, signal };
  const pieces =
    disk instanceof Member
      ? piecesOf(disk, offset, length, options)
      : piecesOfSource(disk, options, { offset, length });
  return readAhead(pieces, {
    supply: coreBuffers(core.buffers),
    isHole,
    read: (piece, [buffer]) => readPiece(disk, piece, buffer, signal),
    signal,
    leaveReads: true,
  });
}

/** Reads a piece into a buffer of the core. */
async function readPiece(
  disk: Pick<RandomAccessSource, 'readInto'>,
  piece: Piece,
  buffer: LeasedBuffer | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!buffer) throw new RangeError('no buffer was lent');
  await disk.readInto(buffer.bytes.subarray(0, piece.length), piece.offset, { signal });
}

/**
 * CRC-32C of a range of a disk. Payload is read straight into the core's memory, with reads in flight while a piece is
 * summed; holes are not read, their checksum is computed in logarithmic time.
 */
export async function checksumOf(
  core: Core,
  disk: Member | RandomAccessSource,
  offset: number,
  length: number,
  { signal, onProgress }: RangeOptions & ProgressOptions,
): Promise<number> {
  const { exports } = core;
  let crc = 0;
  let done = 0;
  for await (const { piece, buffer } of readIntoCore(core, disk, offset, length, signal)) {
    const data = buffer?.[0];
    crc = data ? sumBuffer(core, data, piece.length, crc) : exports.crc32cZeros(crc, piece.length);
    done += piece.length;
    onProgress?.({ done, total: length });
  }
  return crc;
}
