import type { Shard } from '../base/options.js';
import type { CheckReport } from '../disk/check.js';
import type { VhdxDisk } from '../disk/disk.js';

/**
 * The range of a disk that is one part of several, for work that costs what the data costs: all parts have about as much
 * data, that in parents too, and begin at the borders of blocks. Together they are the disk, without gaps. It is the
 * same wherever it is computed, and empty if there are more parts than blocks with data.
 *
 * @returns offset and length in bytes
 * @throws RangeError if there is no such part
 */
export async function shardRange(
  disk: VhdxDisk,
  shard: Shard,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly offset: number; readonly length: number }> {
  const { rangeOfShard } = await import('./shard-range.js'); // few do work in parts
  return rangeOfShard(disk, shard, options);
}

/**
 * Makes one report of those of all parts of a check, in any order: what the check of the whole would have found, but
 * that of a code with more than 1,000 findings those of the lowest BAT entries are listed. A part that is there twice
 * must be the same.
 *
 * @throws RangeError if parts are missing, differ in their number or their image, or contradict one another
 */
export async function combineChecks(parts: readonly CheckReport[]): Promise<CheckReport> {
  const { combineReports } = await import('./combine-reports.js');
  return combineReports(parts);
}
