import { isUrlText, parseUrl } from '../base/url.js';
import type { VhdxInput } from '../io/open.js';
import type { OpenOptions } from './open-options.js';

/**
 * The options for the parents of an input. The headers of a remote image were given for its own server, and where a
 * parent is may follow from what the image says.
 */
export function withHeadersOf<Options extends OpenOptions>(input: VhdxInput, options: Options): Options {
  const url = typeof input === 'string' && isUrlText(input) ? parseUrl(input) : input;
  if (!(url instanceof URL) || !/^https?:$/.test(url.protocol)) return options;
  return { ...options, http: { ...options.http, headersOrigin: url.origin } };
}
