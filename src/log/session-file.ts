import { VhdxError } from '../errors.js';
import type { RandomAccessFile, ReadOptions } from '../io/random-access.js';

/**
 * The file of a write session. After a failed flush, or a failed write of anything but payload, it is unknown what is
 * on the disk: the session has failed, and nothing is written any more. Reopening replays the log.
 */
export class SessionFile {
  readonly #file: RandomAccessFile;
  #durableSize: number;
  #failure: VhdxError | undefined;

  /** @param file as it was examined; what is in it counts as durable, because nothing newer is known to be lost */
  constructor(file: RandomAccessFile) {
    this.#file = file;
    this.#durableSize = file.size;
  }

  /** Length of the file in bytes. */
  get size(): number {
    return this.#file.size;
  }

  /** Length in bytes that the last flush made durable, or the present one if the file was cut since. */
  get durableSize(): number {
    return Math.min(this.#durableSize, this.#file.size);
  }

  /** Why the session has failed; undefined while it has not. */
  get failure(): VhdxError | undefined {
    return this.#failure;
  }

  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return this.#file.readInto(target, offset, options);
  }

  /** Writes a structure: a failure ends the session. */
  async write(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    await this.#orFail(() => this.#file.write(bytes, offset));
  }

  /** Writes payload, past the log. A full device is the caller's to deal with; any other failure ends the session. */
  writePayload(bytes: Uint8Array, offset: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    try {
      return this.#file.write(bytes as Uint8Array<ArrayBuffer>, offset).catch(this.#payloadFailed);
    } catch (error) {
      return Promise.reject(this.fail(error)); // a file of the caller that throws
    }
  }

  readonly #payloadFailed = (error: unknown): never => {
    throw error instanceof VhdxError && error.code === 'no-space' ? error : this.fail(error);
  };

  /** Lengthens the file; what is new reads as zeros. A failure, such as a full device, is the caller's. */
  async extend(size: number): Promise<void> {
    this.check();
    if (size > this.#file.size) await this.#file.truncate(size);
  }

  /** Cuts the file to a length. */
  async cut(size: number): Promise<void> {
    if (size < this.#file.size) await this.#orFail(() => this.#file.truncate(size));
  }

  /** Makes everything durable that was written before the call. */
  async flush(): Promise<void> {
    const size = this.#file.size;
    await this.#orFail(() => this.#file.flush());
    this.#durableSize = size;
  }

  /** Rejects if the session has failed. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Ends the session; the first failure is the one that later calls reject with. */
  fail(cause: unknown): VhdxError {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#failure ??= new VhdxError(
      'session-failed',
      `the write session has failed, what was flushed is safe and reopening the file recovers it: ${why}`,
      { cause },
    );
    return this.#failure;
  }

  async #orFail(operation: () => Promise<void>): Promise<void> {
    this.check();
    try {
      await operation();
    } catch (error) {
      throw this.fail(error);
    }
  }
}
