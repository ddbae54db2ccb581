/**
 * Goes through BAT entries, one after the other: checks them and marks what they occupy in the maps of scan-map.ts,
 * lists those whose place is taken twice, or marks the places that undefined and unmapped blocks keep.
 */
import { classify, FILE_OFFSET, PAGE_ENTRIES } from './bat';
import { writeHeader } from './extents';
import { EXTENTS, EXTENTS_CAPACITY, EXTENTS_HEADER, SCAN_COUNTS } from './memory';
import { findPage } from './pages';
import { belongsHere, isShared, isTaken, mapEnd, mark, takeSharedCount } from './scan-map';
import {
  ANCHOR_PAST_END,
  ANCHOR_SHARED,
  BITMAP_MISSING,
  BITMAP_STATE,
  BITMAP_UNEXPECTED,
  COUNT_ANCHORS,
  COUNT_BAD,
  COUNT_BITMAPS,
  COUNT_PLACED,
  COUNT_PROBLEMS,
  COUNT_SHARED,
  COUNT_STORED,
  DRAFT_STATE,
  EXTENT_FIELDS,
  FULLY_PRESENT,
  HEADER_RESULT,
  LOWEST_BLOCK,
  NEXT_PLACE,
  NOT_PRESENT,
  PARTIALLY_PRESENT,
  PASS_ANCHORS,
  PASS_MARK,
  PASS_SHARED,
  PAST_END,
  PROBLEM_ENTRY,
  PROBLEM_FILE_OFFSET,
  PROBLEM_KIND,
  PROBLEM_STATE,
  PROBLEMS,
  RESERVED_BITS,
  SHARED_BITMAP,
  SHARED_PLACE,
  UNDEFINED,
  UNMAPPED,
  UNUSED_BITMAP_SHARED,
  UNUSED_BITMAP_STATE,
} from './shared-numbers';

const RESERVED_MASK: u64 = 0xffff8;
const MIB: u64 = 0x100000;

/** Problems written by this call, and the kinds that are only counted, by bit. */
let problems: u32 = 0;
let unlisted: u32 = 0;

function resetCounts(): void {
  memory.fill(SCAN_COUNTS, 0, (COUNT_PROBLEMS + PROBLEMS) * 8);
  store<f64>(SCAN_COUNTS, Infinity, LOWEST_BLOCK * 8);
  store<f64>(SCAN_COUNTS, Infinity, NEXT_PLACE * 8);
}

function addCount(index: usize, count: f64 = 1): void {
  const at = SCAN_COUNTS + (index << 3);
  store<f64>(at, load<f64>(at) + count);
}

function keepLowest(index: usize, file: u64): void {
  const at = SCAN_COUNTS + (index << 3);
  store<f64>(at, min(load<f64>(at), <f64>file));
}

/** Counts a problem and, unless there are enough of its kind, writes it: entry number, kind, state, file offset. */
function addProblem(index: u64, problem: u32, entry: u64): void {
  addCount(COUNT_PROBLEMS + problem);
  if ((unlisted >> problem) & 1) return;
  const at = EXTENTS + <usize>problems * (EXTENT_FIELDS * 8);
  store<f64>(at, <f64>index, PROBLEM_ENTRY * 8);
  store<f64>(at, <f64>problem, PROBLEM_KIND * 8);
  store<f64>(at, <f64>(entry & 7), PROBLEM_STATE * 8);
  store<f64>(at, <f64>(entry & FILE_OFFSET), PROBLEM_FILE_OFFSET * 8);
  problems++;
}

/**
 * Goes through the entries from `first` up to `last`, as far as the BAT page that holds the first of them reaches, and
 * returns the number of problems written; the scan counts are those of this call. Kinds whose bit is set in `enough` are
 * counted and not written. The header has how far it came, the page that it lacks or -1, and whether the chunk in which
 * it stopped has a partially present block, which the next call takes as `partial`.
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
  pass: u32,
  enough: u32,
): i32 {
  problems = 0;
  unlisted = enough;
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
  let empty: u32 = 0;
  // An entry has at most three problems.
  for (; index < end && problems + 3 <= EXTENTS_CAPACITY; index++) {
    const entry = load<u64>(address + ((<usize>(index & (PAGE_ENTRIES - 1))) << 3));
    if (place == ratio) {
      if (pass == PASS_MARK) checkBitmapEntry(index, entry, fileEnd, hasParent, inPartial);
      else if (pass == PASS_SHARED) listSharedBitmap(index, entry, fileEnd, hasParent, inPartial);
      inPartial = false;
      place = 0;
      chunk++;
      continue;
    }
    const block = (chunk << (<u64>ratioShift)) + place;
    place++;
    if (block >= <u64>payloadBlocks) continue;
    // Most entries of most images.
    if (entry == 0) {
      empty++;
      continue;
    }
    const used = min(blockSize, <u64>virtualSize - (block << (<u64>blockShift)));
    const kind = classify(entry, hasParent);
    if (pass == PASS_MARK) checkPayloadEntry(index, entry, kind, used, blockSize, fileEnd);
    else if (pass == PASS_SHARED) listSharedPayload(index, entry, kind, used, blockSize, fileEnd);
    else if (pass == PASS_ANCHORS) markAnchor(index, entry, used, blockSize, fileEnd);
    if (kind == PARTIALLY_PRESENT) inPartial = true;
  }
  addCount(NOT_PRESENT, <f64>empty);
  return endScan(index, -1, inPartial);
}

function endScan(reached: u64, missing: f64, partial: bool): i32 {
  addCount(COUNT_SHARED, <f64>takeSharedCount());
  writeHeader(reached, missing);
  store<f64>(EXTENTS_HEADER, partial ? 1 : 0, HEADER_RESULT * 8);
  return <i32>problems;
}

/** Takes note of a place that an entry refers to. */
function placeEntry(file: u64, length: u64): void {
  addCount(COUNT_PLACED);
  if ((file + length - 1) / MIB >= mapEnd) keepLowest(NEXT_PLACE, file);
}

