import { checkWrite } from '../base/byte-range.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessFile } from './random-access.js';

/** What is needed of a `FileSystemFileHandle` that a person picked, with permission to write. */
export interface PickedFileHandle {
  /** Name of the file, without its folder. */
  readonly name: string;
  /** The file as it is now. */
  getFile(): Promise<File>;
  /** Begins a new content of the file; a browser that has no such method cannot write picked files. */
  createWritable?(options: { keepExistingData: boolean; mode?: 'exclusive' }): Promise<SwapFile>;
}

/** What is needed of a `FileSystemWritableFileStream`: it becomes the file when it is closed. */
export interface SwapFile {
  /** Writes bytes at a position. */
  write(chunk: { type: 'write'; position: number; data: Uint8Array<ArrayBuffer> }): Promise<void>;
  /** Sets the length in bytes. */
  truncate(size: number): Promise<void>;
  /** Makes it the file. */
  close(): Promise<void>;
  /** Drops it. */
  abort(reason?: unknown): Promise<void>;
}

/**
 * Begins a new content of a picked file. Browsers that can let no other page write the file meanwhile.
 *
 * @param keep whether it begins with the bytes that the file has
 * @throws VhdxError `unsupported-input` if the browser cannot write such files; `locked`, `read-only`, `no-space`
 */
export async function openSwapFile(handle: PickedFileHandle, keep: boolean): Promise<SwapFile> {
  if (typeof handle.createWritable !== 'function') throw cannotWritePicked(handle);
  try {
    return await handle.createWritable({ keepExistingData: keep, mode: 'exclusive' });
  } catch (cause) {
    throw swapFailure(handle.name, cause);
  }
}

/** The error for a browser that cannot write files that were picked. */
export function cannotWritePicked({ name }: PickedFileHandle): VhdxError {
  const message =
    'this browser cannot write files that were picked: save a copy, or use the origin private file system';
  return new VhdxError('unsupported-input', message, { file: name });
}

/** The error for what a browser throws when a swap file is written. */
export function swapFailure(file: string, cause: unknown): VhdxError {
  if (cause instanceof VhdxError) return cause;
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : '';
  const details = { file, cause };
  if (name === 'QuotaExceededError') return new VhdxError('no-space', 'there is no room for the new file', details);
  if (name === 'NotAllowedError') return new VhdxError('read-only', 'the browser was not permitted to write', details);
  if (name === 'NoModificationAllowedError') return new VhdxError('locked', 'is open for writing elsewhere', details);
  return new VhdxError('write-failed', String(cause), details);
}

/** A new content of a picked file: it is written at any offset, and not read. */
export interface NewPickedFile extends Pick<RandomAccessFile, 'truncate' | 'write' | 'flush'> {
  /** Swaps it in. When it rejects the file is as it was. */
  close(): Promise<void>;
  /** Drops it: the file stays as it was. */
  discard(): Promise<void>;
}

/**
 * Begins a new content of a picked file, in place of all that it holds. What is written goes to the browser at once and
 * takes no memory here; the file stays as it was until all of it is swapped in.
 *
 * @throws VhdxError as {@link openSwapFile} does
 */
export async function newPickedFile(handle: PickedFileHandle): Promise<NewPickedFile> {
  const swap = await openSwapFile(handle, false);
  const failed = (cause: unknown): never => {
    throw swapFailure(handle.name, cause);
  };
  return {
    async truncate(size) {
      checkWrite(new Uint8Array(0), size);
      await swap.truncate(size).catch(failed);
    },
    async write(bytes, position) {
      checkWrite(bytes, position);
      if (bytes.byteLength > 0) await swap.write({ type: 'write', position, data: unshared(bytes) }).catch(failed);
    },
    flush: async () => {}, // it is durable when it is swapped in
    close: () => swap.close().catch(failed),
    discard: () => swap.abort().catch(() => {}),
  };
}

/** The same bytes in memory that a browser takes. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
}
