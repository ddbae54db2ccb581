/**
 * The extents that a translation gives: four f64 each (virtual offset, length, kind, file offset), behind a header of
 * four f64 (how far the translation came, the page that it lacks or -1, two results of other calls).
 * Kinds 0 to 7 are the payload block states of [MS-VHDX] 2.5.1.1; from 8 on they say what is wrong.
 */
import { EXTENTS, EXTENTS_CAPACITY, EXTENTS_HEADER } from './memory';

export const NOT_PRESENT: u32 = 0;
export const UNMAPPED: u32 = 3;
export const RESERVED: u32 = 4;
export const DRAFT_UNMAPPED: u32 = 5;
export const FULLY_PRESENT: u32 = 6;
export const PARTIALLY_PRESENT: u32 = 7;
export const BAD_STATE: u32 = 8;
export const PARTIAL_WITHOUT_PARENT: u32 = 9;
export const OFFSET_MISSING: u32 = 10;
export const OFFSET_RANGE: u32 = 11;
export const PAST_END: u32 = 12;

/** Extents written since {@link beginExtents}. */
let count: u32 = 0;

export function beginExtents(): void {
  count = 0;
}

/** Whether two more extents fit: one step of a translation writes at most two. */
export function hasRoom(): bool {
  return count + 2 <= EXTENTS_CAPACITY;
}

/** Ends a translation and returns the number of extents. `missing` is a page, or -1. */
export function endExtents(reached: u64, missing: f64): u32 {
  store<f64>(EXTENTS_HEADER, <f64>reached);
  store<f64>(EXTENTS_HEADER, missing, 8);
  return count;
}

/** Writes an extent, or lengthens the last one where this one continues it, in the file too if it has data there. */
export function pushExtent(offset: u64, length: u64, kind: u32, file: u64): void {
  if (length == 0) return;
  const stored = kind == FULLY_PRESENT;
  if (count > 0 && kind != PARTIALLY_PRESENT) {
    const last = EXTENTS + ((<usize>(count - 1)) << 5);
    const lastLength = load<f64>(last, 8);
    if (load<f64>(last, 16) == <f64>kind && (!stored || load<f64>(last, 24) + lastLength == <f64>file)) {
      store<f64>(last, lastLength + <f64>length, 8);
      return;
    }
  }
  const next = EXTENTS + ((<usize>count) << 5);
  store<f64>(next, <f64>offset);
  store<f64>(next, <f64>length, 8);
  store<f64>(next, <f64>kind, 16);
  store<f64>(next, <f64>file, 24);
  count++;
}

/** Writes an extent of data, of which what lies past the end of the file cannot be read. */
export function pushData(offset: u64, length: u64, file: u64, fileSize: u64): void {
  const readable = file >= fileSize ? 0 : min(length, fileSize - file);
  pushExtent(offset, readable, FULLY_PRESENT, file);
  pushExtent(offset + readable, length - readable, PAST_END, file + readable);
}
