/** Translation of virtual offsets through the block allocation table ([MS-VHDX] 2.5). */
import { beginExtents, endExtents, hasRoom, pushData, pushExtent, writeHeader } from './extents';
import { EXTENTS_HEADER } from './memory';
import { findPage } from './pages';
import {
  DRAFT_UNMAPPED,
  FULLY_PRESENT,
  HEADER_RESULT,
  OFFSET_MISSING,
  OFFSET_RANGE,
  PARTIAL_WITHOUT_PARENT,
  PARTIALLY_PRESENT,
  RESERVED,
  RESERVED_STATE,
  UNMAPPED,
} from './shared-numbers';

/** Entries of a page: 64 KiB of 8 bytes each. */
const PAGE_ENTRIES_SHIFT: u64 = 13;
/** Entries of a page. */
export const PAGE_ENTRIES: u64 = 1 << PAGE_ENTRIES_SHIFT;
/** The bits of an entry that are its file offset. */
export const FILE_OFFSET: u64 = 0xfffffffffff00000;
const FIRST_BLOCK: u64 = 0x100000;
/** Past this, an f64 does not hold every integer. */
const LAST_OFFSET: u64 = 1 << 53;

/** What an entry says: a payload state, or what is wrong with it, but for the end of the file. */
export function classify(entry: u64, hasParent: bool): u32 {
  const state = <u32>(entry & 7);
  if (state < RESERVED) return state;
  if (state == RESERVED) return RESERVED_STATE;
  if (state == DRAFT_UNMAPPED) return UNMAPPED;
  if (state == PARTIALLY_PRESENT && !hasParent) return PARTIAL_WITHOUT_PARENT;
  const file = entry & FILE_OFFSET;
  if (file < FIRST_BLOCK) return OFFSET_MISSING;
  if (file >= LAST_OFFSET) return OFFSET_RANGE;
  return state;
}

/**
 * Writes the extents of a range of the virtual disk, up to the first BAT page that is not loaded, or to the end of the
 * output area, and returns their number. The header has the offset at which it stopped and the page that it lacks.
 * The range is inside the disk; blocks are `1 << blockShift` bytes, chunks `1 << ratioShift` blocks.
 */
export function translate(
  disk: u32,
  offset: f64,
  length: f64,
  blockShift: u32,
  ratioShift: u32,
  fileSize: f64,
  hasParent: bool,
): i32 {
  let at = <u64>offset;
  const end = at + <u64>length;
  const fileEnd = <u64>fileSize;
  const shift = <u64>blockShift;
  const blockSize: u64 = 1 << shift;
  const ratio: u64 = 1 << (<u64>ratioShift);
  beginExtents();
  while (at < end) {
    const block = at >> shift;
    const index = block + (block >> <u64>ratioShift);
    const page = <u32>(index >> PAGE_ENTRIES_SHIFT);
    const address = findPage(disk, page);
    if (address == 0) return endExtents(at, <f64>page);
    // As far as the entries follow one another: to the end of the page or to the chunk's bitmap entry.
    const first = index & (PAGE_ENTRIES - 1);
    const entries = min(PAGE_ENTRIES - first, ratio - (block & (ratio - 1)));
    let entry = address + ((<usize>first) << 3);
    const last = entry + ((<usize>entries) << 3);
    for (; entry < last && at < end; entry += 8) {
      if (!hasRoom()) return endExtents(at, -1);
      const bits = load<u64>(entry);
      const kind = classify(bits, hasParent);
      const within = at & (blockSize - 1);
      let length = blockSize;
      // A sparse disk is long runs of the same entry, nothing: they are one extent.
      if (kind <= UNMAPPED) {
        for (; length - within < end - at && entry + 8 < last && load<u64>(entry, 8) == bits; entry += 8) {
          length += blockSize;
        }
      }
      const take = min(length - within, end - at);
      const file = (bits & FILE_OFFSET) + within;
      if (kind == FULLY_PRESENT) pushData(at, take, file, fileEnd);
      else pushExtent(at, take, kind, file);
      at += take;
    }
  }
  return endExtents(at, -1);
}

/**
 * Reads the BAT entry of a sector bitmap block: returns its state, and writes its file offset into the header as the
 * result. If its page is not loaded, the header has the page, otherwise -1.
 */
export function sectorBitmapEntry(disk: u32, index: f64): i32 {
  const page = <u32>(<u64>index >> PAGE_ENTRIES_SHIFT);
  const address = findPage(disk, page);
  writeHeader(0, address == 0 ? <f64>page : -1);
  if (address == 0) return 0;
  const bits = load<u64>(address + ((<usize>(<u64>index & (PAGE_ENTRIES - 1))) << 3));
  store<f64>(EXTENTS_HEADER, <f64>(bits & FILE_OFFSET), HEADER_RESULT * 8);
  return <i32>(bits & 7);
}
