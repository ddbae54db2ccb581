import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import { copySparsely } from '../../disk/copy.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { VhdxError } from '../../errors.js';
import { randomGuid } from '../../format/guid.js';
import type { VhdxInput } from '../../io/open.js';
import { paddedSource } from '../../io/padded.js';
import type { OpenDisk } from '../../vhd/disk-format.js';
import { openDisk } from '../../vhd/open-disk.js';
import { isSameFile, pathOf, type VhdxTarget } from '../target.js';
import { BlockSink } from './block-sink.js';
import { ChildSink } from './child-sink.js';
import { copyDifferences } from './copy-differences.js';
import { newIdentity, refuseOwnParent } from './create-image.js';
import { copyForward, ForwardReader, isForward } from './forward.js';
import { layOut, type NewImage, type NewLayout } from './layout.js';
import { openNewFile, type WrittenFile } from './new-file.js';
import { type Identity, type StoredPayload, writeNewImage } from './new-image.js';
import { planCopy, sizeInSectors } from './plan-copy.js';
import { openParent, planImage } from './plan-image.js';
import type { ForwardInput, WriteVhdxOptions } from './write-options.js';

/** What `writeVhdx` does; specs say besides what the image is known by. */
export async function writeImage(
  source: VhdxInput | ForwardInput,
  target: VhdxTarget,
  options: WriteVhdxOptions,
  known: Partial<Identity> = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  const core = await loadCore();
  const identity = { ...newIdentity(), ...known };
  if (isForward(source)) return writeForward(core, source, target, options, identity);
  const { format, sourceOptions, signal } = options;
  const opened = await openDisk(source, { ...sourceOptions, format, signal });
  try {
    const parent = await openParent(options);
    try {
      const image = await planCopy(opened, target, options, parent);
      refuseOwnFiles(source, opened, target);
      if (parent) refuseOwnParent(target, options.parent, parent);
      await intoNewFile(target, options, async (file) => {
        const layout = layOut(image);
        const payload = await storeContent(core, { file, image, layout }, opened, parent, options);
        await writeNewImage(core, file, { image, layout, payload }, identity, () => signal?.throwIfAborted());
      });
    } finally {
      await parent?.close();
    }
  } finally {
    await opened.close();
  }
}

interface Place {
  readonly file: WrittenFile;
  readonly image: NewImage;
  readonly layout: NewLayout;
}

/** Writes the payload: what is not zero, or what is not the parent's. */
async function storeContent(
  core: Core,
  { file, image, layout: { geometry, payloadOffset } }: Place,
  { source }: OpenDisk,
  parent: VhdxDisk | undefined,
  options: WriteVhdxOptions,
): Promise<StoredPayload> {
  const { virtualSize, logicalSectorSize: sectorSize } = image.metadata;
  const disk = paddedSource(source, virtualSize);
  if (parent) {
    const sink = new ChildSink(core, file, geometry, payloadOffset);
    const padded = paddedSource(parent, Math.ceil(parent.size / sectorSize) * sectorSize);
    await copyDifferences(core, disk, padded, sink, { ...options, sectorSize });
    return sink.finish();
  }
  const isFixed = image.metadata.leaveBlocksAllocated;
  const sink = new BlockSink(file, { ...geometry, payloadOffset, isFixed });
  await copySparsely(core, disk, sink, options);
  return sink.payload;
}

/**
 * Writes the image of a disk that comes once, from its first byte to its last. Its size is known only then, so the BAT is
 * placed after the payload, and the metadata is written where it was left room.
 */
async function writeForward(
  core: Core,
  source: ForwardInput,
  target: VhdxTarget,
  options: WriteVhdxOptions,
  identity: Identity,
): Promise<void> {
  const { signal, logicalSectorSize = 512, format } = options;
  if (options.parent !== undefined) {
    throw new RangeError('a stream cannot be compared with a parent: write it to a file first');
  }
  if (format !== undefined && format !== 'raw') throw new RangeError(`a stream is read as raw, not as ${format}`);
  const wanted = { ...options, id: options.id ?? randomGuid(), onProgress: undefined };
  const plan = (size: number): Promise<NewImage> => planImage(target, { ...wanted, size }, undefined);
  // Where the payload begins does not depend on the size.
  const provisional = await plan(logicalSectorSize);
  const { geometry, payloadOffset } = layOut(provisional, 0);
  const reader = new ForwardReader(source, signal);
  try {
    if (format === undefined) await reader.refuseImages();
    await intoNewFile(target, options, async (file) => {
      const isFixed = provisional.metadata.leaveBlocksAllocated;
      const sink = new BlockSink(file, { ...geometry, payloadOffset, isFixed });
      const size = await copyForward(core, reader, sink, options);
      const image = await plan(sizeInSectors(size, logicalSectorSize, options));
      const { payload } = sink;
      const blocks = Math.ceil(image.metadata.virtualSize / geometry.blockSize);
      const layout = layOut(image, isFixed ? payloadOffset + blocks * geometry.blockSize : payload.end);
      await writeNewImage(core, file, { image, layout, payload }, identity, () => signal?.throwIfAborted());
    });
  } finally {
    await reader.close();
  }
}

/** Does work on a new file, of which nothing is left if it fails. */
async function intoNewFile(
  target: VhdxTarget,
  { overwrite = false, onWarning }: WriteVhdxOptions,
  work: (file: WrittenFile) => Promise<void>,
): Promise<void> {
  const { file, finish, abandon } = await openNewFile(target, { overwrite, onWarning });
  try {
    await work(file);
  } catch (error) {
    await abandon().catch(() => {}); // the first error is the one to report
    throw error;
  }
  await finish();
}

/** What is read must not be written over. */
function refuseOwnFiles(input: VhdxInput, { source, vhdx, vhd }: OpenDisk, target: VhdxTarget): void {
  const path = pathOf(target);
  const paths = [source.path];
  for (let member = (vhdx ?? vhd)?.parent; member; member = member.parent) paths.push(member.path);
  const isOwn = paths.some((own) => own !== undefined && path !== undefined && isSameFile(own, path));
  if (!isOwn && input !== target) return;
  const message = 'is the image that is being read, or one of its parents';
  throw new VhdxError('exists', message, { file: path });
}
