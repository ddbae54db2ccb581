import { untilAborted } from '../base/abort.js';
import { builtinModule } from '../base/builtin-module.js';
import { describeUrl, isUrlText, parseUrl } from '../base/url.js';
import { VhdxError } from '../errors.js';
import { blobSource } from './blob.js';
import { bufferSource } from './buffer.js';
import type { FileHandleLike, OpenFileOptions } from './file.js';
import { guardedSource } from './guarded.js';
import type { HttpOptions } from './http/source.js';
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

/** Options for inputs that need them. */
export interface SourceOptions {
  /** How to talk to the server of a remote image. */
  readonly http?: HttpOptions | undefined;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a source of any input. Closing it closes what was opened here and leaves open what was handed over open: file
 * handles and sources.
 *
 * @throws VhdxError `unsupported-input` for what cannot be read in this runtime; `read-failed` when the file or the
 *   server does not deliver
 */
export async function openSource(input: VhdxInput, options: SourceOptions = {}): Promise<RandomAccessSource> {
  options.signal?.throwIfAborted();
  if (typeof input === 'string') return fromString(input, options);
  // By kind and not by class: what comes from another frame or realm is an instance of that one's classes.
  if (ArrayBuffer.isView(input)) return bufferSource(input);
  const kind = Object.prototype.toString.call(input).slice(8, -1);
  if (kind === 'ArrayBuffer' || kind === 'SharedArrayBuffer') return bufferSource(input as ArrayBufferLike);
  if (kind === 'URL') return fromUrl(input as URL, options);
  if (typeof input === 'object' && input !== null) {
    if ('readInto' in input && typeof input.readInto === 'function') return guardedSource(input);
    if ('arrayBuffer' in input && 'slice' in input && 'size' in input) return blobSource(input);
    if ('fd' in input && typeof input.fd === 'number' && typeof input.read === 'function')
      return fromFile(input, options);
  }
  throw unsupported(`${input === null ? 'null' : typeof input === 'object' ? kind : typeof input} cannot be read`);
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
  refuseUrl(path);
  const { openPath } = await import('./file.js');
  return openPath(path, options);
}

/** Refuses a URL where only a path will do: as a path it would be a strange one, and messages would repeat its secrets. */
export function refuseUrl(path: string): void {
  if (!isUrlText(path)) return;
  const url = parseUrl(path);
  throw new VhdxError('unsupported-input', `${url ? describeUrl(url) : 'a URL'} is no path of a file`);
}

async function fromString(input: string, options: SourceOptions): Promise<RandomAccessSource> {
  if (isUrlText(input)) return fromUrl(parse(input), options);
  if (input === '') throw unsupported('the path is empty');
  if (builtinModule('fs') === undefined) {
    throw unsupported(`"${input}" is a path, and there is no file system here`);
  }
  return fromFile(input, options);
}

async function fromUrl(url: URL, options: SourceOptions): Promise<RandomAccessSource> {
  if (url.protocol === 'http:' || url.protocol === 'https:') {
    const { httpSource } = await import('./http/source.js'); // most pages read files
    return httpSource(url, { ...options.http, signal: options.signal });
  }
  if (url.protocol !== 'file:') throw unsupported(`a URL that begins with ${url.protocol} cannot be read`);
  const urls = builtinModule('url');
  if (urls === undefined) throw unsupported('a page cannot read a file: URL');
  let path: string;
  try {
    path = urls.fileURLToPath(url);
  } catch (cause) {
    throw unsupported(`${describeUrl(url)} names no file on this machine`, cause);
  }
  return fromFile(path, options);
}

async function fromFile(input: string | FileHandleLike, { signal }: SourceOptions): Promise<RandomAccessSource> {
  const { fileSource } = await import('./file.js'); // a page never reads one by its path
  const opening = fileSource(input);
  try {
    return await untilAborted(opening, signal); // a share of the network may not answer for minutes
  } catch (error) {
    if (signal?.aborted) opening.then((late) => late.close?.()).catch(() => {});
    throw error;
  }
}

function parse(text: string): URL {
  const url = parseUrl(text);
  if (url !== undefined) return url;
  // What cannot be parsed may have a password or a token in any place; with one of these marks it is not repeated.
  throw unsupported(/[@?#]/.test(text) ? 'the URL is malformed' : `"${text}" is not a valid URL`);
}

function unsupported(what: string, cause?: unknown): VhdxError {
  return new VhdxError('unsupported-input', what, { cause, hints: ['input'] });
}
