import { crc32cReference } from '../crc32c-reference.js';

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

/** Results of {@link remember}, by the first part that they were computed from. */
export type Memory<T> = WeakMap<object, { readonly parts: readonly object[]; readonly value: T }[]>;

/** Computes something from pages or chunks once: they never change, and most states share most of theirs. */
export function remember<T>(memory: Memory<T>, parts: readonly object[], compute: () => T): T {
  const first = parts[0] as object;
  let known = memory.get(first);
  if (known === undefined) {
    known = [];
    memory.set(first, known);
  }
  for (const one of known) if (areSame(one.parts, parts)) return one.value;
  const value = compute();
  if (known.length >= 8) known.shift();
  known.push({ parts, value });
  return value;
}

function areSame(a: readonly object[], b: readonly object[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}
