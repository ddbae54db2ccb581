/**
 * The extents that a translation gives: four f64 each (virtual offset, length, kind, file offset), after a header of
 * four f64 (how far the call came, the page that it lacks or -1, a result).
 */
import { EXTENTS, EXTENTS_CAPACITY, EXTENTS_HEADER } from './memory';
import {
  EXTENT_FIELDS,
  EXTENT_FILE_OFFSET,
  EXTENT_KIND,
  EXTENT_LENGTH,
  EXTENT_OFFSET,
  FULLY_PRESENT,
  HEADER_MISSING,
  HEADER_REACHED,
  PARTIALLY_PRESENT,
  PAST_END,
} from './shared-numbers';

const EXTENT_BYTES: usize = EXTENT_FIELDS * 8;

/** Extents written since {@link beginExtents}. */
let count: u32 = 0;

export function beginExtents(): void {
  count = 0;
}

/** Whether two more extents fit: one step of a translation writes at most two. */
export function hasRoom(): bool {
  return count + 2 <= EXTENTS_CAPACITY;
}

/** Writes to the header how far a call came and which page it lacks, or -1. */
export function writeHeader(reached: u64, missing: f64): void {
  store<f64>(EXTENTS_HEADER, <f64>reached, HEADER_REACHED * 8);
  store<f64>(EXTENTS_HEADER, missing, HEADER_MISSING * 8);
}

/** Ends a translation and returns the number of extents. `missing` is a page, or -1. */
export function endExtents(reached: u64, missing: f64): i32 {
  writeHeader(reached, missing);
  return <i32>count;
}

/** Writes an extent, or lengthens the last one if this one continues it, in the file too if it has data there. */
export function pushExtent(offset: u64, length: u64, kind: u32, file: u64): void {
  if (length == 0) return;
  const stored = kind == FULLY_PRESENT;
  if (count > 0 && kind != PARTIALLY_PRESENT) {
    const last = EXTENTS + <usize>(count - 1) * EXTENT_BYTES;
    const lastLength = load<f64>(last, EXTENT_LENGTH * 8);
    if (
      load<f64>(last, EXTENT_KIND * 8) == <f64>kind &&
      (!stored || load<f64>(last, EXTENT_FILE_OFFSET * 8) + lastLength == <f64>file)
    ) {
      store<f64>(last, lastLength + <f64>length, EXTENT_LENGTH * 8);
      return;
    }
  }
  const next = EXTENTS + <usize>count * EXTENT_BYTES;
  store<f64>(next, <f64>offset, EXTENT_OFFSET * 8);
  store<f64>(next, <f64>length, EXTENT_LENGTH * 8);
  store<f64>(next, <f64>kind, EXTENT_KIND * 8);
  store<f64>(next, <f64>file, EXTENT_FILE_OFFSET * 8);
  count++;
}

/** Writes an extent of data; the part past the end of the file cannot be read. */
export function pushData(offset: u64, length: u64, file: u64, fileSize: u64): void {
  const readable = file >= fileSize ? 0 : min(length, fileSize - file);
  pushExtent(offset, readable, FULLY_PRESENT, file);
  pushExtent(offset + readable, length - readable, PAST_END, file + readable);
}
