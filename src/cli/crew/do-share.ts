import { closeSync, openSync, writeSync } from 'node:fs';
import {
  type CheckReport,
  checksumFile,
  checkVhdx,
  compareDisks,
  exportDisk,
  openDisk,
  openVhdx,
  type RandomAccessSource,
} from '../../index.js';
import { Claims, type SharedClaims } from './claims.js';
import { shareOf, sinkOf } from './share.js';
import type { CrewDisk, Task } from './tasks.js';

/** Does the share of one thread in a task, and returns what came of it. */
export async function doShare(
  task: Task,
  shared: SharedClaims,
  self: number,
  signal?: AbortSignal,
): Promise<number | CheckReport | undefined> {
  const claims = new Claims(shared, self);
  const watch = { signal, onProgress: claims.report.bind(claims) };
  switch (task.kind) {
    case 'checksum':
      return withShares([task.disk], claims, ([share]) =>
        checksumFile(share, { offset: task.offset, length: task.length, ...watch }),
      );
    case 'compare':
      return withShares(task.disks, claims, async ([a, b]) => {
        const found = await compareDisks(a, b, watch);
        if (found !== undefined) claims.endAt(found);
        return found;
      });
    case 'convert':
      return withShares([task.disk], claims, async ([share]) => {
        const file = openSync(task.out, 'r+');
        const sink = sinkOf(claims, async (bytes, offset) => writeAllSync(file, bytes, offset));
        await exportDisk(share, sink, watch).finally(() => closeSync(file));
        return undefined;
      });
    case 'check':
      return checkVhdx(task.file, { ...task.options, shard: { index: self, of: shared.threads }, ...watch });
  }
}

/** Opens the disks again, for this thread alone, and does something with this thread's shares of them. */
async function withShares<const Disks extends readonly CrewDisk[], T>(
  disks: Disks,
  claims: Claims,
  use: (shares: { [K in keyof Disks]: RandomAccessSource }) => Promise<T>,
): Promise<T> {
  const opened: Opened[] = [];
  try {
    for (const disk of disks) opened.push(await openAgain(disk));
    return await use(opened.map(({ source }) => shareOf(source, claims)) as { [K in keyof Disks]: RandomAccessSource });
  } finally {
    for (const { close } of opened) await close();
  }
}

interface Opened {
  readonly source: RandomAccessSource;
  close(): Promise<void>;
}

async function openAgain({ file, options, partition, size }: CrewDisk): Promise<Opened> {
  const wanted = { ...options, sync: true };
  // A VHDX by itself: what opens any format is loaded for the others.
  const vhdx = options.format === 'vhdx' ? await openVhdx(file, wanted) : undefined;
  const { source: whole, close } = vhdx ? { source: vhdx, close: () => vhdx.close() } : await openDisk(file, wanted);
  try {
    const { volumeOf } = partition === undefined ? {} : await import('../files/partition-of.js');
    const source = volumeOf ? await volumeOf(whole, file, partition) : whole;
    if (source.size !== size) throw new Error('the disk has another size now');
    return { source, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function writeAllSync(file: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, offset + done);
}
