/**
 * The numbers that the core and its host both know. The build writes them into src/core/core-numbers.generated.ts, so
 * that neither side spells one of them by hand; on the host's side only src/core/bat-calls.ts and the page cache use them.
 */

/** Kinds of extents from 0 to 7: the payload block states of [MS-VHDX] 2.5.1.1. */
export const NOT_PRESENT: u32 = 0;
export const UNDEFINED: u32 = 1;
export const ZERO: u32 = 2;
export const UNMAPPED: u32 = 3;
export const RESERVED: u32 = 4;
/** What the 0.95 draft of the format meant by unmapped. */
export const DRAFT_UNMAPPED: u32 = 5;
export const FULLY_PRESENT: u32 = 6;
export const PARTIALLY_PRESENT: u32 = 7;

/** Kinds from 8 on: why an extent cannot be read. */
export const RESERVED_STATE: u32 = 8;
export const PARTIAL_WITHOUT_PARENT: u32 = 9;
export const OFFSET_MISSING: u32 = 10;
export const OFFSET_RANGE: u32 = 11;
export const PAST_END: u32 = 12;
/** The host finds this one: it knows where the log and the regions are. */
export const OVERLAPS_STRUCTURE: u32 = 13;
export const BITMAP_STATE: u32 = 14;
export const BITMAP_MISSING: u32 = 15;

/** A payload block, or a sector bitmap block that is needed, shares its place with another block. Only a scan knows. */
export const SHARED_PLACE: u32 = 16;
export const SHARED_BITMAP: u32 = 17;

/** Problems that only a scan looks for, beside the kinds from 8 on. */
export const RESERVED_BITS: u32 = 18;
export const DRAFT_STATE: u32 = 19;
export const BITMAP_UNEXPECTED: u32 = 20;
/** A sector bitmap block in a bad state, or in a shared place, that no partially present block needs. */
export const UNUSED_BITMAP_STATE: u32 = 21;
export const UNUSED_BITMAP_SHARED: u32 = 22;
/** An undefined or unmapped block keeps a place that another block or structure has, or that the file does not have. */
export const ANCHOR_SHARED: u32 = 23;
export const ANCHOR_PAST_END: u32 = 24;
/** The first number that is no problem. */
export const PROBLEMS: u32 = 25;

/** What a pass of a scan does: checks entries and marks their places; lists those in shared places; looks at anchors. */
export const PASS_MARK: u32 = 0;
export const PASS_SHARED: u32 = 1;
export const PASS_ANCHORS: u32 = 2;

/** The header before the extents, by f64: how far the call came, the page that it lacks or -1, and a result. */
export const HEADER_REACHED: u32 = 0;
export const HEADER_MISSING: u32 = 1;
export const HEADER_RESULT: u32 = 2;

/** An extent, by f64: virtual offset, length, kind, file offset. */
export const EXTENT_OFFSET: u32 = 0;
export const EXTENT_LENGTH: u32 = 1;
export const EXTENT_KIND: u32 = 2;
export const EXTENT_FILE_OFFSET: u32 = 3;
export const EXTENT_FIELDS: u32 = 4;

/** A problem, by f64, in the place of an extent: number of the BAT entry, what is wrong, state, file offset. */
export const PROBLEM_ENTRY: u32 = 0;
export const PROBLEM_KIND: u32 = 1;
export const PROBLEM_STATE: u32 = 2;
export const PROBLEM_FILE_OFFSET: u32 = 3;

/** The counts of a call, by f64: 0 to 7 payload blocks by state, then these, then the problems by kind. */
export const COUNT_BITMAPS: u32 = 8;
/** Undefined and unmapped blocks that keep a place. */
export const COUNT_ANCHORS: u32 = 9;
/** Payload blocks that cannot be read, or not all of them. */
export const COUNT_BAD: u32 = 10;
/** MiB that payload blocks are the first to mark. */
export const COUNT_STORED: u32 = 11;
/** Entries that refer to a place in the file. */
export const COUNT_PLACED: u32 = 12;
/** Whether any place was marked twice. */
export const COUNT_SHARED: u32 = 13;
/** File offset of the first payload block. */
export const LOWEST_BLOCK: u32 = 14;
/** Lowest file offset of what ends after the map. */
export const NEXT_PLACE: u32 = 15;
export const COUNT_PROBLEMS: u32 = 16;

/** The sums of a bin of `addUsage`, by f64. */
export const USAGE_DATA: u32 = 0;
export const USAGE_ZERO: u32 = 1;
export const USAGE_UNMAPPED: u32 = 2;
export const USAGE_PARENT: u32 = 3;
export const USAGE_PARTIAL: u32 = 4;
export const USAGE_DAMAGED: u32 = 5;
export const USAGE_CLASSES: u32 = 6;

/** Bytes of a page of the BAT or of a sector bitmap block. */
export const PAGE_BYTES: u32 = 0x10000;
/** Set in the number of a page that holds sector bitmap bits. */
export const BITMAP_PAGE: u32 = 0x80000000;
