import type { BufferPool, LeasedBuffer } from '../core/buffers.js';
import type { ReadOptions } from '../source/source.js';
import type { Member } from './member.js';
import { type Piece, piecesOf } from './pieces.js';

/** A piece and, unless it is a hole, its bytes. They are the reader's until it asks for the next piece. */
export interface ReadPiece<Buffer extends { readonly bytes: Uint8Array }> extends Piece {
  readonly buffer?: Buffer;
}

/** Where the bytes of pieces go. */
export interface BufferSupply<Buffer extends { readonly bytes: Uint8Array }> {
  /** Length of a buffer in bytes: pieces are as long, or shorter. */
  readonly bufferBytes: number;
  /** A buffer; waits for one only where `held`, the number of those that this reader holds, is 0. */
  take(held: number, signal?: AbortSignal): Promise<Buffer | undefined>;
  give(buffer: Buffer): void;
}

/** Pieces that may wait in the queue, holes among them. */
const QUEUE = 16;

/** Supplies the core's own buffers: for bytes that the core must see. */
export function coreBuffers(pool: BufferPool): BufferSupply<LeasedBuffer> {
  return {
    bufferBytes: pool.bufferBytes,
    async take(held, signal) {
      return held === 0 ? (await pool.acquire(1, signal))[0] : pool.tryAcquire();
    },
    give: (buffer) => pool.release([buffer]),
  };
}

/** Supplies new buffers, which their readers may keep. */
export function newBuffers(bufferBytes: number, count: number): BufferSupply<{ readonly bytes: Uint8Array<ArrayBuffer> }> {
  return {
    bufferBytes,
    take: async (held) => (held < count ? { bytes: new Uint8Array(bufferBytes) } : undefined),
    give: () => undefined,
  };
}

interface Job<Buffer> {
  readonly piece: Piece;
  readonly buffer?: Buffer;
  readonly read?: Promise<void>;
}

/**
 * Reads a range of a disk in order and in large pieces, with as many reads under way as there are buffers.
 * Holes are told and not read. When it ends, however it ends, no read is under way any more.
 */
export async function* readAhead<Buffer extends { readonly bytes: Uint8Array }>(
  disk: Member,
  offset: number,
  length: number,
  supply: BufferSupply<Buffer>,
  options?: ReadOptions,
): AsyncGenerator<ReadPiece<Buffer>> {
  const jobs: Job<Buffer>[] = [];
  const pieces = piecesOf(disk, offset, length, supply.bufferBytes, options);
  const start = (piece: Piece, buffer: Buffer | undefined): void => {
    if (!buffer) {
      jobs.push({ piece });
      return;
    }
    const read = disk.readInto(buffer.bytes.subarray(0, piece.length), piece.offset, options);
    read.catch(() => undefined); // told when its turn comes
    jobs.push({ piece, buffer, read });
  };
  try {
    let next = await pieces.next();
    for (;;) {
      while (!next.done && jobs.length < QUEUE) {
        const held = jobs.filter((job) => job.buffer).length;
        const buffer = next.value.hole ? undefined : await supply.take(held, options?.signal);
        if (!next.value.hole && !buffer) break;
        start(next.value, buffer);
        next = await pieces.next();
      }
      const job = jobs[0];
      if (!job) return;
      await job.read;
      yield { ...job.piece, ...(job.buffer && { buffer: job.buffer }) };
      jobs.shift();
      if (job.buffer) supply.give(job.buffer);
    }
  } finally {
    await Promise.allSettled(jobs.map((job) => job.read));
    for (const job of jobs) if (job.buffer) supply.give(job.buffer);
  }
}
