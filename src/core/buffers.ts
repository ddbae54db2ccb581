/** A buffer inside the core's memory, lent out by a {@link BufferPool}. */
export interface LeasedBuffer {
  /** Where it begins in the core's memory. */
  readonly address: number;
  /** The buffer itself. What the last user left is still in it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Waiter {
  readonly count: number;
  grant(buffers: LeasedBuffer[]): void;
}

/**
 * The few buffers inside the core's memory, lent out first come, first served.
 *
 * A caller asks for all the buffers it needs at once and gets all of them or waits: two callers that each hold
 * half of what they need cannot block each other.
 */
export class BufferPool {
  /** How many buffers there are. */
  readonly size: number;
  /** Length of each buffer, in bytes. */
  readonly bufferBytes: number;
  readonly #free: LeasedBuffer[] = [];
  readonly #waiting: Waiter[] = [];

  constructor(memory: Uint8Array<ArrayBuffer>, address: number, count: number, bufferBytes: number) {
    this.size = count;
    this.bufferBytes = bufferBytes;
    for (let start = address; start < address + count * bufferBytes; start += bufferBytes) {
      this.#free.push({ address: start, bytes: memory.subarray(start, start + bufferBytes) });
    }
  }

  /**
   * Waits for `count` buffers and lends them. The caller gives them back with {@link release}, whatever happens.
   * Rejects with the signal's reason when it fires first; RangeError if there are fewer buffers.
   */
  acquire(count = 1, signal?: AbortSignal): Promise<LeasedBuffer[]> {
    return new Promise((resolve, reject) => {
      if (!(Number.isInteger(count) && count > 0 && count <= this.size)) {
        throw new RangeError(`there are ${this.size} buffers, ${count} cannot be lent`);
      }
      signal?.throwIfAborted();
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason);
        this.#serve(); // the next ones may have waited only for this one
      };
      const waiter: Waiter = {
        count,
        grant: (buffers) => {
          signal?.removeEventListener('abort', abort);
          resolve(buffers);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiter);
      this.#serve();
    });
  }

  /** Lends more buffers if they are free and no caller waits for them: for one that holds some already and must not wait. */
  tryAcquire(count = 1): LeasedBuffer[] | undefined {
    return this.#waiting.length === 0 && this.#free.length >= count ? this.#free.splice(0, count) : undefined;
  }

  /** Takes lent buffers back. Their users must not touch them any more. */
  release(buffers: readonly LeasedBuffer[]): void {
    if (buffers.some((buffer) => this.#free.includes(buffer))) throw new Error('a buffer was released twice');
    this.#free.push(...buffers);
    this.#serve();
  }

  /** Serves from the front of the queue, and stops at the first that must wait: none is overtaken. */
  #serve(): void {
    let first = this.#waiting[0];
    while (first !== undefined && first.count <= this.#free.length) {
      this.#waiting.shift();
      first.grant(this.#free.splice(0, first.count));
      first = this.#waiting[0];
    }
  }
}
