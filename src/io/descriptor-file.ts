import type { builtinModule } from '../base/builtin-module.js';
import { checkRead, checkWrite } from '../base/byte-range.js';
import { MiB } from '../base/units.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessFile, ReadOptions } from './random-access.js';
import { readFailed, writeFailed } from './system-error.js';

/** The module `node:fs`. */
export type FileSystem = NonNullable<ReturnType<typeof builtinModule<'fs'>>>;

/** Most that one call of the operating system is asked for, in bytes: a running call cannot be aborted. */
const PIECE = 16 * MiB;

/** Calls a function of the fs module in its callback form, which is the fast one and the one that gives bare descriptors. */
export function call<T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
}

/** What a {@link DescriptorFile} is made of. */
interface OpenDescriptor {
  readonly fs: FileSystem;
  /** The descriptor; negative once its owner has closed it. */
  readonly handle: { readonly fd: number };
  /** Length in bytes. */
  readonly size: number;
  /** Absolute path and name, if it was opened by its path: then it is closed here. */
  readonly place?: { readonly path: string; readonly name: string };
  /** Whether it was opened for writing. */
  readonly writable: boolean;
}

/** A write that is running. */
interface RunningWrite {
  readonly end: number;
  /** Called when it has ended, if something waits for that. */
  ended: (() => void) | undefined;
}

/**
 * An open file of Node, Bun or Deno. Reads and writes go to the thread pool by the callback form of `fs.read` and
 * `fs.write`, straight from and into the caller's memory; nothing is between but the promise, because at 16 reads in
 * flight a read takes three microseconds.
 */
export class DescriptorFile implements RandomAccessFile {
  readonly name?: string;
  /** Absolute path; undefined when a handle was handed over. */
  readonly path?: string;
  readonly #fs: FileSystem;
  readonly #handle: { readonly fd: number };
  readonly #owned: boolean;
  readonly #writable: boolean;
  #size: number;
  /** Operations that use the descriptor. */
  #pending = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;
  /** The writes that are running. A failure is reported to the caller of the write alone. */
  readonly #writes = new Set<RunningWrite>();
  /** The change of length that is running: writes wait for it, so that `size` is what the file has. */
  #truncating: Promise<void> | undefined;
  /** Where writes end that need not wait for it. */
  #safeUpTo = 0;
  /** The first flush that failed. The system may have dropped what it could not write, so none succeeds after it. */
  #flushFailure: VhdxError | undefined;

  constructor({ fs, handle, size, place, writable }: OpenDescriptor) {
    this.#fs = fs;
    this.#handle = handle;
    this.#owned = place !== undefined;
    this.#writable = writable;
    this.#size = size;
    if (place !== undefined) {
      this.path = place.path;
      this.name = place.name;
    }
  }

