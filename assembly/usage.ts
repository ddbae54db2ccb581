/** Sums what a range of the virtual disk consists of, bin by bin: what a picture of the whole disk needs. */
import { classify, FILE_OFFSET, PAGE_ENTRIES } from './bat';
import { writeHeader } from './extents';
import { findPage } from './pages';
import {
  FULLY_PRESENT,
  NOT_PRESENT,
  PARTIALLY_PRESENT,
  USAGE_CLASSES,
  USAGE_DAMAGED,
  USAGE_DATA,
  USAGE_PARENT,
  USAGE_PARTIAL,
  USAGE_UNMAPPED,
  USAGE_ZERO,
  ZERO,
} from './shared-numbers';

/** The class of a block: the place of its bytes in a bin. */
function classOf(entry: u64, length: u64, fileEnd: u64, storedEnd: u64, hasParent: bool): usize {
  const kind = classify(entry, hasParent);
  if (kind == NOT_PRESENT) return hasParent ? USAGE_PARENT : USAGE_UNMAPPED;
  if (kind == ZERO) return USAGE_ZERO;
  if (kind < FULLY_PRESENT) return USAGE_UNMAPPED;
  if (kind > PARTIALLY_PRESENT) return USAGE_DAMAGED;
  if ((entry & FILE_OFFSET) + length > fileEnd) return USAGE_DAMAGED;
  if ((entry & FILE_OFFSET) >= storedEnd && kind == FULLY_PRESENT) return USAGE_UNMAPPED;
  return kind == FULLY_PRESENT ? USAGE_DATA : USAGE_PARTIAL;
}

/**
 * Adds the bytes of a range to bins of `binBytes` each, six f64 a bin at `bins`, of which the first begins at virtual
 * offset `origin`. Goes as far as the BAT page that holds the range's first block reaches; the header says how far it
 * came, and which page was missing or -1. From `storedSize` on, the replay of a log only made the file longer: a block
 * there is a hole.
 */
export function addUsage(
  disk: u32,
  offset: f64,
  end: f64,
  blockShift: u32,
  ratioShift: u32,
  fileSize: f64,
  storedSize: f64,
  hasParent: bool,
  origin: f64,
  binBytes: f64,
  bins: usize,
): void {
  let at = <u64>offset;
  const last = <u64>end;
  const start = <u64>origin;
  const width = <u64>binBytes;
  const shift = <u64>blockShift;
  const blockSize: u64 = 1 << shift;
  let block = at >> shift;
  let index = block + (block >> <u64>ratioShift);
  const page = <u32>(index / PAGE_ENTRIES);
  const address = findPage(disk, page);
  writeHeader(at, address == 0 ? <f64>page : -1);
  if (address == 0) return;
  let bin = (at - start) / width;
  let binEnd = start + (bin + 1) * width;
  while (at < last && <u32>(index / PAGE_ENTRIES) == page) {
    const next = min((block + 1) << shift, last);
    const entry = load<u64>(address + ((<usize>(index & (PAGE_ENTRIES - 1))) << 3));
    const place =
      classOf(entry, min(blockSize, next - (block << shift)), <u64>fileSize, <u64>storedSize, hasParent) << 3;
    while (at < next) {
      const part = min(next, binEnd);
      const sum = bins + <usize>bin * (USAGE_CLASSES << 3) + place;
      store<f64>(sum, load<f64>(sum) + <f64>(part - at));
      at = part;
      if (at == binEnd) {
        bin++;
        binEnd += width;
      }
    }
    block++;
    index = block + (block >> <u64>ratioShift);
  }
  writeHeader(at, -1);
}
