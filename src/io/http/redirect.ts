import { describeUrl, parseUrl } from '../../base/url.js';
import { VhdxError } from '../../errors.js';

/** Whether a redirect may be followed: always, never, or the answer for each. */
export type AllowRedirect = boolean | ((to: URL, from: URL) => boolean);

/** Headers that hold no secret. Only these go along to another origin. */
const HARMLESS = new Set(['accept', 'accept-encoding', 'accept-language', 'cache-control', 'range', 'user-agent']);

/** Headers that browsers themselves leave out when a redirect leads to another origin (Fetch, 4.4). */
const LEFT_OUT_BY_BROWSERS = new Set(['authorization']);

/** The headers that may go to another origin. */
export function withoutPrivateHeaders(headers: Headers): Headers {
  return new Headers([...headers].filter(([name]) => HARMLESS.has(name)));
}

/** Whether a browser would send a header to another origin that may hold a secret. */
export function hasPrivateHeaders(headers: Headers): boolean {
  return [...headers.keys()].some((name) => !HARMLESS.has(name) && !LEFT_OUT_BY_BROWSERS.has(name));
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
  if (to === undefined) throw refusal(file, 'to something that is no http or https URL');
  const place = `to ${describeUrl(to)}`;
  // Never without being asked: a server on the Internet has no business with what only this machine can reach.
  if (allow === true && isPrivate(to.hostname) && !isPrivate(from.hostname)) {
    throw refusal(file, `${place}, a private address; allowRedirect can permit that`);
  }
  if (allow === false || (typeof allow === 'function' && !allow(new URL(to), new URL(from)))) {
    throw refusal(file, `${place}, which allowRedirect forbids`);
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

function refusal(file: string, what: string): VhdxError {
  return new VhdxError('read-failed', `the server redirects ${what}`, { file });
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
