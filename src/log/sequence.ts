import type { LogRing } from './ring.js';

/**
 * The valid entries of a log, as numbers: a log of 4 GiB can hold a million of them. They never overlap, because each
 * sector of a valid entry says what it is; so each has at most one successor and one predecessor.
 */
interface Entries {
  /** Entry number by the log sector it begins at. */
  readonly at: Map<number, number>;
  readonly sector: number[];
  readonly length: number[];
  readonly tail: number[];
  readonly sequenceNumber: bigint[];
}

/** An active sequence: where the entries that must be replayed begin, in log sectors, oldest first. */
export interface LogSequence {
  readonly sectors: readonly number[];
}

async function findEntries(ring: LogRing, logGuid: string): Promise<Entries> {
  const entries: Entries = { at: new Map(), sector: [], length: [], tail: [], sequenceNumber: [] };
  for (let sector = 0; sector < ring.sectors; ) {
    const entry = (await ring.beginsEntry(sector)) ? await ring.readEntry(sector, logGuid) : undefined;
    if (entry) {
      entries.at.set(sector, entries.sector.length);
      entries.sector.push(sector);
      entries.length.push(entry.sectors);
      entries.tail.push(entry.tail);
      entries.sequenceNumber.push(entry.sequenceNumber);
    }
    sector += entry?.sectors ?? 1;
  }
  return entries;
}

/**
 * Finds the active sequence of a log ([MS-VHDX] 2.3.3): of all runs of valid entries with consecutive numbers whose
 * last entry's tail lies on an entry of the run, the one with the highest last number. What stands before the tail is
 * not part of it: payload is not logged, so an old entry may undo what was written after it was applied.
 * Undefined where there is none.
 */
export async function findActiveSequence(ring: LogRing, logGuid: string): Promise<LogSequence | undefined> {
  const entries = await findEntries(ring, logGuid);
  const count = entries.sector.length;
  const next = (i: number): number | undefined => {
    const after = ((entries.sector[i] as number) + (entries.length[i] as number)) % ring.sectors;
    const j = entries.at.get(after);
    return j !== undefined && entries.sequenceNumber[j] === (entries.sequenceNumber[i] as bigint) + 1n ? j : undefined;
  };
  const continued = new Set<number>();
  for (let i = 0; i < count; i++) {
    const j = next(i);
    if (j !== undefined) continued.add(j);
  }
  let best: { run: number[]; head: bigint } | undefined;
  for (let start = 0; start < count; start++) {
    if (continued.has(start)) continue;
    const run: number[] = [];
    for (let i: number | undefined = start; i !== undefined; i = next(i)) run.push(i);
    const last = run.at(-1) as number;
    const tail = run.findIndex((i) => entries.sector[i] === entries.tail[last]);
    const head = entries.sequenceNumber[last] as bigint;
    if (tail >= 0 && (best === undefined || head > best.head)) best = { run: run.slice(tail), head };
  }
  if (!best) return undefined;
  return { sectors: best.run.map((i) => entries.sector[i] as number) };
}

/** Log sectors that are looked at for old entries: as many as a log of 64 MiB has. */
const DEAD_SECTORS = 16_384;

/**
 * Counts what looks like log entries, whoever they belong to: what a dead log still holds. Of a very long log only the
 * first part is read, and `all` is false.
 */
export async function countEntries(ring: LogRing): Promise<{ readonly count: number; readonly all: boolean }> {
  const sectors = Math.min(ring.sectors, DEAD_SECTORS);
  let count = 0;
  for (let sector = 0; sector < sectors; sector++) {
    if (await ring.beginsEntry(sector)) count += 1;
  }
  return { count, all: sectors === ring.sectors };
}
