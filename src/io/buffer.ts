import { checkRead } from '../base/byte-range.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';

/** A source over bytes in memory. The bytes are not copied: what is written to them later is read later. */
class BufferSource implements RandomAccessSource {
  readonly size: number;
  readonly #bytes: Uint8Array;
  #closed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.byteLength;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.readIntoSync(target, offset);
  }

  readIntoSync(target: Uint8Array, offset: number): void {
    if (this.#closed) throw new VhdxError('closed', 'the buffer was closed');
    checkRead(this.size, target, offset);
    // A buffer that was transferred to a worker has no bytes any more; one that was resized may have others.
    if (this.#bytes.byteLength !== this.size) {
      throw new VhdxError('source-changed', 'the buffer was transferred or resized while it was being read');
    }
    target.set(this.#bytes.subarray(offset, offset + target.byteLength));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/** Makes a source of an ArrayBuffer, or of the part of one that a view shows. */
export function bufferSource(buffer: ArrayBufferLike | ArrayBufferView): RandomAccessSource {
  if (ArrayBuffer.isView(buffer)) {
    return new BufferSource(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));
  }
  return new BufferSource(new Uint8Array(buffer));
}
