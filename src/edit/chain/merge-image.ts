import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { openVhdx } from '../../disk/open.js';
import type { OpenOptions } from '../../disk/open-options.js';
import { VhdxError } from '../../errors.js';
import { ZERO_GUID } from '../../format/guid.js';
import { encodeSectorSize, encodeVirtualDiskId } from '../../format/metadata.js';
import { encodeParentLocator } from '../../format/parent-locator.js';
import type { CompleteExamination } from '../../image/examination.js';
import type { RandomAccessFile, RandomAccessSource } from '../../io/random-access.js';
import { randomIdentity, type WriterIdentity } from '../../log/journal.js';
import { inheritedItems } from '../create/child.js';
import { changeItems, type ItemChange, itemChange } from '../metadata-writer.js';
import { readOnly } from '../open-session.js';
import { resizeImage } from '../resize/resize-image.js';
import { lookAt, openTarget, type VhdxTarget, workOn } from '../target.js';
import { warnOfOverrides } from '../warn-of-overrides.js';
import { editFile } from '../writable/edit-image.js';
import type { WritableVhdxDisk } from '../writable/writable-disk.js';
import { applyChanges } from './apply-changes.js';
import { HandedOverFiles } from './handed-over-files.js';
import type { MergeOptions, MergeReport } from './merge-options.js';
import { changesAbove, type MergePlan, planMerge, refuseToBreak } from './merge-plan.js';
import { mergeToNew } from './merge-to-new.js';
import { type Relink, relink } from './relink.js';

/** What `mergeVhdx` does; specs say besides where new GUIDs come from. */
export async function mergeImage(
  child: VhdxTarget,
  options: MergeOptions,
  identity: WriterIdentity = randomIdentity,
): Promise<MergeReport> {
  options.signal?.throwIfAborted();
  const core = await loadCore();
  const files = new HandedOverFiles(core);
  if (options.base !== undefined && options.into !== undefined)
    throw new RangeError('base and into exclude each other');
  const opening: MergeOptions = { ...options, parent: files.follow(options.parent) };
  if (options.into !== undefined) return mergeToNew(child, options.into, options);
  if (options.dryRun) return lookAt(child, async (source) => reportOf(await planOf(core, source, files, opening)));
  return workOn(await openTarget(child, { durable: true, onWarning: options.onWarning }), (file) =>
    mergeFile({ core, file, files, options: opening, identity }),
  );
}

/** Opens the chain for reading, plans the merge and closes the chain. */
async function planOf(
  core: Core,
  child: RandomAccessSource,
  files: HandedOverFiles,
  options: MergeOptions,
): Promise<MergePlan> {
  const disk = await openVhdx(child, openingOf(options));
  warnOfOverrides(disk, options);
  try {
    return await planMerge(core, disk, files, options);
  } finally {
    await disk.close();
  }
}

const openingOf = ({ parent, followParents, ignoreParentMismatch, http, signal }: MergeOptions): OpenOptions => ({
  parent,
  followParents,
  ignoreParentMismatch,
  http,
  signal,
});

const reportOf = ({ members: _, depth: __, ...report }: MergePlan): MergeReport => report;

interface Merge {
  readonly core: Core;
  /** The child. */
  readonly file: RandomAccessFile;
  readonly files: HandedOverFiles;
  readonly options: MergeOptions;
  readonly identity: WriterIdentity;
}

/**
 * Merges in an order that may be cut off anywhere. From its first write on the base carries a DataWriteGuid that the
 * image above it names already, so that the chain opens at every moment, and the members above hide what is half
 * copied: the child reads the same all the time, and the merge can be run again ([MS-VHDX] 2.6.2.6.3, note 12).
 */
async function mergeFile(merge: Merge): Promise<MergeReport> {
  const { core, file, files, options } = merge;
  const plan = await planOf(core, readOnly(file), files, options);
  refuseToBreak(plan, options);
  const base = await files.open(plan.members[plan.depth] as VhdxDisk, options);
  await workOn(base, (baseFile) => mergeInto(merge, plan, baseFile));
  return reportOf(plan);
}

