import { InFlight } from '../base/concurrency.js';
import { KiB } from '../base/units.js';
import { BAT_ENTRY_SIZE } from '../format/bat.js';
import type { WriteSession } from '../image/session.js';
import type { RandomAccessSource } from '../io/random-access.js';

/** Bytes of a BAT that are made and written at a time, and how many of them are under way. */
const CHUNK = 256 * KiB;
const IN_FLIGHT = 4;

/** A BAT as the file has it. */
export interface StoredBat {
  readonly source: RandomAccessSource;
  readonly offset: number;
  /** Bytes that its region has. */
  readonly length: number;
}

/**
 * Writes a copy of a BAT to space that nothing refers to yet, past the log: however long it is, a few pages lead to it
 * afterwards.
 *
 * @param length of the new region in bytes, a multiple of 1 MiB
 * @param fill changes slots, of which the first has the given number
 */
export async function writeBatCopy(
  session: WriteSession,
  bat: StoredBat,
  offset: number,
  length: number,
  fill: (bytes: Uint8Array, first: number) => void,
  onWritten: (bytes: number) => void,
): Promise<void> {
  const writes = new InFlight(IN_FLIGHT);
  const free: Uint8Array[] = [];
  const write = async (buffer: Uint8Array, bytes: Uint8Array, at: number): Promise<void> => {
    await session.writePayload(bytes, offset + at);
    free.push(buffer);
  };
  for (let at = 0; at < length && !writes.failed; at += CHUNK) {
    const buffer = free.pop() ?? new Uint8Array(CHUNK);
    const bytes = buffer.subarray(0, Math.min(CHUNK, length - at));
    try {
      const old = Math.max(0, Math.min(bytes.length, bat.length - at));
      if (old > 0) await bat.source.readInto(bytes.subarray(0, old), bat.offset + at);
      bytes.fill(0, old);
      fill(bytes, at / BAT_ENTRY_SIZE);
      await writes.add(write(buffer, bytes, at));
      onWritten(at + bytes.length);
    } catch (error) {
      writes.fail(error);
    }
  }
  await writes.settle();
}