  get size(): number {
    return this.#size;
  }

  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal;
      signal?.throwIfAborted();
      if (this.#closed) throw this.#closedError();
      const length = checkRead(this.#size, target, offset);
      if (length === 0) return resolve();

      const fd = this.#descriptor();
      // A running read cannot be called back and writes into the target until it ends. So the promise does not settle
      // before it, not even for an abort: the target may be given to another read as soon as it does.
      let done = 0;
      const onRead = (error: Error | null, count: number): void => {
        done += count;
        if (!error && done === length && this.#handle.fd === fd && !signal?.aborted) {
          this.#settled();
          resolve();
          return;
        }
        try {
          if (signal?.aborted) throw signal.reason;
          if (error) throw readFailed(this.#who, error, offset + done);
          if (this.#handle.fd !== fd) throw this.#closedByOwner();
          if (count === 0) throw this.#truncated(offset + done);
          this.#fs.read(fd, target, done, Math.min(length - done, PIECE), offset + done, onRead);
        } catch (failure) {
          this.#settled();
          reject(failure);
        }
      };
      this.#fs.read(fd, target, 0, Math.min(length, PIECE), offset, onRead);
      this.#pending++;
    });
  }

  readIntoSync(target: Uint8Array, offset: number): void {
    if (this.#closed) throw this.#closedError();
    const length = checkRead(this.#size, target, offset);
    const fd = this.#descriptor();
    for (let done = 0; done < length; ) {
      let count: number;
      try {
        count = this.#fs.readSync(fd, target, done, Math.min(length - done, PIECE), offset + done);
      } catch (error) {
        throw readFailed(this.#who, error, offset + done);
      }
      if (count === 0) throw this.#truncated(offset + done);
      done += count;
    }
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    // Without another promise around it: most writes are short, and there are many.
    return this.#mayWrite(bytes, offset) ? this.#write(bytes, offset) : this.#writeLater(bytes, offset);
  }

  /** Whether a write need not wait: no change of the length is running, or one that lengthens the file beyond it. */
  #mayWrite(bytes: Uint8Array, offset: number): boolean {
    return this.#truncating === undefined || !(offset + bytes.byteLength > this.#safeUpTo);
  }

  async #writeLater(bytes: Uint8Array, offset: number): Promise<void> {
    this.#checkWritable();
    while (!this.#mayWrite(bytes, offset)) await this.#truncating?.catch(() => {});
    await this.#write(bytes, offset);
  }

  #write(bytes: Uint8Array, offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#checkWritable();
      checkWrite(bytes, offset);
      const length = bytes.byteLength;
      if (length === 0) return resolve();
      const fd = this.#descriptor();
      const write: RunningWrite = { end: offset + length, ended: undefined };
      let done = 0;
      const onWritten = (error: Error | null, count: number): void => {
        if (!error) done += count;
        this.#size = Math.max(this.#size, offset + done);
        if (!error && count > 0 && done < length) {
          this.#fs.write(fd, bytes, done, Math.min(length - done, PIECE), offset + done, onWritten);
          return;
        }
        this.#settled();
        this.#writes.delete(write);
        if (error) reject(writeFailed(this.#who, error, offset + done));
        else if (done === length) resolve();
        else reject(writeFailed(this.#who, new Error('the system wrote nothing'), offset + done));
        write.ended?.();
      };
      this.#fs.write(fd, bytes, 0, Math.min(length, PIECE), offset, onWritten);
      this.#pending++;
      this.#writes.add(write);
    });
  }

  /** Resolves when the writes that run now have ended, well or not. */
  async #writesEnded(): Promise<void> {
    await Promise.all(
      Array.from(this.#writes, (write) => {
        const { ended } = write;
        return new Promise<void>((resolve) => {
          write.ended = () => {
            ended?.();
            resolve();
          };
        });
      }),
    );
  }

  async truncate(size: number): Promise<void> {
    this.#checkWritable();
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`${size} is not a length in bytes`);
    while (this.#truncating !== undefined) await this.#truncating.catch(() => {});
    // What lengthens the file cuts off nothing that is written meanwhile, as long as that ends below the new length.
    let end = this.#size;
    for (const write of this.#writes) end = Math.max(end, write.end);
    const lengthens = size >= end;
    const before = lengthens ? Promise.resolve() : this.#writesEnded();
    const truncating = before.then(() => this.#use((fd, done) => this.#fs.ftruncate(fd, size, done)));
    this.#truncating = truncating;
    this.#safeUpTo = lengthens ? size : 0;
    try {
      await truncating;
      this.#size = size;
    } finally {
      this.#truncating = undefined;
    }
  }

  /** Waits for the writes that are running, and for the device. After a failure every flush rejects with it. */
  async flush(): Promise<void> {
    this.#checkWritable();
    await Promise.allSettled([this.#writesEnded(), this.#truncating]);
    if (this.#flushFailure !== undefined) throw this.#flushFailure;
    try {
      await this.#use((fd, done) => this.#fs.fdatasync(fd, done));
    } catch (error) {
      if (error instanceof VhdxError && error.code !== 'closed') this.#flushFailure ??= error;
      throw error;
    }
  }

  /** Closes the file as soon as what is running has ended, unless it was handed over as a handle. Flushes nothing. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // The number of a closed descriptor goes to the next file opened; a read still on its way would read that one.
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    if (!this.#owned) return;
    await call<void>((done) => this.#fs.close(this.#handle.fd, (error) => done(error ?? null)));
  }

  /** Does something with the descriptor that is no read and no write. */
  async #use(start: (fd: number, done: (error: Error | null) => void) => void): Promise<void> {
    if (this.#closed) throw this.#closedError();
    const fd = this.#descriptor();
    this.#pending++;
    try {
      await call<void>((done) => start(fd, (error) => done(error)));
    } catch (cause) {
      throw writeFailed(this.#who, cause);
    } finally {
      this.#settled();
    }
  }

  #settled(): void {
    this.#pending--;
    if (this.#pending === 0) this.#drained?.();
  }

  #checkWritable(): void {
    if (this.#closed) throw this.#closedError();
    if (!this.#writable) throw new VhdxError('read-only', 'was opened for reading only', { file: this.#who });
  }

  #descriptor(): number {
    const { fd } = this.#handle;
    if (fd < 0) throw this.#closedByOwner();
    return fd;
  }

  #closedError(): VhdxError {
    return new VhdxError('closed', 'was closed', { file: this.#who });
  }

  #closedByOwner(): VhdxError {
    return new VhdxError('closed', 'the file handle was closed by its owner', { file: this.#who });
  }

  #truncated(offset: number): VhdxError {
    return new VhdxError(
      'short-read',
      `ends at byte ${offset} and had ${this.size} bytes when it was opened: it was truncated while in use`,
      { file: this.#who, offset },
    );
  }

  get #who(): string {
    return this.path ?? 'the file';
  }
}
