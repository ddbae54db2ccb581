import { viewOf } from '../base/bytes.js';
import { finding, type Report } from '../rules.js';
import { givenGuid, parseGuid, readGuid, writeGuid } from './guid.js';

const VHDX_LOCATOR_TYPE = 'b04aefb7-d19e-4a81-b789-25b8e9445913';
const HEADER_SIZE = 20;
const ENTRY_SIZE = 12;
/** Five keys are known. */
const MAX_ENTRIES = 256;
/** UTF-16 units of a text that messages quote. */
const MAX_QUOTED = 100;

/** What a differencing image says about its parent ([MS-VHDX] 2.6.2.6). */
export interface ParentLocator {
  /** All keys and their values, as the image has them. */
  readonly entries: Readonly<Record<string, string>>;
  /**
   * The DataWriteGuids of the parent that this image fits: `parent_linkage`, then `parent_linkage2`. Never a zero GUID:
   * Hyper-V writes one for `parent_linkage2` if there is none.
   */
  readonly linkages: readonly string[];
}

/** Parses the Parent Locator item; undefined, and a fatal finding, if it is damaged. `offset` is its place in the file. */
export function parseParentLocator(bytes: Uint8Array, offset: number, report: Report): ParentLocator | undefined {
  const structure = 'Parent Locator';
  if (bytes.length < HEADER_SIZE) {
    report(
      finding('locator-bounds', `has ${bytes.length} bytes, its header alone has ${HEADER_SIZE}`, {
        structure,
        offset,
      }),
    );
    return undefined;
  }
  const view = viewOf(bytes);
  const type = readGuid(view, 0);
  if (type !== VHDX_LOCATOR_TYPE) {
    report(
      finding('locator-type', `parent type ${type} is not supported, only VHDX parents are`, { structure, offset }),
    );
    return undefined;
  }
  if (view.getUint16(16, true) !== 0) {
    report(finding('locator-reserved', 'reserved bytes are not zero', { structure, offset: offset + 16 }));
  }
  const count = view.getUint16(18, true);
  if (HEADER_SIZE + count * ENTRY_SIZE > bytes.length || count > MAX_ENTRIES) {
    const message = `${count} entries do not fit in ${bytes.length} bytes, or are more than the ${MAX_ENTRIES} that are supported`;
    report(finding('locator-bounds', message, { structure, offset: offset + 18 }));
    return undefined;
  }
  const entries = new Map<string, string>();
  let textLength = 0;
  for (let i = 0; i < count; i++) {
    const at = HEADER_SIZE + i * ENTRY_SIZE;
    const place = { structure: `${structure} entry ${i}`, offset: offset + at };
    const keyLength = view.getUint16(at + 8, true);
    const valueLength = view.getUint16(at + 10, true);
    textLength += keyLength + valueLength;
    if (textLength > bytes.length) {
      report(finding('locator-bounds', `keys and values have more bytes than the ${bytes.length} of the item`, place));
      return undefined;
    }
    const key = readText(bytes, view.getUint32(at, true), keyLength);
    const value = readText(bytes, view.getUint32(at + 4, true), valueLength);
    if (!key || !value) {
      report(finding('locator-bounds', `the ${key ? 'value' : 'key'} is empty or outside the item`, place));
      return undefined;
    }
    if (!key.clean || !value.clean) {
      report(
        finding('locator-text', `${quote(key.text)}: the key or its value has an odd length or contains a NUL`, place),
      );
    }
    if (entries.has(key.text)) {
      report(finding('locator-duplicate-key', `${quote(key.text)} is repeated`, place));
    } else {
      entries.set(key.text, value.text);
    }
  }
  const linkages = readLinkages(entries, { structure, offset }, report);
  if (!['relative_path', 'volume_path', 'absolute_win32_path'].some((key) => entries.has(key))) {
    report(
      finding('locator-no-path', 'has none of relative_path, volume_path and absolute_win32_path', {
        structure,
        offset,
      }),
    );
  }
  return { entries: Object.fromEntries(entries), linkages };
}

/**
 * A Parent Locator item as bytes ([MS-VHDX] 2.6.2.6): the table, then each key and its value, as UTF-16LE without NUL.
 *
 * @param entries keys and values in their order
 * @throws RangeError if a text is empty or has more than 65,534 bytes
 */
export function encodeParentLocator(entries: Iterable<readonly [key: string, value: string]>): Uint8Array<ArrayBuffer> {
  const pairs = [...entries];
  const texts = pairs.flat();
  if (texts.some((text) => text.length === 0 || text.length > 0x7fff)) {
    throw new RangeError('a key or value of a parent locator has 1 to 32,767 UTF-16 units');
  }
  const length = texts.reduce((sum, text) => sum + 2 * text.length, HEADER_SIZE + ENTRY_SIZE * pairs.length);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  writeGuid(view, 0, VHDX_LOCATOR_TYPE);
  view.setUint16(18, pairs.length, true);
  let next = HEADER_SIZE + ENTRY_SIZE * pairs.length;
  const append = (text: string) => {
    const at = next;
    for (let i = 0; i < text.length; i++) view.setUint16(at + 2 * i, text.charCodeAt(i), true);
    next += 2 * text.length;
    return at;
  };
  for (const [i, [key, value]] of pairs.entries()) {
    const at = HEADER_SIZE + ENTRY_SIZE * i;
    view.setUint32(at, append(key), true);
    view.setUint32(at + 4, append(value), true);
    view.setUint16(at + 8, 2 * key.length, true);
    view.setUint16(at + 10, 2 * value.length, true);
  }
  return bytes;
}

const quote = (text: string) => JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);

interface LocatorText {
  readonly text: string;
  /** Whether it is well formed: whole UTF-16 units, no NUL. */
  readonly clean: boolean;
}

function readText(bytes: Uint8Array, offset: number, length: number): LocatorText | undefined {
  if (offset === 0 || length === 0 || offset + length > bytes.length) return undefined;
  const whole = new TextDecoder('utf-16le').decode(bytes.subarray(offset, offset + length - (length % 2)));
  let end = whole.length;
  while (end > 0 && whole.charCodeAt(end - 1) === 0) end -= 1;
  const text = whole.slice(0, end);
  return { text, clean: length % 2 === 0 && !whole.includes('\0') };
}

function readLinkages(
  entries: ReadonlyMap<string, string>,
  place: { structure: string; offset: number },
  report: Report,
): string[] {
  const linkages: string[] = [];
  if (!entries.has('parent_linkage')) report(finding('locator-linkage', 'has no parent_linkage', place));
  for (const key of ['parent_linkage', 'parent_linkage2']) {
    const text = entries.get(key);
    if (text === undefined) continue;
    const guid = parseGuid(text);
    if (givenGuid(guid)) linkages.push(guid as string);
    else if (guid === undefined) report(finding('locator-linkage', `${key} is not a GUID: ${quote(text)}`, place));
    // Checkpoints of Hyper-V have a parent_linkage2 of zeros.
    else if (key === 'parent_linkage')
      report(finding('locator-linkage', `${key} is the zero GUID, which means none`, place));
  }
  return linkages;
}