async function mergeInto(merge: Merge, plan: MergePlan, baseFile: RandomAccessFile): Promise<void> {
  const { core, options, identity } = merge;
  const { signal } = options;
  const { sizeBefore, sizeAfter } = plan;
  const future = identity.guid();
  const edit = (dataWriteGuid: string) =>
    editFile(core, baseFile, async () => undefined, {
      ...openingOf(options),
      dataWriteGuid,
      identity,
      keepTables: true,
    });

  let base = await edit(future);
  try {
    checkUnchanged(base, plan.members[plan.depth] as VhdxDisk);
    await announce(merge, plan, base.info.header.dataWriteGuid, future);
    if (sizeAfter > sizeBefore) {
      await base.close(); // nothing was written: an open disk does not change its size
      await resizeImage(baseFile, sizeAfter, { signal, dataWriteGuid: future }, identity);
      base = await edit('keep');
    }
    await copyInto(base, merge, plan);
  } catch (error) {
    await base.close().catch(() => undefined); // the first error is the one to report
    throw error;
  }
  await base.close();
  if (sizeAfter < sizeBefore) {
    await resizeImage(baseFile, sizeAfter, { shrink: true, dataWriteGuid: 'keep' }, identity);
  }
}

async function copyInto(base: WritableVhdxDisk, { core, file, options }: Merge, plan: MergePlan): Promise<void> {
  // Opened again, because what was written to it since must be seen.
  const child = await openVhdx(readOnly(file), openingOf(options));
  try {
    const total = plan.copied + plan.zeroed;
    await applyChanges(core, child, base, changesAbove(child, plan.depth, options), { ...options, total });
    await takeIdentity(base, child, options);
  } finally {
    await child.close();
  }
}

function checkUnchanged(base: VhdxDisk, planned: VhdxDisk): void {
  if (base.info.header.dataWriteGuid === planned.info.header.dataWriteGuid) return;
  throw new VhdxError('source-changed', 'another program wrote to it meanwhile', {
    file: planned.path ?? planned.name,
  });
}

/**
 * Lets the image above the base name two DataWriteGuids: the one that the base has, and the one that it gets. The base
 * has another than when that image was made if a merge was cut off before.
 */
async function announce(merge: Merge, { members, depth }: MergePlan, present: string, future: string): Promise<void> {
  const { core, file, files, options, identity } = merge;
  const plan = ({ metadata: { parentLocator } }: CompleteExamination): Relink => {
    const linkage = present === ZERO_GUID ? {} : { parent_linkage: `{${present}}` };
    const entries = { ...parentLocator?.entries, ...linkage, parent_linkage2: `{${future}}` };
    return { locator: encodeParentLocator(Object.entries(entries)), visible: false };
  };
  const relinkFile = (above: RandomAccessFile) => relink(core, above, plan, options, identity);
  if (depth === 1) return relinkFile(file);
  await workOn(await files.open(members[depth - 1] as VhdxDisk, options), relinkFile);
}

/** Makes the base the disk that the child was: its metadata that describe the disk ([MS-VHDX] 2.6.1.2). */
async function takeIdentity(base: WritableVhdxDisk, child: VhdxDisk, { signal }: MergeOptions): Promise<void> {
  const changes: ItemChange[] = [];
  if (child.id !== undefined && child.id !== base.id) {
    changes.push(itemChange('Virtual Disk ID', encodeVirtualDiskId(child.id)));
  }
  if (child.physicalSectorSize !== base.physicalSectorSize) {
    changes.push(itemChange('Physical Sector Size', encodeSectorSize(child.physicalSectorSize)));
  }
  const items = await inheritedItems(child, signal);
  for (const item of await inheritedItems(base, signal)) {
    if (!items.some(({ itemId }) => itemId === item.itemId)) changes.push({ ...item, bytes: undefined });
  }
  changes.push(...items);
  if (changes.length > 0) await changeItems(base.session, base.member.image.examination, changes, true);
}
