import { linkedController } from '../base/abort.js';
import type { RangeOptions } from '../base/options.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { type ArrivingSource, LONG } from '../io/sequential-reads.js';
import type { Run } from './arriving.js';
import type { Member } from './member.js';
import { extentsOf, isHole, type Piece, piecesOf, piecesOfSource, type Span } from './pieces.js';
import { newBuffers, readAhead } from './read-ahead.js';
import type { Salvager } from './salvage.js';

/** Most bytes of a chunk that is read, and not taken as it arrives. */
export const CHUNK = 1024 * 1024;
/** Chunks that are being read while one is handed out. */
const CHUNKS_IN_FLIGHT = 4;

/** What `disk.stream` takes. */
export interface DiskStreamOptions extends RangeOptions {
  /**
   * A byte stream, for `getReader({ mode: 'byob' })`: it reads into the buffers that its reader brings, as many bytes as
   * fit, one read after another, and takes no memory of its own. `TypeError` in an engine that has no byte streams.
   */
  readonly type?: 'bytes' | undefined;
}

/** The bytes of a range as a byte stream. A reader that brings no buffer gets new ones of 1 MiB. */
export function byteStreamOf(
  source: Pick<RandomAccessSource, 'readInto'>,
  { offset, length }: Span,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const end = offset + length;
  let at = offset;
  return new ReadableStream({
    type: 'bytes',
    autoAllocateChunkSize: CHUNK,
    async pull(controller) {
      const request = controller.byobRequest as ReadableStreamBYOBRequest;
      const { buffer, byteOffset, byteLength } = request.view as Uint8Array<ArrayBuffer>;
      const part = new Uint8Array(buffer, byteOffset, Math.min(byteLength, end - at));
      if (part.length > 0) await source.readInto(part, at, { signal });
      else controller.close();
      at += part.length;
      request.respond(part.length);
    },
  });
}

/** The bytes of a range of a disk that has files whose bytes arrive: their chunks are handed on as they are. */
export async function* arrivingChunks(
  disk: Member,
  range: Span,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  for await (const run of arrivingRuns(disk, range, signal)) {
    yield* run.chunks ?? chunksOf(disk, piecesOf(disk, run.offset, run.length, { size: CHUNK, signal }), signal);
  }
}

/** The bytes of a range of a source, in chunks that belong to the reader: its own if it has some. */
export function chunksOfSource(
  source: ArrivingSource,
  range: Span,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  if (source.arriving) return source.arriving(range.offset, range.length, signal);
  return chunksOf(source, piecesOfSource(source, { size: CHUNK, signal }, range), signal);
}

/** The runs of a range of a disk that has bytes which arrive. */
export async function* arrivingRuns(
  disk: Member,
  range: Span,
  signal: AbortSignal | undefined,
): AsyncGenerator<Run, void> {
  const { controller, unlink } = linkedController(signal);
  try {
    const { runsOf } = await import('./arriving.js'); // not for files that have a path
    yield* runsOf(disk, extentsOf(disk, { ...range, signal }), range, LONG, controller.signal);
  } finally {
    controller.abort();
    unlink();
  }
}

/**
 * A stream of chunks that are made when they are asked for.
 *
 * @param onCancel called when the reader has cancelled, also before the first chunk
 */
export function streamOfChunks(
  chunks: AsyncGenerator<Uint8Array, void>,
  onCancel?: () => Promise<void>,
): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return();
        await onCancel?.();
      },
    },
    { highWaterMark: 0 },
  );
  // WebKitGTK 2.50 has streams that `for await` cannot read.
  if (!(Symbol.asyncIterator in stream)) {
    Object.defineProperty(stream, Symbol.asyncIterator, { value: () => iterate(stream) });
  }
  return stream;
}

/** Reads a stream to its end, or until the reader leaves the loop: then it is cancelled, as the standard says. */
async function* iterate<T>(stream: ReadableStream<T>): AsyncGenerator<T, undefined> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return undefined;
      yield value;
    }
  } finally {
    await reader.cancel();
    reader.releaseLock();
  }
}

/** The bytes of pieces, in chunks that belong to the reader; what cannot be read is zeros if there is a salvager. */
export async function* chunksOf(
  source: Pick<RandomAccessSource, 'readInto'>,
  pieces: AsyncGenerator<Piece>,
  signal: AbortSignal | undefined,
  salvager?: Salvager,
): AsyncGenerator<Uint8Array, void> {
  const read = readAhead(pieces, {
    supply: newBuffers(CHUNK, CHUNKS_IN_FLIGHT),
    isHole,
    read: (piece, buffer) =>
      salvager
        ? salvager.read(piece, buffer)
        : source.readInto(buffer.subarray(0, piece.length), piece.offset, { signal }),
    signal,
    leaveReads: true,
  });
  for await (const { piece, buffer } of read) {
    salvager?.tell(piece);
    if (buffer) {
      yield buffer.subarray(0, piece.length);
      continue;
    }
    for (let left = piece.length; left > 0; left -= CHUNK) {
      signal?.throwIfAborted();
      yield new Uint8Array(Math.min(CHUNK, left));
    }
  }
  salvager?.end();
}
