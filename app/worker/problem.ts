import { VhdxError } from '../../src/index.js';
import type { Problem } from '../protocol.js';
import { sentence } from '../wording.js';

/** What the page's own security policy refused last, and when: fetch only says that it failed. */
let refused: { readonly address: string; readonly at: number } | undefined;

/** Remembers what the page's security policy refuses, so that {@link problemOf} can say so. */
export function watchPolicy(scope: EventTarget): void {
  scope.addEventListener('securitypolicyviolation', (event) => {
    if (!('blockedURI' in event) || !('effectiveDirective' in event)) return;
    if (event.effectiveDirective === 'connect-src') refused = { address: String(event.blockedURI), at: Date.now() };
  });
}

/** Says in one sentence what an error means for the user of the page. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof VhdxError)) {
    const text = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error || error instanceof DOMException ? error.name : 'error';
    return { code, sentence: sentence(SENTENCES[code] ?? text) };
  }
  if (error.code === 'read-failed' && refused && Date.now() - refused.at < 60_000) {
    const address = refused.address;
    refused = undefined;
    return {
      code: 'refused-by-page',
      sentence: `The security policy of this page does not let it fetch from ${address}.`,
    };
  }
  return { code: error.code, sentence: sentence(textOf(error)) };
}

/** What an error says, without the advice, which names options that a page does not have. */
function textOf({ code, file, reason, attempts = [], finding }: VhdxError): string {
  // If the file is not an image at all, the place where that shows does not matter.
  if (code === 'file-signature' && finding) return finding.message;
  const place = file === undefined ? '' : `${file}: `;
  return `${place}${reason}${attempts.length > 0 ? ` (${attempts.join('; ')})` : ''}`;
}

/** What a browser says when it writes files. */
const SENTENCES: Readonly<Record<string, string>> = {
  QuotaExceededError: 'there is not enough space to save the file',
  NotAllowedError: 'the browser did not permit the file to be written',
  NotFoundError: 'the folder to save to was removed',
  NoModificationAllowedError: 'the file to save to is in use by another program',
};
