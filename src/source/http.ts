import { VhdxError } from '../errors.js';
import type { RandomAccessSource } from './source.js';

/** How to talk to the server of a remote image. */
export interface HttpOptions {
  /** Headers sent with every request, such as `Authorization`. */
  readonly headers?: HeadersInit | undefined;
  /** Gives the opening up. */
  readonly signal?: AbortSignal | undefined;
}

/** Makes a source of a URL. */
export async function httpSource(url: string | URL, _options: HttpOptions = {}): Promise<RandomAccessSource> {
  throw new VhdxError('unsupported-input', `${url}: not there yet`);
}
