import { builtinModule } from '../base/builtin-module.js';
import { checkRange } from '../base/byte-range.js';
import { VhdxError } from '../errors.js';
import { deviceSize } from './device-size.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';

type FileSystem = NonNullable<ReturnType<typeof builtinModule<'fs'>>>;

/** What is needed of a Node `FileHandle`: its descriptor, which is negative once the handle is closed. */
export interface FileHandleLike {
  /** The open file's descriptor. */
  readonly fd: number;
  /** Tells a handle from other things with a descriptor; not called. */
  read(...parameters: never[]): unknown;
}

/** Most that one call of the operating system is asked for, in bytes; Linux delivers less than 2 GiB at a time. */
const PIECE = 1024 * 1024 * 1024;

/** What the codes of the operating system mean, for people. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file: a part of the path is not a folder',
  EISDIR: 'is a folder, not a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EBUSY: 'in use by another program',
  ELOOP: 'symbolic links that go round in a circle',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  EIO: 'the device did not deliver (input/output error)',
};

function readFailed(who: string, cause: unknown, offset?: number): VhdxError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new VhdxError('read-failed', `${who}: ${reason}`, { offset, cause });
}

/** Calls a function of the fs module in its callback form, which is the fast one and the one that gives bare descriptors. */
function call<T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
}

/**
 * A source over an open file. Reads go to the thread pool by the callback form of `fs.read`, straight into the target;
 * nothing lies between but the promise, because at 16 reads in flight a read takes three microseconds.
 */
class FileSource implements RandomAccessSource {
  readonly size: number;
  readonly name?: string;
  /** Absolute path; undefined when a handle was handed over. */
  readonly path?: string;
  readonly #fs: FileSystem;
  readonly #handle: { readonly fd: number };
  readonly #owned: boolean;
  #pending = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  constructor(fs: FileSystem, handle: { readonly fd: number }, size: number, place?: { path: string; name: string }) {
    this.#fs = fs;
    this.#handle = handle;
    this.#owned = place !== undefined;
    this.size = size;
    if (place !== undefined) {
      this.path = place.path;
      this.name = place.name;
    }
  }

  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const length = target.byteLength;
      const signal = options?.signal;
      signal?.throwIfAborted();
      if (this.#closed) throw new VhdxError('closed', `${this.#who} was closed`);
      checkRange(this.size, offset, length);
      if (length === 0) return resolve();

      const fd = this.#handle.fd;
      if (fd < 0) throw new VhdxError('closed', `${this.#who}: the file handle was closed by its owner`);
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
          if (this.#handle.fd !== fd)
            throw new VhdxError('closed', `${this.#who}: the file handle was closed by its owner`);
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

  /** Closes the file as soon as the running reads have ended, unless it was handed over as a handle. */
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

  #settled(): void {
    this.#pending--;
    if (this.#pending === 0) this.#drained?.();
  }

  #truncated(offset: number): VhdxError {
    return new VhdxError(
      'short-read',
      `${this.#who} ends at byte ${offset} and had ${this.size} bytes when it was opened: it was cut off while in use`,
      { offset },
    );
  }

  get #who(): string {
    return this.path ?? 'the file';
  }
}

/**
 * Opens a file or a block device, or reads through a Node `FileHandle`; in Node, Bun and Deno.
 * A file opened here is closed by `close()`; a handle that was handed over stays open and stays the caller's.
 *
 * @param input path, or an open handle
 * @throws VhdxError `read-failed` when it cannot be opened or is not something with bytes at offsets;
 *   `unsupported-input` where there is no file system
 */
export async function fileSource(input: string | FileHandleLike): Promise<RandomAccessSource> {
  const fs = builtinModule('fs');
  const paths = builtinModule('path');
  if (fs === undefined || paths === undefined) {
    throw new VhdxError('unsupported-input', 'there is no file system here: hand over a File, a URL or the bytes');
  }
  if (typeof input !== 'string') return new FileSource(fs, input, await sizeOf(fs, input.fd, 'the file'));

  const path = paths.resolve(input);
  let fd: number;
  try {
    // Before opening: to open a pipe would wait, perhaps for ever, for somebody to write to it.
    refuseOddities(await call((done) => fs.stat(path, done)), path);
    fd = await call((done) => fs.open(path, 'r', done));
  } catch (cause) {
    throw cause instanceof VhdxError ? cause : readFailed(path, cause);
  }
  try {
    return new FileSource(fs, { fd }, await sizeOf(fs, fd, path), { path, name: paths.basename(path) });
  } catch (error) {
    await call<void>((done) => fs.close(fd, (failure) => done(failure ?? null)));
    throw error;
  }
}

type Stats = InstanceType<FileSystem['Stats']>;

function refuseOddities(stats: Stats, who: string): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  if (stats.isDirectory()) throw new VhdxError('read-failed', `${who}: ${REASONS.EISDIR}`);
  throw new VhdxError('read-failed', `${who}: is not a file but a pipe, a socket or a terminal`);
}

/** Length in bytes of what a descriptor stands for. */
async function sizeOf(fs: FileSystem, fd: number, who: string): Promise<number> {
  try {
    const stats = await call<Stats>((done) => fs.fstat(fd, done));
    refuseOddities(stats, who);
    if (stats.isFile() || stats.size > 0) return stats.size;
    const scratch = new Uint8Array(4096);
    const size = await deviceSize((offset) =>
      call((done) => fs.read(fd, scratch, 0, scratch.byteLength, offset, (error, count) => done(error, count))),
    );
    if (Number.isFinite(size)) return size;
  } catch (cause) {
    throw cause instanceof VhdxError ? cause : readFailed(who, cause);
  }
  throw new VhdxError('read-failed', `${who}: the device has no end`);
}
