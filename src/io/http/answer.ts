import { describeUrl, parseUrl } from '../../base/url.js';
import { VhdxError } from '../../errors.js';
import { retryAfter, TransientError } from './retry.js';

/** Whether a redirect may be followed: always, never, or the answer for each. */
export type AllowRedirect = boolean | ((to: URL, from: URL) => boolean);

/** What shows that a file on a server is still the same one. */
export interface Identity {
  /** Length in bytes. */
  readonly size: number;
  /** Entity tag as it was sent, or null. */
  readonly etag: string | null;
  /** Date of the last change, as the server writes it, or null. */
  readonly lastModified: string | null;
}

/** The part of a file that an answer brings. */
export interface Part extends Identity {
  /** First byte. */
  readonly start: number;
  /** First byte after it. */
  readonly end: number;
}

/**
 * Checks that an answer brings a part of the file that begins where it was asked to, and no more than was asked for.
 * It may bring less, since servers may limit what they send at a time.
 *
 * @param from first byte asked for
 * @param to first byte not asked for
 * @param file what to call the file in messages
 * @param crossOrigin whether the browser hides headers that the server does not expressly show to pages
 * @throws VhdxError with a sentence that says what is wrong with the server; TransientError when it may be over soon
 */
export function checkAnswer(response: Response, from: number, to: number, file: string, crossOrigin: boolean): Part {
  const { status, headers } = response;
  const range = headers.get('content-range');
  const identity = {
    etag: headers.get('etag'),
    lastModified: headers.get('last-modified'),
  };
  // Of an empty file no part can be had.
  if (status === 416 && from === 0 && /^bytes \*\/0$/i.test(range ?? ''))
    return { start: 0, end: 0, size: 0, ...identity };
  if (status !== 206) throw refusal(response, file, from === 0);

  const encoding = headers.get('content-encoding');
  if (encoding !== null && encoding !== 'identity') {
    throw unusable(
      file,
      `the server compresses what it sends (Content-Encoding: ${encoding}), so offsets mean nothing`,
    );
  }
  if (range === null) {
    throw unusable(
      file,
      crossOrigin
        ? 'the server does not let pages from elsewhere see which part of the file it sends; it should send ' +
            '"Access-Control-Expose-Headers: Content-Range, ETag"'
        : 'the server does not say which part of the file it sends (Content-Range is missing)',
    );
  }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(range) ?? [];
  const start = Number(first);
  const end = Number(last) + 1;
  const size = Number(total);
  if (total === '*') throw unusable(file, `the server does not say how long the file is (Content-Range: ${range})`);
  if (!(start === from && end > start && end <= to && end <= size && Number.isSafeInteger(size))) {
    throw unusable(file, `the server sends another part than bytes ${from}-${to - 1} (Content-Range: ${range})`);
  }
  const length = headers.get('content-length');
  if (length !== null && Number(length) !== end - start) {
    throw unusable(file, `the server announces ${length} bytes for a part of ${end - start} bytes`);
  }
  return { start, end, size, ...identity };
}

/**
 * Checks that a file is still the one that was opened, by its length and its entity tag. A strong tag says enough. A
 * weak one is compared without its mark, because proxies weaken tags on their way, and the date must agree as well.
 *
 * @throws VhdxError `source-changed`
 */
export function checkIdentity(opened: Identity, now: Identity, file: string): void {
  const change =
    difference('length', String(opened.size), String(now.size)) ??
    difference('ETag', opaque(opened.etag), opaque(now.etag)) ??
    (isStrong(opened.etag) && isStrong(now.etag)
      ? undefined
      : difference('Last-Modified', opened.lastModified, now.lastModified));
  if (change === undefined) return;
  throw new VhdxError('source-changed', `the file on the server was changed while in use (${change}); open it again`, {
    file,
  });
}

function isStrong(etag: string | null): boolean {
  return etag !== null && !etag.startsWith('W/');
}

function opaque(etag: string | null): string | null {
  return etag?.replace(/^W\//, '') ?? null;
}

function difference(what: string, opened: string | null, now: string | null): string | undefined {
  return opened === now ? undefined : `its ${what} was ${opened ?? 'absent'} and is ${now ?? 'absent'} now`;
}

/** The error for an answer that is not a part of a file. */
function refusal(response: Response, file: string, first: boolean): VhdxError | TransientError {
  const { status, headers } = response;
  if (status === 200) {
    // A page instead of the file is what links to sign-in pages and to pages about a file lead to.
    const html = /^text\/html\b/i.test(headers.get('content-type') ?? '');
    return unusable(
      file,
      html
        ? 'the server sends a web page, not a disk image; is this the address of the file itself?'
        : 'the server sends whole files only (it knows no range requests); download the file and open it from there',
    );
  }
  const answer = `${MEANINGS[status] ?? 'the server refuses'} (HTTP status ${status})`;
  if (status === 412 || (status === 416 && !first)) {
    return new VhdxError(
      'source-changed',
      `the file on the server was changed or truncated while in use (HTTP status ${status})`,
      { file },
    );
  }
  const failure = new VhdxError('read-failed', answer, { file });
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return new TransientError(failure, retryAfter(headers));
  }
  return failure;
}

