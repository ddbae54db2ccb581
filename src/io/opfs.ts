import { checkRead, checkWrite } from '../base/byte-range.js';
import { MiB } from '../base/units.js';
import { type OperationCode, VhdxError } from '../errors.js';
import type { RandomAccessFile, ReadOptions } from './random-access.js';

/** Most that one call reads or writes, in bytes: the worker does nothing else meanwhile. */
const PIECE = 16 * MiB;

/** Codes for the names of a browser's exceptions, and what they mean. */
const REASONS: Readonly<Record<string, readonly [code: OperationCode, reason: string]>> = {
  QuotaExceededError: ['no-space', 'the storage that the browser gives this origin is used up'],
  InvalidStateError: ['closed', 'the file handle was closed by its owner'],
  NoModificationAllowedError: ['locked', 'is open for writing in another page, worker or handle'],
  NotFoundError: ['source-changed', 'was removed'],
};

/** What is needed of a `FileSystemSyncAccessHandle`, which only dedicated workers have. */
export interface SyncAccessHandleLike {
  /** Reads into a target from an offset on, and returns how many bytes there were. */
  read(target: Uint8Array, options: { at: number }): number;
  /** Writes bytes at an offset, and returns how many of them. */
  write(bytes: Uint8Array, options: { at: number }): number;
  /** Sets the length in bytes. */
  truncate(size: number): void;
  /** Length in bytes. */
  getSize(): number;
  /** Makes durable what was written. */
  flush(): void;
  /** Frees the file for others. */
  close(): void;
}

/** What is needed of a `FileSystemFileHandle`. */
export interface OpfsFileHandle {
  /** Name of the file, without its folder. */
  readonly name: string;
  /** Opens the file for this worker alone; pages do not have the method. */
  createSyncAccessHandle?(): Promise<SyncAccessHandleLike>;
}

/**
 * A file of the origin private file system in a worker. Its calls are synchronous: one after the other, each complete
 * when it returns.
 */
class SyncHandleFile implements RandomAccessFile {
  readonly name?: string;
  readonly #handle: SyncAccessHandleLike;
  readonly #owned: boolean;
  #size: number;
  /** The first flush that failed; none succeeds after it. */
  #flushFailure: VhdxError | undefined;
  #closed = false;

  constructor(handle: SyncAccessHandleLike, name: string | undefined, owned: boolean) {
    this.#handle = handle;
    this.#owned = owned;
    if (name !== undefined) this.name = name;
    this.#size = this.#call('read-failed', () => handle.getSize());
  }

  get size(): number {
    return this.#size;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.readIntoSync(target, offset);
  }

  readIntoSync(target: Uint8Array, offset: number): void {
    this.#checkOpen();
    const length = checkRead(this.#size, target, offset);
    for (let done = 0; done < length; ) {
      const piece = target.subarray(done, Math.min(length, done + PIECE));
      const at = offset + done;
      const count = this.#call('read-failed', () => this.#handle.read(piece, { at }), at);
      if (count === 0) {
        throw new VhdxError('short-read', `ends at byte ${at}: it was truncated while in use`, this.#details(at));
      }
      done += count;
    }
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#checkOpen();
    checkWrite(bytes, offset);
    for (let done = 0; done < bytes.byteLength; ) {
      const piece = bytes.subarray(done, done + PIECE);
      const at = offset + done;
      const count = this.#call('write-failed', () => this.#handle.write(piece, { at }), at);
      // Browsers write what the quota allows, and say so by the count alone.
      if (count === 0) throw this.#failure('no-space', REASONS.QuotaExceededError?.[1] ?? '', undefined, at);
      done += count;
      this.#size = Math.max(this.#size, offset + done);
    }
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen();
    checkWrite(new Uint8Array(0), size);
    this.#call('write-failed', () => this.#handle.truncate(size));
    this.#size = size;
  }

  async flush(): Promise<void> {
    this.#checkOpen();
    if (this.#flushFailure !== undefined) throw this.#flushFailure;
    try {
      this.#call('write-failed', () => this.#handle.flush());
    } catch (error) {
      if (error instanceof VhdxError) this.#flushFailure = error;
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#owned) this.#handle.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#failure('closed', 'was closed');
  }

  #call<T>(code: OperationCode, action: () => T, offset?: number): T {
    try {
      return action();
    } catch (cause) {
      throw failureOf(code, cause, this.#details(offset));
    }
  }

  #failure(code: OperationCode, reason: string, cause?: unknown, offset?: number): VhdxError {
    return new VhdxError(code, reason, { ...this.#details(offset), cause });
  }

  #details(offset: number | undefined) {
    return { file: this.name ?? 'the file', offset };
  }
}

function failureOf(
  code: OperationCode,
  cause: unknown,
  details: { file: string; offset?: number | undefined },
): VhdxError {
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : '';
  const [known, reason] = REASONS[name] ?? [code, String(cause)];
  return new VhdxError(known, reason, { ...details, cause });
}

/**
 * Makes a file of an open `FileSystemSyncAccessHandle`, in the worker that opened it. The handle stays the caller's to
 * close.
 *
 * @throws VhdxError `closed` when the handle is closed
 */
export function syncHandleFile(handle: SyncAccessHandleLike): RandomAccessFile {
  return new SyncHandleFile(handle, undefined, false);
}

/**
 * Opens a file of the origin private file system for reading and writing; in a dedicated worker, where browsers have
 * `createSyncAccessHandle`. The browser lets no one else open it until it is closed.
 *
 * @throws VhdxError `locked` when it is open elsewhere; `unsupported-input` in a page, or for a file of the disk that
 *   was picked; `read-failed`
 */
export async function openOpfsFile(file: OpfsFileHandle): Promise<RandomAccessFile> {
  const details = { file: file.name };
  if (typeof file.createSyncAccessHandle !== 'function') {
    throw new VhdxError('unsupported-input', 'can be changed in place in a dedicated worker only', details);
  }
  let handle: SyncAccessHandleLike;
  try {
    handle = await file.createSyncAccessHandle();
  } catch (cause) {
    throw openFailure(cause, details);
  }
  return new SyncHandleFile(handle, file.name, true);
}

/** Of the opening `InvalidStateError` means a file of another file system than the private one. */
function openFailure(cause: unknown, details: { file: string }): VhdxError {
  if (!(cause instanceof DOMException && cause.name === 'InvalidStateError')) {
    return failureOf('read-failed', cause, details);
  }
  return new VhdxError('unsupported-input', 'is not in the origin private file system', { ...details, cause });
}
