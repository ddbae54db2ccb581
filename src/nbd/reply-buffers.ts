/** Sizes of buffers are multiples of this many bytes; shorter ones are not worth keeping. */
const GRAIN = 64 * 1024;
/** Bytes that are kept for replies to come. */
const MAX_KEPT = 16 * 1024 * 1024;

/**
 * Memory of long replies, which is used again when a reply has been sent: memory that is new costs as much as the bytes
 * that are read into it.
 */
export class ReplyBuffers {
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  /** A buffer with whatever is in it. */
  take(length: number): Buffer {
    if (length < GRAIN) return Buffer.allocUnsafe(length);
    const capacity = Math.ceil(length / GRAIN) * GRAIN;
    const kept = this.#free.get(capacity)?.pop();
    if (kept) this.#kept -= capacity;
    return (kept ?? Buffer.allocUnsafeSlow(capacity)).subarray(0, length);
  }

  /** Takes a buffer back that is not in use any more. */
  give({ length, buffer }: Buffer): void {
    const capacity = buffer.byteLength;
    if (length < GRAIN || this.#kept + capacity > MAX_KEPT) return;
    this.#kept += capacity;
    const free = this.#free.get(capacity);
    if (free) free.push(Buffer.from(buffer));
    else this.#free.set(capacity, [Buffer.from(buffer)]);
  }
}
