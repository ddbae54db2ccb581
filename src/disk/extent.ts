import type { Extent } from '../io/random-access.js';

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
