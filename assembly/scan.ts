/**
 * Checks BAT entries one after the other, and marks what they occupy in a map of the file, one bit for each MiB:
 * a MiB that is marked twice belongs to two owners.
 */
import { classify, FILE_OFFSET, PAGE_ENTRIES } from './bat';
import { writeHeader } from './extents';
import { EXTENTS, EXTENTS_CAPACITY, EXTENTS_HEADER, SCAN_COUNTS } from './memory';
import { findPage } from './pages';
import {
  BITMAP_MISSING,
  BITMAP_STATE,
  BITMAP_UNEXPECTED,
  COUNT_ANCHORS,
  COUNT_BAD,
  COUNT_BITMAPS,
  COUNTS,
  DRAFT_STATE,
  EXTENT_FIELDS,
  FULLY_PRESENT,
  HEADER_RESULT,
  HIGHEST_BLOCK,
  LOWEST_BLOCK,
  NOT_PRESENT,
  PARTIALLY_PRESENT,
  PAST_END,
  PROBLEM_ENTRY,
  PROBLEM_FILE_OFFSET,
  PROBLEM_KIND,
  PROBLEM_STATE,
  RESERVED_BITS,
  SHARED_PLACE,
  UNDEFINED,
  UNMAPPED,
  UNUSED_BITMAP_STATE,
} from './shared-numbers';

const RESERVED_MASK: u64 = 0xffff8;
const MIB: u64 = 0x100000;

/** Problems written by this call. */
let problems: u32 = 0;

/** Address of the map (0: there is none), and the first MiB and the number of MiB that it covers. */
let map: usize = 0;
let mapFirst: u64 = 0;
let mapLength: u64 = 0;

function resetCounts(): void {
  memory.fill(SCAN_COUNTS, 0, COUNTS * 8);
  store<f64>(SCAN_COUNTS + (LOWEST_BLOCK << 3), Infinity);
}

function addCount(index: usize): void {
  const at = SCAN_COUNTS + (index << 3);
  store<f64>(at, load<f64>(at) + 1);
}

/** Adds a problem: entry number, what is wrong, the entry's state and its file offset. */
function addProblem(index: u64, problem: u32, entry: u64): void {
  const at = EXTENTS + <usize>problems * (EXTENT_FIELDS * 8);
  store<f64>(at, <f64>index, PROBLEM_ENTRY * 8);
  store<f64>(at, <f64>problem, PROBLEM_KIND * 8);
  store<f64>(at, <f64>(entry & 7), PROBLEM_STATE * 8);
  store<f64>(at, <f64>(entry & FILE_OFFSET), PROBLEM_FILE_OFFSET * 8);
  problems++;
}

/** Marks a range of the file; true if some of it was marked before. Nothing happens outside the map. */
function mark(file: u64, length: u64): bool {
  let shared = false;
  if (map == 0) return false;
  const last = (file + length - 1) / MIB;
  for (let unit = file / MIB; unit <= last; unit++) {
    if (unit < mapFirst || unit - mapFirst >= mapLength) continue;
    const bit = unit - mapFirst;
    const at = map + <usize>(bit >> 3);
    const shift = <u8>(bit & 7);
    const mask = <u8>(1 << shift);
    const byte = load<u8>(at);
    if (byte & mask) shared = true;
    store<u8>(at, byte | mask);
  }
  return shared;
}

/** Chooses the map for the calls that follow at once; `address` 0 for none. */
export function useMap(address: usize, firstMiB: f64, lengthMiB: f64): void {
  map = address;
  mapFirst = <u64>firstMiB;
  mapLength = <u64>lengthMiB;
}

/** Marks a structure in the map. */
export function markRange(file: f64, length: f64): void {
  mark(<u64>file, <u64>length);
}

/** How many of `length` MiB from the map's number `first` on are not marked. */
export function countUnmarked(first: f64, length: f64): f64 {
  let free: u64 = 0;
  const end = <u64>first + <u64>length;
  let bit = <u64>first;
  while (bit < end) {
    if ((bit & 63) == 0 && end - bit >= 64) {
      free += 64 - popcnt(load<u64>(map + <usize>(bit >> 3)));
      bit += 64;
    } else {
      free += <u64>(((load<u8>(map + <usize>(bit >> 3)) >> <u8>(bit & 7)) & 1) ^ 1);
      bit++;
    }
  }
  return <f64>free;
}

/**
 * Checks the entries from `first` up to `last`, as far as the BAT page that holds the first of them reaches, and
 * returns the number of problems found; the scan counts are those of this call. The header has how far it came, the page
 * that it lacks or -1, and whether the chunk in which it stopped has a partially present block, which the next call
 * takes as `partial`.
 * `anchors`: only marks what unmapped and undefined blocks still own.
 */
