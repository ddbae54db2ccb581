/** A buffer for bytes that the core looks at, lent out by a {@link BufferPool}. */
export interface LeasedBuffer {
  /** Where it begins in the core's memory; undefined for one in memory of its own, lent when all of the core's are lent. */
  readonly address: number | undefined;
  /** The buffer itself. What the last user left is still in it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * The few buffers inside the core's memory. No caller waits for one, because an operation whose source never answers
 * keeps its buffers for ever: a caller that finds none free makes one in memory of its own, whose bytes the core sees
 * by way of its copy area.
 */
export class BufferPool {
  /** Where the first one begins in the core's memory; the others follow it. */
  readonly address: number;
  /** How many buffers there are. */
  readonly size: number;
  /** Length of each buffer, in bytes. */
  readonly bufferBytes: number;
  readonly #free: LeasedBuffer[] = [];

  constructor(memory: Uint8Array<ArrayBuffer>, address: number, count: number, bufferBytes: number) {
    this.address = address;
    this.size = count;
    this.bufferBytes = bufferBytes;
    for (let start = address; start < address + count * bufferBytes; start += bufferBytes) {
      this.#free.push({ address: start, bytes: memory.subarray(start, start + bufferBytes) });
    }
  }

  /**
   * Lends `count` of the core's buffers, all of them or none; the caller gives them back with {@link release}. Those that
   * came back last go out first: the processor still has them at hand.
   */
  take(count = 1): LeasedBuffer[] | undefined {
    return this.#free.length >= count ? this.#free.splice(-count) : undefined;
  }

  /** Makes `count` buffers in memory of their own. They need not be released. */
  makePrivate(count = 1): LeasedBuffer[] {
    return Array.from({ length: count }, () => ({ address: undefined, bytes: new Uint8Array(this.bufferBytes) }));
  }

  /** Takes lent buffers back. Their users must not touch them any more. */
  release(buffers: readonly LeasedBuffer[]): void {
    for (const buffer of buffers) {
      if (buffer.address === undefined) continue;
      if (this.#free.includes(buffer)) throw new Error('a buffer was released twice');
      this.#free.push(buffer);
    }
  }
}
