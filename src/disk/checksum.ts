import { rangeOf } from '../base/byte-range.js';
import type { ProgressOptions, RangeOptions } from '../base/options.js';
import { sumBuffer } from '../core/buffer-bytes.js';
import type { LeasedBuffer } from '../core/buffers.js';
import { sumBytes } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import type { SourceOptions } from '../io/named-input.js';
import { openSource, type VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { type ArrivingSource, LONG } from '../io/sequential-reads.js';
import { Member } from './member.js';
import { isHole, type Piece, piecesOf, piecesOfSource, type Span } from './pieces.js';
import { coreBuffers, type ReadPiece, readAhead } from './read-ahead.js';
import { arrivingRuns } from './stream.js';

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
    supply: coreBuffers(core.buffers, 1, disk instanceof Member ? undefined : disk.readsInFlight),
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
  disk: Member | ArrivingSource,
  offset: number,
  length: number,
  { signal, onProgress }: RangeOptions & ProgressOptions,
): Promise<number> {
  let done = 0;
  const tell = (bytes: number): void => {
    done += bytes;
    onProgress?.({ done, total: length });
  };
  const addPieces = async (span: Span, before: number): Promise<number> => {
    let crc = before;
    for await (const { piece, buffer } of readIntoCore(core, disk, span.offset, span.length, signal)) {
      const data = buffer?.[0];
      crc = data ? sumBuffer(core, data, piece.length, crc) : core.exports.crc32cZeros(crc, piece.length);
      tell(piece.length);
    }
    return crc;
  };
  const addChunks = async (chunks: AsyncIterable<Uint8Array>, before: number): Promise<number> => {
    let crc = before;
    for await (const chunk of chunks) {
      crc = sumBytes(core, chunk, crc);
      tell(chunk.length);
    }
    return crc;
  };
  const range = { offset, length };
  if (!(disk instanceof Member)) {
    const chunks = length >= LONG ? disk.arriving?.(offset, length, signal) : undefined;
    return chunks ? addChunks(chunks, 0) : addPieces(range, 0);
  }
  if (!disk.arrives) return addPieces(range, 0);
  let crc = 0;
  for await (const run of arrivingRuns(disk, range, signal)) {
    crc = run.chunks ? await addChunks(run.chunks, crc) : await addPieces(run, crc);
  }
  return crc;
}

/**
 * CRC-32C of a file itself, whatever it is: as it was uploaded, or as an object store shows it. That of the disk in an
 * image is `disk.checksum()`. Bytes are read straight into the core's memory, several pieces at a time.
 *
 * @param input what `openVhdx` takes: a path, a URL, a File or Blob, bytes, a source
 * @returns a number from 0 to 2^32 - 1
 * @throws RangeError if the range leaves the file; VhdxError if the input cannot be read
 */
export async function checksumFile(
  input: VhdxInput,
  options: SourceOptions & RangeOptions & ProgressOptions = {},
): Promise<number> {
  const source = await openSource(input, options);
  try {
    const { offset, length } = rangeOf(source.size, options);
    return await checksumOf(await loadCore(), source, offset, length, options);
  } finally {
    await source.close?.();
  }
}
