import type { EntryTable } from './entries.js';

/** An active sequence: consecutive entries of the table, going on at its start after its end. */
export interface LogSequence {
  /** The oldest entry that must be replayed: that of the tail. */
  readonly first: number;
  /** Number of entries. */
  readonly count: number;
  /** The newest entry. */
  readonly head: number;
}

/**
 * Finds the active sequence of a log ([MS-VHDX] 2.3.3): of all runs of adjacent valid entries with consecutive sequence
 * numbers whose last entry has its tail on an entry of the run, the one with the highest last number. Entries before
 * the tail are not part of it: payload is not logged, so an old entry may undo what was written after it was applied.
 * Undefined if there is none.
 */
export function findActiveSequence(entries: EntryTable, ringSectors: number): LogSequence | undefined {
  const { count, sector, length, tail, sequenceNumber } = entries;
  const after = (i: number) => (i + 1 < count ? i + 1 : 0);
  /** Whether the entry after `i` in the ring continues its run. */
  const continues = (i: number) => {
    const next = after(i);
    const end = ((sector[i] as number) + (length[i] as number)) % ringSectors;
    return end === sector[next] && sequenceNumber[next] === (sequenceNumber[i] as bigint) + 1n;
  };
  let best: LogSequence | undefined;
  for (let start = 0; start < count; start++) {
    if (continues(start === 0 ? count - 1 : start - 1)) continue; // in the middle of a run
    let head = start;
    let entriesInRun = 1;
    for (; continues(head); head = after(head)) entriesInRun += 1;
    if (best && (sequenceNumber[head] as bigint) <= (sequenceNumber[best.head] as bigint)) continue;
    for (let i = start, left = entriesInRun; left > 0; i = after(i), left--) {
      if (sector[i] !== tail[head]) continue;
      best = { first: i, count: left, head };
      break;
    }
  }
  return best;
}