export function scanBat(
  disk: u32,
  first: f64,
  last: f64,
  payloadBlocks: f64,
  blockShift: u32,
  ratioShift: u32,
  virtualSize: f64,
  fileSize: f64,
  hasParent: bool,
  partial: bool,
  anchors: bool,
): u32 {
  problems = 0;
  resetCounts();
  let index = <u64>first;
  const page = <u32>(index / PAGE_ENTRIES);
  const address = findPage(disk, page);
  if (address == 0) return endScan(index, <f64>page, partial);
  const end = min(<u64>last, (<u64>page + 1) * PAGE_ENTRIES);
  const ratio: u64 = 1 << (<u64>ratioShift);
  const blockSize: u64 = 1 << (<u64>blockShift);
  const fileEnd = <u64>fileSize;
  let chunk = index / (ratio + 1);
  let place = index - chunk * (ratio + 1);
  let inPartial = partial;
  for (; index < end; index++) {
    // An entry makes at most three problems.
    if (problems + 3 > EXTENTS_CAPACITY) return endScan(index, -1, inPartial);
    const entry = load<u64>(address + ((<usize>(index & (PAGE_ENTRIES - 1))) << 3));
    if (place == ratio) {
      if (!anchors) scanBitmapEntry(index, entry, fileEnd, hasParent, inPartial);
      inPartial = false;
      place = 0;
      chunk++;
      continue;
    }
    const block = (chunk << (<u64>ratioShift)) + place;
    place++;
    if (block >= <u64>payloadBlocks) continue;
    const used = min(blockSize, <u64>virtualSize - (block << (<u64>blockShift)));
    if (anchors) markAnchor(entry, blockSize, fileEnd);
    else if (scanPayloadEntry(index, entry, used, blockSize, fileEnd, hasParent)) inPartial = true;
  }
  return endScan(index, -1, inPartial);
}

function endScan(reached: u64, missing: f64, partial: bool): u32 {
  writeHeader(reached, missing);
  store<f64>(EXTENTS_HEADER, partial ? 1 : 0, HEADER_RESULT * 8);
  return problems;
}

/** Checks the entry of a payload block of which `used` bytes are on the disk; true if it is partially present. */
function scanPayloadEntry(index: u64, entry: u64, used: u64, blockSize: u64, fileEnd: u64, hasParent: bool): bool {
  const state = <u32>(entry & 7);
  addCount(state);
  if (entry == 0) return false;
  if (entry & RESERVED_MASK) addProblem(index, RESERVED_BITS, entry);
  const kind = classify(entry, hasParent);
  const file = entry & FILE_OFFSET;
  if (kind <= UNMAPPED) {
    if (kind != state) addProblem(index, DRAFT_STATE, entry);
    if (isAnchor(entry)) {
      addCount(COUNT_ANCHORS);
      noteHighest(file);
    }
    return false;
  }
  if (kind > PARTIALLY_PRESENT) {
    addCount(COUNT_BAD);
    addProblem(index, kind, entry);
    return false;
  }
  const lowest = SCAN_COUNTS + (LOWEST_BLOCK << 3);
  store<f64>(lowest, min(load<f64>(lowest), <f64>file));
  noteHighest(file);
  if (file + used > fileEnd) {
    addCount(COUNT_BAD);
    addProblem(index, PAST_END, entry);
  }
  if (file < fileEnd && mark(file, min(blockSize, fileEnd - file))) addProblem(index, SHARED_PLACE, entry);
  return kind != FULLY_PRESENT;
}

/** Whether an undefined or unmapped block still owns a place in the file ([MS-VHDX] 2.5.1.1). */
function isAnchor(entry: u64): bool {
  const state = entry & 7;
  return (state == UNDEFINED || state == UNMAPPED) && (entry & FILE_OFFSET) >= MIB;
}

function markAnchor(entry: u64, blockSize: u64, fileEnd: u64): void {
  const file = entry & FILE_OFFSET;
  if (isAnchor(entry) && file < fileEnd) mark(file, min(blockSize, fileEnd - file));
}

/** Keeps the highest place that any entry refers to. */
function noteHighest(file: u64): void {
  const highest = SCAN_COUNTS + (HIGHEST_BLOCK << 3);
  store<f64>(highest, max(load<f64>(highest), <f64>file));
}

function scanBitmapEntry(index: u64, entry: u64, fileEnd: u64, hasParent: bool, needed: bool): void {
  const state = <u32>(entry & 7);
  const file = entry & FILE_OFFSET;
  if (!hasParent) {
    if (entry != 0) addProblem(index, BITMAP_UNEXPECTED, entry);
    return;
  }
  if (entry & RESERVED_MASK) addProblem(index, RESERVED_BITS, entry);
  if (state == NOT_PRESENT) {
    if (needed) addProblem(index, BITMAP_MISSING, entry);
    return;
  }
  if (state != FULLY_PRESENT || file < MIB || file > fileEnd || file + MIB > fileEnd) {
    addProblem(index, needed ? BITMAP_STATE : UNUSED_BITMAP_STATE, entry);
    return;
  }
  addCount(COUNT_BITMAPS);
  noteHighest(file);
  if (mark(file, MIB)) addProblem(index, SHARED_PLACE, entry);
}
