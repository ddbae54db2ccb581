import { PAGE_SIZE } from '../image/page-layer.js';

/** Bytes that change in place, wherever they are; they may cross the border of two pages. */
export interface Patch {
  /** File offset. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The pages that patches change, by their file offsets. */
export function pagesOf(patches: readonly Patch[]): Set<number> {
  const pages = new Set<number>();
  for (const { offset, bytes } of patches) {
    for (let at = offset - (offset % PAGE_SIZE); at < offset + bytes.length; at += PAGE_SIZE) pages.add(at);
  }
  return pages;
}

/** Changes pages as patches say. */
export function patchPages(patches: readonly Patch[], bytesOf: (page: number) => Uint8Array): void {
  for (const { offset, bytes } of patches) {
    for (let at = offset; at < offset + bytes.length; ) {
      const within = at % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - within, offset + bytes.length - at);
      bytesOf(at - within).set(bytes.subarray(at - offset, at - offset + length), within);
      at += length;
    }
  }
}
