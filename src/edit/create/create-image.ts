import { VERSION } from '../../base/version.js';
import { loadCore } from '../../core/load.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { VhdxError } from '../../errors.js';
import { randomGuid } from '../../format/guid.js';
import { isSameFile, pathOf, type VhdxTarget } from '../target.js';
import type { CreateOptions } from './create-options.js';
import { layOut } from './layout.js';
import { openNewFile } from './new-file.js';
import { type Identity, writeNewImage } from './new-image.js';
import { openParent, planImage } from './plan-image.js';
import { StoredEntries } from './stored-entries.js';

/** The program that creates images, as they name it. */
export const CREATOR = `vhdx ${VERSION}`;

/** What an image of today is known by. */
export function newIdentity(): Identity {
  return { fileWriteGuid: randomGuid(), dataWriteGuid: randomGuid(), creator: CREATOR, sequenceNumber: 1n };
}

/** What `createVhdx` does; specs say besides what the image is known by. */
export async function createImage(
  target: VhdxTarget,
  options: CreateOptions,
  known: Partial<Identity> = {},
): Promise<void> {
  const { signal, onProgress, onWarning, overwrite = false } = options;
  signal?.throwIfAborted();
  const core = await loadCore();
  const parent = await openParent(options);
  try {
    const image = await planImage(target, options, parent);
    if (parent) refuseOwnParent(target, options.parent, parent);
    const layout = layOut(image);
    const payload = { entries: new StoredEntries(), end: layout.payloadOffset };
    const { file, finish, abandon } = await openNewFile(target, { overwrite, onWarning });
    const total = layout.geometry.batEntries;
    try {
      await writeNewImage(core, file, { image, layout, payload }, { ...newIdentity(), ...known }, (done) => {
        signal?.throwIfAborted();
        onProgress?.({ done, total });
      });
    } catch (error) {
      await abandon().catch(() => {}); // the first error is the one to report
      throw error;
    }
    await finish();
  } finally {
    await parent?.close();
  }
}

/** A child must not be written over an image that it needs. */
export function refuseOwnParent(target: VhdxTarget, input: unknown, parent: VhdxDisk): void {
  const path = pathOf(target);
  const message = 'is the parent of the new image, or one of its parents';
  if (input === target) throw new VhdxError('parent-cycle', message, { file: path ?? parent.name ?? 'the file' });
  for (let member: VhdxDisk | undefined = parent; member; member = member.parent) {
    if (path === undefined || member.path === undefined || !isSameFile(path, member.path)) continue;
    throw new VhdxError('parent-cycle', message, { file: path });
  }
}
