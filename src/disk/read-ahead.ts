import { untilAborted } from '../base/abort.js';
import { eventLoopYielder } from '../base/concurrency.js';
import type { BufferPool, LeasedBuffer } from '../core/buffers.js';

/** Where the bytes of pieces go. */
export interface BufferSupply<Buffer> {
  /** A buffer, unless `held`, the number of those that this reader holds, is enough; always one if it holds none. */
  take(held: number): Buffer | undefined;
  give(buffer: Buffer): void;
}

/** Buffers of the core that one operation may hold at a time, so that others find some while its source stalls. */
const BUFFERS_PER_OPERATION = 7;

/** Buffers that one operation has at least, in memory of its own if the core has none left. With fewer, reads would wait. */
const LEAST_PER_OPERATION = 4;

/**
 * Supplies one operation with buffers of the core, for bytes that the core must see; each time `count` of them, and
 * `most` times before any comes back. With a source of which one read at a time is of use that is 1: the core looks at
 * the bytes while the processor still has them at hand.
 */
export function coreBuffers(
  pool: BufferPool,
  count = 1,
  most = Number.POSITIVE_INFINITY,
): BufferSupply<readonly LeasedBuffer[]> {
  const spare: (readonly LeasedBuffer[])[] = [];
  return {
    take(held) {
      if (held > 0 && held >= most) return undefined;
      const wanted = (held + 1) * count;
      if (wanted > BUFFERS_PER_OPERATION) return undefined;
      const lent = pool.take(count);
      if (lent || wanted > LEAST_PER_OPERATION) return lent;
      return spare.pop() ?? pool.makePrivate(count);
    },
    give(buffers) {
      if (buffers[0]?.address === undefined) spare.push(buffers);
      else pool.release(buffers);
    },
  };
}

/** Supplies new buffers, which their readers may keep: `count` of them at a time. */
export function newBuffers(bytes: number, count: number): BufferSupply<Uint8Array<ArrayBuffer>> {
  return {
    take: (held) => (held < count ? new Uint8Array(bytes) : undefined),
    give: () => undefined,
  };
}

/** How pieces are read. */
export interface ReadAheadOptions<Piece, Buffer> {
  readonly supply: BufferSupply<Buffer>;
  /** Whether a piece is one that need not be read. */
  readonly isHole: (piece: Piece) => boolean;
  readonly read: (piece: Piece, buffer: Buffer) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether reads do nothing but fill their buffers. Then an abort does not wait for them, since a source may never
   * settle them; each buffer is given back when its read has ended.
   */
  readonly leaveReads?: boolean;
}

/** A piece and, unless it is a hole, what it was read into: the reader's until it asks for the next piece. */
export interface ReadPiece<Piece, Buffer> {
  readonly piece: Piece;
  readonly buffer?: Buffer;
}

interface Job<Piece, Buffer> extends ReadPiece<Piece, Buffer> {
  readonly read?: Promise<void>;
}

/** Pieces that may wait in the queue, holes among them. */
const QUEUE = 16;

/**
 * Reads pieces in order, with as many reads in flight as there are buffers. Holes are passed on and not read.
 * When it ends, however it ends, no read is in flight any more, unless `leaveReads` allows it.
 */
export async function* readAhead<Piece, Buffer>(
  pieces: AsyncGenerator<Piece>,
  { supply, isHole, read, signal, leaveReads = false }: ReadAheadOptions<Piece, Buffer>,
): AsyncGenerator<ReadPiece<Piece, Buffer>> {
  const jobs: Job<Piece, Buffer>[] = [];
  const start = (piece: Piece, buffer: Buffer): void => {
    const reading = read(piece, buffer);
    reading.catch(() => undefined); // reported when its turn comes
    jobs.push({ piece, buffer, read: reading });
  };
  const yieldToEventLoop = eventLoopYielder();
  try {
    let next = await pieces.next();
    for (;;) {
      while (!next.done && jobs.length < QUEUE) {
        if (isHole(next.value)) {
          jobs.push({ piece: next.value });
        } else {
          const held = jobs.filter((job) => job.buffer !== undefined).length;
          const buffer = supply.take(held);
          if (buffer === undefined) break;
          start(next.value, buffer);
        }
        next = await pieces.next();
      }
      await yieldToEventLoop();
      signal?.throwIfAborted();
      const job = jobs[0];
      if (!job) return;
      await untilAborted(Promise.resolve(job.read), leaveReads ? signal : undefined);
      yield job;
      jobs.shift();
      if (job.buffer !== undefined) supply.give(job.buffer);
    }
  } finally {
    const ended = jobs.map(async ({ read: reading, buffer }) => {
      await Promise.allSettled([reading]);
      if (buffer !== undefined) supply.give(buffer);
    });
    if (!(leaveReads && signal?.aborted)) await Promise.all(ended);
    await pieces.return(undefined);
  }
}

/**
 * Makes a `read` for {@link readAhead} that reads pieces as they come and begins to write each as soon as it is read and
 * the writing of the one before it has begun. `write` begins at once and settles when the buffer is free again.
 */
export function readThenWrite<Piece, Buffer>(
  read: (piece: Piece, buffer: Buffer) => Promise<void>,
  write: (piece: Piece, buffer: Buffer) => Promise<void>,
): (piece: Piece, buffer: Buffer) => Promise<void> {
  let begun: Promise<unknown> = Promise.resolve();
  return async (piece, buffer) => {
    const before = begun;
    const beginning = read(piece, buffer)
      .then(() => before)
      .then(() => ({ writing: write(piece, buffer) }));
    begun = beginning;
    await (await beginning).writing;
  };
}
