import { isUrlText, parseUrl } from '../../base/url.js';
import type { VhdxInput } from '../open.js';
import type { HttpOptions } from './source.js';

/**
 * The options for the parents of an input. The headers of a remote image were given for its own server, and where a
 * parent is may follow from what the image says.
 */
export function withOriginOf(input: VhdxInput, http: HttpOptions): HttpOptions {
  const url = typeof input === 'string' && isUrlText(input) ? parseUrl(input) : input;
  if (!(url instanceof URL) || !/^https?:$/.test(url.protocol)) return http;
  return { ...http, headersOrigin: url.origin };
}
