/**
 * The page cache: which slot holds which BAT or sector bitmap page. The host moves the bytes; this file only keeps
 * the books, so that translation and host agree. A page belongs to a disk (a number that the host gives out,
 * never 0). BAT page p holds the BAT entries from 8,192 p on; a sector bitmap page has the highest bit set and holds
 * the bits of 2^19 sectors.
 */
import { PAGE_SLOTS, PAGE_STAMPS, PAGE_TAGS, PAGES } from './memory';
import { PAGE_BYTES } from './shared-numbers';

const FREE: u64 = 0;
const LOADING: u64 = 0xffffffff;

let clock: u32 = 0;

/** Address of a page, or 0 if no slot holds it. */
export function findPage(disk: u32, page: u32): usize {
  const tag = ((<u64>disk) << 32) | <u64>page;
  for (let slot: usize = 0; slot < PAGE_SLOTS; slot++) {
    if (load<u64>(PAGE_TAGS + (slot << 3)) == tag) {
      store<u32>(PAGE_STAMPS + (slot << 2), ++clock);
      return PAGES + slot * PAGE_BYTES;
    }
  }
  return 0;
}

/** Empties the slot that was not used for longest and returns its address; 0 if the host is filling them all. */
export function claimPage(): usize {
  let oldest: usize = PAGE_SLOTS;
  let age: u32 = 0;
  for (let slot: usize = 0; slot < PAGE_SLOTS; slot++) {
    const tag = load<u64>(PAGE_TAGS + (slot << 3));
    if (tag == LOADING) continue;
    const slotAge = tag == FREE ? u32.MAX_VALUE : clock - load<u32>(PAGE_STAMPS + (slot << 2));
    if (oldest == PAGE_SLOTS || slotAge > age) {
      oldest = slot;
      age = slotAge;
    }
  }
  if (oldest == PAGE_SLOTS) return 0;
  store<u64>(PAGE_TAGS + (oldest << 3), LOADING);
  return PAGES + oldest * PAGE_BYTES;
}

/** Says what the host put into a claimed slot; disk 0 frees it. */
export function setPage(address: usize, disk: u32, page: u32): void {
  const slot = (address - PAGES) / PAGE_BYTES;
  store<u64>(PAGE_TAGS + (slot << 3), disk == 0 ? FREE : ((<u64>disk) << 32) | <u64>page);
  store<u32>(PAGE_STAMPS + (slot << 2), ++clock);
}

/** Frees all pages of a disk. */
export function dropPages(disk: u32): void {
  for (let slot: usize = 0; slot < PAGE_SLOTS; slot++) {
    const tag = PAGE_TAGS + (slot << 3);
    if (<u32>(load<u64>(tag) >> 32) == disk) store<u64>(tag, FREE);
  }
}
