import type { ReplayPlan } from './plan.js';

/** A part of a file after replay. In bytes. */
export interface FilePart {
  readonly offset: number;
  readonly length: number;
  /** Whether there are bytes of it in the file; otherwise replay only made the file longer, and it reads as zeros. */
  readonly isStored: boolean;
}

/**
 * Splits a range of a file after replay into parts that are stored in the file and parts that are not: past the end
 * that the file has now, only sectors of data in the log are.
 */
export function* storedParts(
  { changes, summary }: ReplayPlan,
  offset: number,
  length: number,
): Generator<FilePart, void> {
  const end = offset + length;
  const stored = Math.min(end, Math.max(offset, summary.fileSizeBefore));
  if (stored > offset) yield { offset, length: stored - offset, isStored: true };
  let at = stored;
  for (let i = changes.firstAfter(at); at < end && i < changes.count && changes.offset(i) < end; i++) {
    if (changes.dataOffset(i) === undefined) continue;
    const from = Math.max(at, changes.offset(i));
    const to = Math.min(end, changes.end(i));
    if (from > at) yield { offset: at, length: from - at, isStored: false };
    yield { offset: from, length: to - from, isStored: true };
    at = to;
  }
  if (at < end) yield { offset: at, length: end - at, isStored: false };
}
