import { type Shard, shardRange, type VhdxDisk } from '../../index.js';
import { checksumText } from '../checksum-lines.js';
import { Failure } from '../failure.js';
import { chainOf, type ImageFlags, openDisk } from '../image-options.js';
import { withProgress } from '../progress.js';
import { type ChecksumPart, doPart, type Identity, identityOf, plainFindings } from './part.js';

/** Where a part goes. */
interface PartFlags extends ImageFlags {
  readonly to?: string;
}

/** Does one part of the checksum of an image. */
export function checksumPart(file: string, shard: Shard, flags: PartFlags): Promise<void> {
  return doPart<ChecksumPart>(
    file,
    { shard, to: flags.to },
    {
      part: 'checksum',
      identify: () => identify(file, flags),
      work: () =>
        withVhdx(file, flags, async (disk) => {
          const range = await shardRange(disk, shard);
          const checksum = await withProgress('checksum', flags, (onProgress) =>
            disk.checksum({ ...range, onProgress }),
          );
          return { image: imageOf(disk), range, checksum: checksumText(checksum), findings: findingsOf(disk) };
        }),
    },
  );
}

/** What identifies the images that are open. */
export const imageOf = (disk: VhdxDisk): Identity[] => chainOf(disk).map(({ info }) => identityOf(info));

/** The findings of the images that are open. */
export const findingsOf = (disk: VhdxDisk): unknown[] =>
  chainOf(disk).flatMap(({ findings }) => plainFindings(findings));

/** What identifies an image and its parents now, as far as they are available. */
export function identify(file: string, flags: ImageFlags): Promise<Identity[]> {
  return withVhdx(file, flags, async (disk) => imageOf(disk), { incompleteChain: 'open' });
}

/** Opens a VHDX; other formats have nothing that says whether two parts are of the same state of it. */
export async function withVhdx<T>(
  file: string,
  flags: ImageFlags,
  work: (disk: VhdxDisk) => Promise<T>,
  more: Parameters<typeof openDisk>[3] = {},
): Promise<T> {
  const { vhdx, close } = await openDisk(file, flags, false, more);
  try {
    if (!vhdx) throw new Failure('--shard takes a VHDX; --offset and --length take parts of other disks', { file });
    return await work(vhdx);
  } finally {
    await close();
  }
}
