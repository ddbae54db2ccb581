/**
 * The map of the core's memory. The host creates the memory, zeroed and of fixed size, and the core imports it;
 * nothing is ever allocated, so every address below is known when the core is compiled.
 *
 *     0x000000  nothing: an address of 0 is a mistake
 *     0x000400  checksum tables            8 KiB   8 tables of 256 u32
 *     0x002400  page tags                  512 B   which BAT page a slot holds, u64 a slot
 *     0x002600  page stamps                256 B   when a slot was last used, u32 a slot
 *     0x002800  extents header              32 B   4 f64
 *     0x002820  extents                   32 KiB   1,024 extents of 4 f64
 *     0x00b000  scan counts                  1 KiB   up to 128 f64
 *     0x010000  checksum history          64 KiB   words that the recurrence has eliminated
 *     0x020000  checksum residue          64 KiB   what is left of the message
 *     0x030000  copy area                256 KiB   bytes of a synchronous checksum call
 *     0x070000  pages                      4 MiB   64 slots of 64 KiB
 *     0x470000  buffers                    8 MiB   8 buffers of 1 MiB
 *     0xc70000  scratch                  512 KiB   the map of a scan, the bins of a sum
 *     0xcf0000  end
 *
 * The build writes the numbers below into src/core/core-memory.generated.ts, so that the host knows them too.
 */

import { PAGE_BYTES } from './shared-numbers';

const KiB: usize = 1024;

/** The eight tables of slicing-by-8, 256 u32 each. */
export const CHECKSUM_TABLES: usize = 1 * KiB;

/** Slots of the page area. */
export const PAGE_SLOTS: usize = 64;
/** For each slot, what it holds: u64. */
export const PAGE_TAGS: usize = CHECKSUM_TABLES + 8 * KiB;
/** For each slot, when it was last used: u32. */
export const PAGE_STAMPS: usize = PAGE_TAGS + 512;

/** Four f64 that say what the extents are. */
export const EXTENTS_HEADER: usize = 10 * KiB;
/** Room for extents, four f64 each. */
export const EXTENTS: usize = EXTENTS_HEADER + 32;
/** Extents that the area can hold. */
export const EXTENTS_CAPACITY: u32 = 1024;

/** What a call of a scan of the BAT counted, f64 each. */
export const SCAN_COUNTS: usize = 44 * KiB;
/** Counts that the area can hold. */
export const SCAN_COUNTS_CAPACITY: usize = 128;

/** Words that the checksum of long inputs has eliminated: 502 of 16 bytes, a block of 24 KiB, and 505 more. */
export const CHECKSUM_HISTORY: usize = 64 * KiB;
/** The message that it makes ever shorter: up to 1,535 words of 16 bytes. */
export const CHECKSUM_RESIDUE: usize = CHECKSUM_HISTORY + 64 * KiB;

/** The host puts here the bytes of a synchronous checksum call. */
export const COPY_AREA: usize = CHECKSUM_RESIDUE + 64 * KiB;
/** Bytes of the copy area: enough that the end of a piece costs little, small enough for a second-level cache. */
export const COPY_BYTES: usize = 256 * KiB;

/** BAT and sector bitmap pages, side by side. */
export const PAGES: usize = COPY_AREA + COPY_BYTES;

/** Payload that the host reads in order to sum or scan it. */
export const BUFFERS: usize = PAGES + PAGE_SLOTS * PAGE_BYTES;
/** How many buffers there are. */
export const BUFFER_COUNT: usize = 8;
/** Bytes of one buffer. */
export const BUFFER_BYTES: usize = 1024 * KiB;

/** What a scan or a sum keeps between its calls. */
export const SCRATCH: usize = BUFFERS + BUFFER_COUNT * BUFFER_BYTES;
/** Bytes of the scratch area. */
export const SCRATCH_BYTES: usize = 512 * KiB;

/** The first address past everything. */
export const MEMORY_END: usize = SCRATCH + SCRATCH_BYTES;

/** The same, for the host to make sure that a module which it is handed has this map. */
export function memoryEnd(): usize {
  return MEMORY_END;
}
