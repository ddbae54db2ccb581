/** Walks sector bitmaps ([MS-VHDX] 2.5.1.2): bit k of a chunk, lowest first, is 1 if sector k is in this file. */
import { beginExtents, endExtents, hasRoom, pushData, pushExtent } from './extents';
import { findPage } from './pages';
import { BITMAP_PAGE, NOT_PRESENT } from './shared-numbers';

/** Sectors of a page: 64 KiB of eight bits each. */
const PAGE_SECTORS_SHIFT: u64 = 19;
const PAGE_SECTORS: u64 = 1 << 19;

/**
 * Splits a range of one partially present block into what is in this file (from `file` on, for the range's first
 * byte) and what the parent has (kind NOT_PRESENT). Stops and reports like `translate`.
 */
export function splitPartial(disk: u32, offset: f64, length: f64, file: f64, sectorShift: u32, fileSize: f64): i32 {
  let at = <u64>offset;
  const end = at + <u64>length;
  const shift = <u64>sectorShift;
  const delta = <u64>file - at;
  const lastSector = (end + (1 << shift) - 1) >> shift;
  beginExtents();
  while (at < end) {
    const sector = at >> shift;
    const page = <u32>(sector >> PAGE_SECTORS_SHIFT);
    const address = findPage(disk, BITMAP_PAGE | page);
    if (address == 0) return endExtents(at, <f64>(BITMAP_PAGE | page));
    const base = sector & ~(PAGE_SECTORS - 1);
    const limit = min(PAGE_SECTORS, lastSector - base);
    let from = sector - base;
    while (from < limit) {
      if (!hasRoom()) return endExtents(at, -1);
      const here = (load<u8>(address + <usize>(from >> 3)) >> <u8>(from & 7)) & 1;
      from = runEnd(address, from, limit, here != 0);
      const next = min((base + from) << shift, end);
      if (here != 0) pushData(at, next - at, at + delta, <u64>fileSize);
      else pushExtent(at, next - at, NOT_PRESENT, 0);
      at = next;
    }
  }
  return endExtents(at, -1);
}

/** The first bit from `from` on that is not `set`, or `limit`. */
function runEnd(address: usize, from: u64, limit: u64, set: bool): u64 {
  const flip: u64 = set ? u64.MAX_VALUE : 0;
  let word = from >> 6;
  let other = ((load<u64>(address + ((<usize>word) << 3)) ^ flip) >> (from & 63)) << (from & 63);
  while (other == 0) {
    word++;
    if (word << 6 >= limit) return limit;
    other = load<u64>(address + ((<usize>word) << 3)) ^ flip;
  }
  return min((word << 6) + ctz(other), limit);
}