/** Checks the entry of a payload block of which `used` bytes are on the disk, and marks its place. */
function checkPayloadEntry(index: u64, entry: u64, kind: u32, used: u64, blockSize: u64, fileEnd: u64): void {
  const state = <u32>(entry & 7);
  addCount(state);
  if (entry & RESERVED_MASK) addProblem(index, RESERVED_BITS, entry);
  const file = entry & FILE_OFFSET;
  if (kind <= UNMAPPED) {
    if (kind != state) addProblem(index, DRAFT_STATE, entry);
    if (!isAnchor(entry)) return;
    addCount(COUNT_ANCHORS);
    if (file >= fileEnd || file + used > fileEnd) addProblem(index, ANCHOR_PAST_END, entry);
    if (file < fileEnd) placeEntry(file, min(blockSize, fileEnd - file));
    return;
  }
  if (kind > PARTIALLY_PRESENT) {
    addCount(COUNT_BAD);
    addProblem(index, kind, entry);
    return;
  }
  keepLowest(LOWEST_BLOCK, file);
  if (file + used > fileEnd) {
    addCount(COUNT_BAD);
    addProblem(index, PAST_END, entry);
  }
  if (file >= fileEnd) return;
  const length = min(blockSize, fileEnd - file);
  placeEntry(file, length);
  const fresh = mark(file, length);
  if (belongsHere(file, length)) addCount(COUNT_STORED, <f64>fresh);
}

function listSharedPayload(index: u64, entry: u64, kind: u32, used: u64, blockSize: u64, fileEnd: u64): void {
  if (kind != FULLY_PRESENT && kind != PARTIALLY_PRESENT) return;
  const file = entry & FILE_OFFSET;
  if (file >= fileEnd) return;
  const length = min(blockSize, fileEnd - file);
  if (!belongsHere(file, length) || !isShared(file, length)) return;
  if (file + used <= fileEnd) addCount(COUNT_BAD);
  addProblem(index, SHARED_PLACE, entry);
}

/** Whether an undefined or unmapped block still owns a place in the file ([MS-VHDX] 2.5.1.1). */
function isAnchor(entry: u64): bool {
  const state = <u32>(entry & 7);
  return (state == UNDEFINED || state == UNMAPPED) && (entry & FILE_OFFSET) >= MIB;
}

/** Marks the place that an undefined or unmapped block keeps. That it is taken harms neither: the block reads as zeros. */
function markAnchor(index: u64, entry: u64, used: u64, blockSize: u64, fileEnd: u64): void {
  const file = entry & FILE_OFFSET;
  if (!isAnchor(entry) || file >= fileEnd) return;
  const length = min(blockSize, fileEnd - file);
  if (belongsHere(file, length) && isTaken(file, min(used, length))) addProblem(index, ANCHOR_SHARED, entry);
  mark(file, length);
}

function isBitmapInFile(file: u64, fileEnd: u64): bool {
  return file >= MIB && file <= fileEnd && file + MIB <= fileEnd;
}

function checkBitmapEntry(index: u64, entry: u64, fileEnd: u64, hasParent: bool, needed: bool): void {
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
  if (state != FULLY_PRESENT || !isBitmapInFile(file, fileEnd)) {
    addProblem(index, needed ? BITMAP_STATE : UNUSED_BITMAP_STATE, entry);
    return;
  }
  addCount(COUNT_BITMAPS);
  placeEntry(file, MIB);
  mark(file, MIB);
}

function listSharedBitmap(index: u64, entry: u64, fileEnd: u64, hasParent: bool, needed: bool): void {
  const file = entry & FILE_OFFSET;
  if (!hasParent || <u32>(entry & 7) != FULLY_PRESENT || !isBitmapInFile(file, fileEnd)) return;
  if (!belongsHere(file, MIB) || !isShared(file, MIB)) return;
  addProblem(index, needed ? SHARED_BITMAP : UNUSED_BITMAP_SHARED, entry);
}
