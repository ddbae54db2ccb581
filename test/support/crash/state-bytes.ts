import { crc32cReference } from '../crc32c-reference.js';
import { PAGE_SIZE, type PageImage } from './page-image.js';

/** A state breaks a rule of the specification; `rule` names the section. */
export class BrokenState extends Error {
  override readonly name = 'BrokenState';
}

/** Throws a {@link BrokenState} where a condition does not hold. */
export function must(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new BrokenState(message());
}

// A page never changes, so its checksum after a given one is worth remembering.
const known = new WeakMap<Uint8Array, Map<number, number>>();

/** CRC-32C of a page, continuing from `initial`. */
function pageCrc(page: Uint8Array, initial: number): number {
  const sums = known.get(page) ?? new Map<number, number>();
  known.set(page, sums);
  let sum = sums.get(initial);
  if (sum === undefined) {
    sum = crc32cReference(page, initial);
    sums.set(initial, sum);
  }
  return sum;
}

const withoutField = new WeakMap<Uint8Array, Uint8Array>();

/** The page with the four bytes of a checksum at offset 4 as zeros. */
function clearedPage(page: Uint8Array): Uint8Array {
  let cleared = withoutField.get(page);
  if (cleared === undefined) {
    cleared = page.slice();
    cleared.fill(0, 4, 8);
    withoutField.set(page, cleared);
  }
  return cleared;
}

/** Whether the checksum at offset 4 of a structure, given by its pages, is right. */
export function hasRightChecksum(pages: readonly Uint8Array[]): boolean {
  const [first, ...rest] = pages as [Uint8Array, ...Uint8Array[]];
  let sum = pageCrc(clearedPage(first), 0);
  for (const page of rest) sum = pageCrc(page, sum);
  return sum === viewOf(first).getUint32(4, true);
}

/** A view on bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether bytes begin with a signature. */
export function startsWith(bytes: Uint8Array, signature: string, at = 0): boolean {
  for (let i = 0; i < signature.length; i++) if (bytes[at + i] !== signature.charCodeAt(i)) return false;
  return true;
}

/** A u64 that must be a number that JavaScript can count to. */
export function number64(view: DataView, at: number, name: string): number {
  const value = view.getBigUint64(at, true);
  must(value <= BigInt(Number.MAX_SAFE_INTEGER), () => `${name} is ${value}`);
  return Number(value);
}

/** The text of a GUID, lower case, without braces ([MS-DTYP] 2.3.4). */
export function guidText(bytes: Uint8Array, at = 0): string {
  const order = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];
  const text = (i: number) => (i < 0 ? '-' : (bytes[at + i] as number).toString(16).padStart(2, '0'));
  return order.map(text).join('');
}

/** The pages of a range that begins and ends at pages. */
export function pagesIn(image: PageImage, offset: number, length: number): Uint8Array[] {
  return Array.from({ length: length / PAGE_SIZE }, (_, i) => image.page(offset / PAGE_SIZE + i));
}

/** Results of {@link remember}, by the first page that they were computed from. */
type Memory<T> = WeakMap<Uint8Array, { readonly pages: readonly Uint8Array[]; readonly value: T }[]>;

/** Computes something from pages once: pages never change, and most states share most of theirs. */
export function remember<T>(memory: Memory<T>, pages: readonly Uint8Array[], compute: () => T): T {
  const first = pages[0] as Uint8Array;
  const known = memory.get(first) ?? [];
  const found = known.find(
    (one) => one.pages.length === pages.length && one.pages.every((page, i) => page === pages[i]),
  );
  if (found) return found.value;
  const value = compute();
  if (known.length >= 8) known.shift();
  memory.set(first, [...known, { pages, value }]);
  return value;
}
