import type { Member } from './member.js';
import { isHole, piecesOf } from './pieces.js';
import { newBuffers, readAhead } from './read-ahead.js';

/** Bytes of a chunk. */
const CHUNK = 1024 * 1024;
/** Chunks that are being read while one is handed out. */
const CHUNKS_IN_FLIGHT = 4;

/** The bytes of a range in chunks of at most 1 MiB, which belong to the reader. Nothing is read before the first pull. */
export function streamOf(
  disk: Member,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const chunks = chunksOf(disk, offset, length, signal);
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return(undefined);
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

async function* chunksOf(
  disk: Member,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, undefined> {
  const pieces = readAhead(piecesOf(disk, offset, length, { size: CHUNK, signal }), {
    supply: newBuffers(CHUNK, CHUNKS_IN_FLIGHT),
    isHole,
    read: (piece, buffer) => disk.readInto(buffer.subarray(0, piece.length), piece.offset, { signal }),
    signal,
    leaveReads: true,
  });
  for await (const { piece, buffer } of pieces) {
    if (buffer) {
      yield buffer.subarray(0, piece.length);
      continue;
    }
    for (let left = piece.length; left > 0; left -= CHUNK) {
      signal?.throwIfAborted();
      yield new Uint8Array(Math.min(CHUNK, left));
    }
  }
  return undefined;
}
