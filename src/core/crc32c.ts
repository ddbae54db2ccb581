import type { LeasedBuffer } from './buffers.js';
import { COPY_AREA, COPY_BYTES } from './core-memory.generated.js';
import type { Core } from './instance.js';
import { loadCore } from './load.js';

/** Bytes to be summed: a buffer, or a view on one. */
export type Bytes = ArrayBuffer | ArrayBufferView<ArrayBufferLike>;

/**
 * Returns the CRC-32C (Castagnoli) of bytes, as a number from 0 to 2^32 - 1.
 *
 * @param initial the checksum of what comes before `bytes`; 0 when nothing does
 */
export async function crc32c(bytes: Bytes, initial = 0): Promise<number> {
  const view = viewOf(bytes);
  checkChecksum(initial, 'initial');
  return sumBytes(await loadCore(), view, initial);
}

/** A CRC-32C that grows piece by piece, without waiting: `(await Crc32c.create()).update(a).update(b).digest()`. */
export class Crc32c {
  readonly #core: Core;
  #value: number;

  private constructor(core: Core, initial: number) {
    this.#core = core;
    this.#value = initial;
  }

  /**
   * Returns the checksum of no bytes yet.
   *
   * @param initial the checksum of what comes before; 0 when nothing does
   */
  static async create(initial = 0): Promise<Crc32c> {
    checkChecksum(initial, 'initial');
    return new Crc32c(await loadCore(), initial);
  }

  /** Appends bytes. */
  update(bytes: Bytes): this {
    this.#value = sumBytes(this.#core, viewOf(bytes), this.#value);
    return this;
  }

  /** Returns the checksum of everything so far, as a number from 0 to 2^32 - 1. More may follow. */
  digest(): number {
    return this.#value;
  }
}

/** Bytes that were lent. */
export interface LentBytes {
  /** 1 MiB, with what its last user left in it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Gives the bytes back: they may be another's from then on. Calling it again does nothing. */
  release(): void;
}

/**
 * Lends bytes of the core's own memory, to read files into: {@link crc32c} and {@link Crc32c} sum what lies there
 * without the copy that other bytes need. They cannot be transferred, as `postMessage` and the readers of byte streams
 * would. There are 8 times 1 MiB, which disks use too; while all are lent, these are bytes like any other.
 */
export async function lendBytes(): Promise<LentBytes> {
  const { buffers } = await loadCore();
  const [buffer] = buffers.take() ?? buffers.makePrivate();
  const { bytes } = buffer as LeasedBuffer;
  let given: readonly LeasedBuffer[] = [buffer as LeasedBuffer];
  return {
    bytes,
    release() {
      buffers.release(given);
      given = [];
    },
  };
}

/**
 * Returns the CRC-32C of A followed by B, from the checksums of both and the length of B, without looking at their bytes.
 * Lets the parts of something large be summed in any order.
 *
 * @param lengthOfB in bytes
 */
export async function crc32cCombine(a: number, b: number, lengthOfB: number): Promise<number> {
  checkChecksum(a, 'a');
  checkChecksum(b, 'b');
  if (!(Number.isSafeInteger(lengthOfB) && lengthOfB >= 0)) {
    throw new RangeError(`lengthOfB must be a whole number of bytes, not ${lengthOfB}`);
  }
  const core = await loadCore();
  return core.exports.crc32cCombine(a, b, lengthOfB);
}

/** A CRC-32C that is there at once: of bytes, after what has the checksum `initial`. */
export type Checksum = (bytes: Uint8Array, initial?: number) => number;

/** The function that sums without waiting, for those who sum many short structures. */
export async function checksumFunction(): Promise<Checksum> {
  const core = await loadCore();
  return crcOf(core);
}

/** Sums bytes in a core, continuing from `initial`, 0 for a new checksum. */
export function crcOf(core: Core): Checksum {
  return (bytes, initial = 0) => sumBytes(core, bytes, initial);
}

/** Sums bytes: where they lie if that is the core's memory, else by way of its copy area. */
export function sumBytes(core: Core, bytes: Uint8Array, initial: number): number {
  if (bytes.buffer === core.bytes.buffer) return core.exports.crc32c(initial, bytes.byteOffset, bytes.length);
  let crc = initial;
  for (let at = 0; at < bytes.length; at += COPY_BYTES) {
    const piece = bytes.subarray(at, at + COPY_BYTES);
    core.bytes.set(piece, COPY_AREA);
    crc = core.exports.crc32c(crc, COPY_AREA, piece.length);
  }
  return crc;
}

function viewOf(bytes: Bytes): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  throw new TypeError('bytes must be an ArrayBuffer or a view on one');
}

function checkChecksum(value: number, name: string): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= 0xffffffff)) {
    throw new RangeError(`${name} must be a checksum, a whole number from 0 to 2^32 - 1, not ${value}`);
  }
}
