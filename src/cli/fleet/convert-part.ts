import { createHash } from 'node:crypto';
import { type FileHandle, link, open, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { exportDisk, type Shard, shardRange, slice } from '../../index.js';
import { about, Failure, interruptible, isSystemError } from '../failure.js';
import type { ImageFlags } from '../image-options.js';
import { withProgress } from '../progress.js';
import { writeAll } from '../write-all.js';
import { findingsOf, identify, imageOf, withVhdx } from './checksum-part.js';
import { type ConvertPart, doPart, type Identity } from './part.js';

interface Flags extends ImageFlags {
  readonly to?: string;
  readonly outputFormat?: string;
  readonly salvage?: true;
  readonly force?: true;
}

/**
 * Writes one part of a disk into a raw file of full size, which all parts share. Only data is written: what the others
 * leave out reads as zeros, because the file was made for them. What it was made for is in a file beside it, `OUT.shards`,
 * until `combine` has seen all parts.
 */
export async function convertPart(file: string, out: string, shard: Shard, flags: Flags): Promise<void> {
  const { outputFormat = 'raw', salvage, force } = flags;
  if (out === '-' || file === '-' || salvage || force || outputFormat !== 'raw')
    throw new Failure('convert: --shard writes a VHDX into a raw file, without --salvage and --force');
  return doPart<ConvertPart>(
    file,
    { shard, to: flags.to },
    {
      part: 'convert',
      identify: () => identify(file, flags),
      work: () =>
        withVhdx(file, flags, async (disk) => {
          const range = await shardRange(disk, shard);
          const image = imageOf(disk);
          const target = await about(out, () => openShared(out, disk.size, purposeOf(image, shard.of)));
          try {
            const sink = {
              truncate: async () => {}, // it has the size of the whole disk
              write: (bytes: Uint8Array, offset: number) =>
                about(out, () => writeAll(target, bytes, range.offset + offset)),
            };
            await interruptible((signal) =>
              withProgress('convert', flags, (onProgress) =>
                exportDisk(slice(disk, range.offset, range.length), sink, { signal, onProgress }),
              ),
            );
            await about(out, () => target.datasync());
          } finally {
            await target.close();
          }
          return { image, range, output: out, findings: findingsOf(disk) };
        }),
    },
  );
}

/** The name of the file that says what a shared output is made for. */
export const purposeFile = (out: string): string => `${out}.shards`;

/** What a shared output is made for: one state of an image, in so many parts. */
function purposeOf(image: readonly Identity[], of: number): string {
  return `${createHash('sha256').update(JSON.stringify({ image, of })).digest('hex')}\n`;
}

/** Opens the output, or makes it if this is the first part; refuses a file that was not made for these parts. */
async function openShared(out: string, size: number, purpose: string): Promise<FileHandle> {
  const beside = purposeFile(out);
  const wasThere = await exists(out);
  if (await createWhole(beside, purpose)) {
    // Between the look and this another part may have made both: then the file beside would have been there.
    if (wasThere) {
      await unlink(beside);
      throw new Failure('exists already; remove it to write it in parts', { file: out });
    }
  } else if ((await readFile(beside, 'utf8')) !== purpose) {
    const reason = `is being written from another image, or in another number of parts; remove it and ${beside}`;
    throw new Failure(reason, { file: out });
  }
  const handle = await openOrCreate(out);
  try {
    if ((await handle.stat()).size < size) await handle.truncate(size);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  return open(path, 'r+').catch(async (error: unknown) => {
    if (!isSystemError(error) || error.code !== 'ENOENT') throw error;
    return open(path, 'wx+').catch((again: unknown) => {
      if (isSystemError(again) && again.code === 'EEXIST') return open(path, 'r+'); // another part was faster
      throw again;
    });
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (isSystemError(error) && error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** Creates a file with its text in one step; false if it is there already. */
async function createWhole(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, text);
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}
