import type { RuleCode } from '../rules.js';

/** A range of a virtual disk and where its bytes are. Offsets and lengths in bytes. */
export interface Extent {
  /** First byte, on the virtual disk. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly length: number;
  /**
   * What is there.
   *
   * - `data`: the bytes stand in a file;
   * - `zero`: zeros, because the image says so;
   * - `unmapped`: zeros, because nothing was ever stored there or it was given back;
   * - `damaged`: nobody can say; a read of it rejects with the same `code`.
   */
  readonly kind: 'data' | 'zero' | 'unmapped' | 'damaged';
  /** Which member of the chain it comes from: 0 for the disk itself, 1 for its parent, and so on. */
  readonly depth: number;
  /** Of `data`: where its first byte lies in the file of that member. */
  readonly fileOffset?: number;
  /** Of `damaged`: which rule is broken. */
  readonly code?: RuleCode;
}

/** Appends an extent, or lengthens the last one where this one continues it. */
export function pushExtent(out: Extent[], extent: Extent): void {
  const last = out.at(-1);
  if (last && continues(last, extent)) out[out.length - 1] = { ...last, length: last.length + extent.length };
  else out.push(extent);
}

/** Whether `next` continues `last`, in the file too if it has data there. */
function continues(last: Extent, next: Extent): boolean {
  return (
    last.kind === next.kind &&
    last.depth === next.depth &&
    last.code === next.code &&
    last.offset + last.length === next.offset &&
    (last.fileOffset === undefined || last.fileOffset + last.length === next.fileOffset)
  );
}