const MEANINGS: Readonly<Record<number, string>> = {
  401: 'the server requires authentication',
  403: 'the server does not permit access',
  404: 'there is no such file on the server',
  405: 'the server does not permit reading',
  407: 'the proxy requires authentication',
  408: 'the server stopped waiting for the request',
  410: 'the file is not on the server any more',
  429: 'the server had too many requests',
  451: 'the server may not show the file for legal reasons',
  500: 'the server failed',
  502: 'the proxy got no answer from the server',
  503: 'the server is overloaded or down for maintenance',
  504: 'the proxy waited in vain for the server',
};

function unusable(file: string, what: string): VhdxError {
  return new VhdxError('read-failed', what, { file });
}

/** Whether an answer says that the file is at another address. */
export function isRedirect({ status, headers }: Response): boolean {
  return [301, 302, 303, 307, 308].includes(status) && headers.has('location');
}

/**
 * The address that a redirect leads to.
 *
 * @param from the address that was asked
 * @throws VhdxError `read-failed` when it is no http or https URL, is not allowed, or is a private address and `from` is not
 */
export function nextAddress(response: Response, from: URL, allow: AllowRedirect = true, file: string): URL {
  const to = parse(response.headers.get('location') ?? '', from);
  if (to === undefined) throw unusable(file, 'the server redirects to something that is no http or https URL');
  const place = `the server redirects to ${describeUrl(to)}`;
  // Never without being asked: a server on the Internet has no business with what only this machine can reach.
  if (allow === true && isPrivate(to.hostname) && !isPrivate(from.hostname)) {
    throw unusable(file, `${place}, a private address; allowRedirect can permit that`);
  }
  if (allow === false || (typeof allow === 'function' && !allow(new URL(to), new URL(from)))) {
    throw unusable(file, `${place}, which allowRedirect forbids`);
  }
  return to;
}

/** The target without what may be a user name, which is not sent. */
function parse(location: string, from: URL): URL | undefined {
  const to = parseUrl(location, from);
  if (to === undefined || (to.protocol !== 'http:' && to.protocol !== 'https:')) return undefined;
  to.username = '';
  to.password = '';
  to.hash = '';
  return to;
}

/**
 * Whether a host is by its text one that only this machine or its network can reach. A name in the DNS may lead there
 * too, which cannot be seen here.
 */
function isPrivate(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.$/, '');
  // A name without a dot is one of the local network, and so are these (RFC 6761, 6762, 8375, and by habit).
  if (/^[^.:[]+$/.test(host) || /\.(localhost|local|internal|home\.arpa|lan|home|corp|intranet)$/.test(host))
    return true;
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    // An IPv4 address in it: mapped, compatible (RFC 4291), or by way of NAT64 (RFC 6052).
    const mapped = /^(?:::ffff:|::|64:ff9b::)([0-9a-f]{1,4}):[0-9a-f]{1,4}$/.exec(address);
    if (mapped) {
      const high = Number.parseInt(mapped[1] ?? '', 16);
      return isPrivateV4(high >>> 8, high & 0xff);
    }
    // Loopback and unspecified (RFC 4291), unique local (RFC 4193), link and site local, multicast.
    return address === '::1' || address === '::' || /^(f[cdf]|fe[89a-f])/.test(address);
  }
  const [, first, second, third] = /^(\d+)\.(\d+)\.(\d+)\.\d+$/.exec(host) ?? [];
  if (first === undefined) return false;
  return isPrivateV4(Number(first), Number(second)) || (first === '192' && second === '0' && third === '0');
}

/**
 * By the first two numbers of an address: this host, private (RFC 1918), shared (RFC 6598), loopback, link local,
 * for benchmarks (RFC 2544), multicast and reserved.
 */
function isPrivateV4(first: number, second: number): boolean {
  return (
    first === 0 ||
    first === 10 ||
    first === 127 ||
    (first === 100 && second >= 64 && second < 128) ||
    (first === 169 && second === 254) ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) ||
    (first === 198 && (second === 18 || second === 19)) ||
    first >= 224
  );
}
