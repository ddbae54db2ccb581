/** The URL that a text says; undefined if it is malformed. Without an error, because those carry the text and its secrets. */
export function parseUrl(text: string, base?: URL): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/** A URL as messages show it: a query may hold a secret, and a user name may come with a password. */
export function describeUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
