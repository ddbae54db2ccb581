import { checkShard, type Shard } from '../base/options.js';
import type { Usage, UsageOptions } from '../disk/usage.js';

/** Bins that a range is cut into to find out where its data is. */
const SHARD_BINS = 4096;

/** A disk that says where its data is. */
export interface MeasuredDisk {
  readonly size: number;
  readonly blockSize: number;
  readonly parent?: MeasuredDisk | undefined;
  usage(options: UsageOptions): Promise<Usage>;
}

/** What `shardRange` does. */
export async function rangeOfShard(
  disk: MeasuredDisk,
  { index, of }: Shard,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly offset: number; readonly length: number }> {
  checkShard({ index, of });
  const { size, blockSize } = disk;
  const bins = await dataOf(disk, 0, size, signal);
  const total = sum(bins.data);
  const border = async (part: number): Promise<number> => {
    if (part === 0 || part === of) return part === 0 ? 0 : size;
    const share = part / of;
    const place = total > 0 ? await placeOf(disk, total * share, bins, signal) : size * share;
    return Math.floor(place / blockSize) * blockSize;
  };
  const offset = await border(index);
  return { offset, length: (await border(index + 1)) - offset };
}

/** How many bytes of data there are in each of some bins of equal width, which begin at an offset. */
interface DataBins {
  readonly offset: number;
  readonly binBytes: number;
  readonly data: Float64Array;
}

const sum = (values: Float64Array): number => values.reduce((all, value) => all + value, 0);

/** The first block that would make more than `wanted` bytes of data, by its offset. */
async function placeOf(
  disk: MeasuredDisk,
  wanted: number,
  { offset, binBytes, data }: DataBins,
  signal: AbortSignal | undefined,
): Promise<number> {
  let before = 0;
  let bin = 0;
  while (bin + 1 < data.length && before + (data[bin] ?? 0) <= wanted) before += data[bin++] ?? 0;
  const start = offset + bin * binBytes;
  if (binBytes <= disk.blockSize) return start;
  const inside = await dataOf(disk, start, Math.min(binBytes, disk.size - start), signal);
  return placeOf(disk, wanted - before, inside, signal);
}

/** How much data a range of a disk has, in its own file or in those of its parents. */
async function dataOf(
  disk: MeasuredDisk,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<DataBins> {
  const binBytes = Math.max(disk.blockSize, Math.ceil(length / SHARD_BINS));
  const usage = await disk.usage({ offset, length, bins: Math.ceil(length / binBytes), signal });
  const { parent } = disk;
  const shared = parent ? Math.max(0, Math.min(length, parent.size - offset)) : 0;
  const below = parent && shared > 0 ? await dataOf(parent, offset, shared, signal) : undefined;
  const data = usage.data.map((bytes, bin) => {
    // A bin of the parent has another width if its blocks have.
    const inherited = below?.data[Math.floor((bin * usage.binBytes) / below.binBytes)] ?? 0;
    return bytes + (usage.partial[bin] ?? 0) + Math.min(usage.parent[bin] ?? 0, inherited);
  });
  return { offset, binBytes: usage.binBytes, data };
}
