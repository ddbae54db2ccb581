import { byId } from '../dom.js';
import { checksumText, sizeText } from '../wording.js';
import { JobView } from './job.js';
import type { Context, Panel } from './panel.js';

type Subject = 'disk' | 'file';

/** The panel that sums the disk, or the file that holds it, and compares the sum with an expected one. */
export function checksumPanel(): Panel {
  const what = byId('checksum-what', HTMLParagraphElement);
  const expected = byId('checksum-expected', HTMLInputElement);
  const verdict = byId('checksum-verdict', HTMLParagraphElement);
  const hex = byId('checksum-hex', HTMLOutputElement);
  const base64 = byId('checksum-base64', HTMLOutputElement);
  const choices = [...document.querySelectorAll<HTMLInputElement>('input[name="checksum-of"]')];
  const sums = new Map<Subject, number>();
  let context: Context | undefined;

  const chosen = (): Subject => (choices.find(({ checked }) => checked)?.value === 'file' ? 'file' : 'disk');

  const judge = () => {
    const text = expected.value.trim();
    const wanted = parseChecksum(text);
    const sum = sums.get(chosen());
    const [state, words] = comparison(text, wanted, sum);
    verdict.dataset['state'] = state;
    if (verdict.textContent !== words) verdict.textContent = words;
    expected.setAttribute('aria-invalid', String(state === 'invalid'));
  };

  const render = () => {
    const sum = sums.get(chosen());
    hex.textContent = sum === undefined ? '–' : checksumText(sum);
    base64.textContent = sum === undefined ? '–' : base64OfChecksum(sum);
    what.textContent =
      chosen() === 'disk'
        ? 'CRC-32C of the disk’s content: the same for a raw copy, whatever the image looks like.'
        : 'CRC-32C of the image file as it is stored: what an object store shows for it.';
    judge();
  };

  const work = new JobView(byId('checksum-work', HTMLDivElement), 'Compute', () => {
    const of = chosen();
    const asked = context;
    if (!asked) return undefined;
    return async (signal, onProgress) => {
      const begun = performance.now();
      let bytes = 0;
      const sum = await asked.client.call(
        'checksum',
        { of },
        {
          signal: AbortSignal.any([signal, asked.signal]),
          onProgress: (progress) => {
            bytes = progress.toRead;
            onProgress(progress);
          },
        },
      );
      sums.set(of, sum);
      render();
      const seconds = (performance.now() - begun) / 1000;
      const speed = bytes > 0 ? ` at ${sizeText(Math.round(bytes / seconds))}/s` : '';
      return `Done in ${seconds.toFixed(1)} s${speed}: ${checksumText(sum)}.`;
    };
  });

  expected.addEventListener('input', judge);
  for (const choice of choices) {
    choice.addEventListener('change', () => {
      work.reset();
      render();
    });
  }

  return {
    show(shown) {
      context = shown;
      sums.clear();
      expected.value = '';
      work.reset();
      for (const choice of choices) choice.checked = choice.value === (shown.info ? 'disk' : 'file');
      for (const choice of choices) choice.disabled = choice.value === 'disk' && shown.diskSize === undefined;
      render();
    },
  };
}

/** What there is to say of an expected sum and the one that was computed. */
function comparison(
  text: string,
  wanted: number | undefined,
  sum: number | undefined,
): readonly [state: string, words: string] {
  if (text === '') return ['none', 'Paste the checksum that it should have, to compare.'];
  if (wanted === undefined)
    return [
      'invalid',
      'This is no CRC-32C: that has 8 hexadecimal digits, or 8 characters of base64 that end in “==”.',
    ];
  if (sum === undefined) return ['waiting', `Expected: ${checksumText(wanted)}. Not computed yet.`];
  if (sum === wanted) return ['match', `✓ They match: ${checksumText(sum)}.`];
  return ['mismatch', `✕ They do not match: expected ${checksumText(wanted)}, computed ${checksumText(sum)}.`];
}

/** A CRC-32C as object stores show it: base64 of its four bytes, the most significant first. */
export function base64OfChecksum(crc: number): string {
  return btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 0xff, (crc >>> 8) & 0xff, crc & 0xff));
}

/**
 * Reads a pasted CRC-32C: eight hexadecimal digits, with or without `0x`, or base64, with or without the `crc32c=` that
 * `x-goog-hash` puts before it. Undefined if it is neither.
 */
export function parseChecksum(text: string): number | undefined {
  const bare = text
    .trim()
    .replace(/^crc32c\s*[=:]\s*/i, '')
    .replace(/^["'](.*)["']$/, '$1');
  const [, hex] = /^(?:0x)?([0-9a-f]{8})$/i.exec(bare) ?? [];
  if (hex !== undefined) return Number.parseInt(hex, 16);
  // Four bytes are six characters; the last holds four bits of them only.
  if (!/^[a-z0-9+/]{5}[AQgw](==)?$/i.test(bare) || !/^[AQgw]$/.test(bare.charAt(5))) return undefined;
  const bytes = atob(bare.slice(0, 6));
  return new DataView(Uint8Array.from(bytes, (char) => char.charCodeAt(0)).buffer).getUint32(0);
}
