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

/** Whether a text is meant as a URL and not as a path. A drive of Windows has one letter, and no scheme has. */
export function isUrlText(text: string): boolean {
  return /^(https?|file):|^[a-z][a-z\d+.-]+:\/\//i.test(text);
}
