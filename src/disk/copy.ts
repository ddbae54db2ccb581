import { InFlight } from '../base/concurrency.js';
import type { ProgressOptions } from '../base/options.js';
import { nonzeroBytes, zeroBytes } from '../core/buffer-bytes.js';
import type { LeasedBuffer } from '../core/buffers.js';
import type { Core } from '../core/instance.js';
import type { RandomAccessSink, RandomAccessSource } from '../io/random-access.js';
import { isHole, type Piece, piecesOfSource, type Span } from './pieces.js';
import { coreBuffers, readAhead, readThenWrite } from './read-ahead.js';
import { type DamagedRange, Salvager } from './salvage.js';

/** How a source is copied. */
export interface CopyOptions extends ProgressOptions {
  /** Aborts the copy, as soon as the reads and writes that are in flight have ended: it waits for a write that never does. */
  readonly signal?: AbortSignal | undefined;
  /** Takes the ranges that cannot be read, in order, which become zeros; without it the first of them rejects. */
  readonly onDamage?: ((range: DamagedRange) => void) | undefined;
}

/** What is written to: the offsets are those of the disk, and grow from call to call. */
export type SparseSink = Pick<RandomAccessSink, 'write'>;

/** Zeros inside data are left out in units of this many bytes. */
const GRANULE = 32 * 1024;

/**
 * Writes what a source holds and is not zero. Holes are not read. Several reads and writes are in flight, the writes
 * begin in the order of the disk; when it rejects, none is in flight any more.
 */
export async function copySparsely(
  core: Core,
  source: RandomAccessSource,
  sink: SparseSink,
  { signal, onProgress, onDamage }: CopyOptions,
): Promise<void> {
  const salvager = new Salvager(source, onDamage, signal);
  const size = core.buffers.bufferBytes;
  const pieces = piecesOfSource(source, { size, signal, skipDamage: onDamage !== undefined });
  const copy = readThenWrite<Piece, readonly LeasedBuffer[]>(
    (piece, [buffer]) => salvager.read(piece, lent(buffer).bytes),
    (piece, [buffer]) => writeSparsely(core, sink, piece, lent(buffer)),
  );
  const supply = coreBuffers(core.buffers);
  for await (const { piece } of readAhead(pieces, { supply, isHole, read: copy, signal })) {
    salvager.tell(piece);
    onProgress?.({ done: piece.offset + piece.length, total: source.size });
  }
  salvager.end();
}

/** A buffer of those that were lent. */
export function lent(buffer: LeasedBuffer | undefined): LeasedBuffer {
  if (!buffer) throw new RangeError('no buffer was lent');
  return buffer;
}

/** Begins at once to write the parts of a piece that are not zeros; settles when none is being written any more. */
export function writeSparsely(
  core: Core,
  sink: SparseSink,
  { offset, length }: Span,
  buffer: LeasedBuffer,
): Promise<void> {
  const writes = new InFlight(Number.POSITIVE_INFINITY);
  try {
    for (let at = 0; at < length; ) {
      const left = length - at;
      const zeros = zeroBytes(core, buffer, at, left);
      at += zeros === left ? zeros : zeros - (zeros % GRANULE);
      const data = nonzeroBytes(core, buffer, at, length - at, GRANULE);
      // A sink in plain JavaScript may return no promise.
      if (data > 0) void writes.add(Promise.resolve(sink.write(buffer.bytes.subarray(at, at + data), offset + at)));
      at += data;
    }
  } catch (error) {
    writes.fail(error);
  }
  return writes.settle();
}
