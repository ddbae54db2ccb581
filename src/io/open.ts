import { blobSource } from './blob.js';
import { bufferSource } from './buffer.js';
import type { FileHandleLike, OpenFileOptions } from './file.js';
import { guardedSource } from './guarded.js';
import type { SourceOptions } from './named-input.js';
import type { RandomAccessFile, RandomAccessSource } from './random-access.js';

/**
 * Everything that can be opened:
 *
 * - a string: an `http:`, `https:` or `file:` URL, and anything else is a path (Node, Bun, Deno);
 * - a `URL` of one of these kinds;
 * - a `Blob` or `File`;
 * - an `ArrayBuffer` or a view on one;
 * - an open Node `FileHandle`, which stays the caller's to close;
 * - any object with `size` and `readInto`, an opened disk among them, which stays the caller's to close.
 */
export type VhdxInput = string | URL | Blob | ArrayBufferLike | ArrayBufferView | FileHandleLike | RandomAccessSource;

/**
 * Makes a source of any input. Closing it closes what was opened here and leaves open what was handed over open: file
 * handles and sources.
 *
 * @throws VhdxError `unsupported-input` for what cannot be read in this runtime; `read-failed` when the file or the
 *   server does not deliver
 */
export async function openSource(input: VhdxInput, options: SourceOptions = {}): Promise<RandomAccessSource> {
  options.signal?.throwIfAborted();
  // By kind and not by class: what comes from another frame or realm is an instance of that one's classes.
  if (ArrayBuffer.isView(input)) return bufferSource(input);
  const kind = Object.prototype.toString.call(input).slice(8, -1);
  if (kind === 'ArrayBuffer' || kind === 'SharedArrayBuffer') return bufferSource(input as ArrayBufferLike);
  if (typeof input === 'object' && input !== null) {
    if ('readInto' in input && typeof input.readInto === 'function') return guardedSource(input);
    if ('arrayBuffer' in input && 'slice' in input && 'size' in input) return blobSource(input);
  }
  const { openNamed } = await import('./named-input.js');
  return openNamed(input, options);
}

/**
 * Opens a file of Node, Bun or Deno by its path, to be read, or with `write` to be changed in place. `create` makes a
 * new file, whose name is durable when the promise settles. Writes go to the system as they come, several at a time;
 * `flush()` waits until the device has them; `close()` does not flush.
 *
 * @throws VhdxError `read-failed` when there is no such file, `exists` when there is and it was to be created,
 *   `read-only`, `no-space`, `write-failed`; `unsupported-input` in a page
 */
export async function openFile(path: string, options: OpenFileOptions = {}): Promise<RandomAccessFile> {
  const { openNamedFile } = await import('./named-input.js');
  return openNamedFile(path, options);
}
