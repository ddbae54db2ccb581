import { untilAborted } from '../base/abort.js';
import { builtinModule } from '../base/builtin-module.js';
import { describeUrl, isUrlText, parseUrl } from '../base/url.js';
import type { FileHandleLike, OpenFileOptions } from './file.js';
import type { HttpOptions } from './http/source.js';
import type { RandomAccessFile, RandomAccessSource } from './random-access.js';
import { refuseUrl, unsupported } from './system-error.js';

/** Options for inputs that need them. */
export interface SourceOptions {
  /** How to talk to the server of a remote image. */
  readonly http?: HttpOptions | undefined;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a source of what a path or a URL names, or of an open file handle. Rejects for what is neither: apart from
 * `openSource` because a page, which has its bytes or a `File` at hand, loads none of it.
 */
export async function openNamed(input: unknown, options: SourceOptions): Promise<RandomAccessSource> {
  if (typeof input === 'string') return fromString(input, options);
  const kind = Object.prototype.toString.call(input).slice(8, -1);
  if (kind === 'URL') return fromUrl(input as URL, options);
  if (isFileHandle(input)) return fromFile(input, options);
  throw unsupported(`${input === null ? 'null' : typeof input === 'object' ? kind : typeof input} cannot be read`);
}

function isFileHandle(input: unknown): input is FileHandleLike {
  if (typeof input !== 'object' || input === null) return false;
  return 'fd' in input && typeof input.fd === 'number' && 'read' in input && typeof input.read === 'function';
}

/** Opens or makes the file of a path, as `openFile` says. */
export async function openNamedFile(path: string, options: OpenFileOptions): Promise<RandomAccessFile> {
  refuseUrl(path);
  const { openPath } = await import('./file.js');
  return openPath(path, options);
}

async function fromString(input: string, options: SourceOptions): Promise<RandomAccessSource> {
  if (isUrlText(input)) return fromUrl(parse(input), options);
  if (input === '') throw unsupported('the path is empty');
  if (builtinModule('fs') === undefined) {
    // With a page around it, what looks like a path may be meant to be a part of its address.
    const way = 'location' in globalThis ? `; if it is an address, new URL('…', location.href) makes it whole` : '';
    throw unsupported(`"${input.slice(0, 200)}" is a path, and there is no file system here${way}`);
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

/**
 * The HTTP options for the parents of an input. The headers of a remote image were given for its own server, and where a
 * parent is may follow from what the image says.
 */
export function withOriginOf(input: unknown, http: HttpOptions): HttpOptions {
  const url = typeof input === 'string' && isUrlText(input) ? parseUrl(input) : input;
  if (!(url instanceof URL) || !/^https?:$/.test(url.protocol)) return http;
  return { ...http, headersOrigin: url.origin };
}
