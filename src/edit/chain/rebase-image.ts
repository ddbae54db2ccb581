import type { Core } from '../../core/instance.js';
import { loadCore } from '../../core/load.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { openVhdx } from '../../disk/open.js';
import type { OpenOptions } from '../../disk/open-options.js';
import { IGNORE_MISMATCH } from '../../disk/parents/errors.js';
import { VhdxError } from '../../errors.js';
import type { CompleteExamination } from '../../image/examination.js';
import { examine } from '../../image/examine.js';
import type { VhdxInput } from '../../io/open.js';
import type { RandomAccessFile, RandomAccessSource } from '../../io/random-access.js';
import { randomIdentity, type WriterIdentity } from '../../log/journal.js';
import { childrenOf } from '../children-of.js';
import { checkParent, locatorOf } from '../create/child.js';
import { changeItems, itemChange } from '../metadata-writer.js';
import { lookAt, openTarget, type VhdxTarget, workOn } from '../target.js';
import { warnOfOverrides } from '../warn-of-overrides.js';
import { editFile } from '../writable/edit-image.js';
import { applyChanges, type RangeChange } from './apply-changes.js';
import { detach } from './detach.js';
import { changesThatKeep, differences, fallThrough } from './fall-through.js';
import { refuseParent } from './new-parent.js';
import type { RebaseOptions, RebaseReport } from './rebase-options.js';
import { type Relink, relink } from './relink.js';

/** What `rebaseVhdx` does; specs say besides where new GUIDs come from. */
export async function rebaseImage(
  child: VhdxTarget,
  parent: VhdxInput | undefined,
  options: RebaseOptions,
  identity: WriterIdentity = randomIdentity,
): Promise<RebaseReport> {
  const { signal, unsafe, dryRun, onWarning } = options;
  signal?.throwIfAborted();
  if (unsafe && parent === undefined) {
    throw new RangeError('an image without a parent must hold all of its bytes: they have to be copied');
  }
  const core = await loadCore();
  const newParent = parent === undefined ? undefined : await openNewParent(parent, options);
  const rebase = { core, newParent, options, identity };
  try {
    if (dryRun) return await lookAt(child, (source) => look(rebase, source));
    return await workOn(await openTarget(child, { durable: true, onWarning }), (file) =>
      newParent && unsafe ? relinkOnly(rebase, newParent, file) : rebaseFile(rebase, file),
    );
  } finally {
    await newParent?.close();
  }
}

interface Rebase {
  readonly core: Core;
  /** Open for reading; undefined if the image is to have none. */
  readonly newParent: VhdxDisk | undefined;
  readonly options: RebaseOptions;
  readonly identity: WriterIdentity;
}

const openingOf = ({ parent, followParents, ignoreParentMismatch, http, signal }: RebaseOptions): OpenOptions => ({
  parent,
  followParents,
  ignoreParentMismatch,
  http,
  signal,
});

async function openNewParent(parent: VhdxInput, options: RebaseOptions): Promise<VhdxDisk> {
  const { parentOptions = openingOf(options), signal } = options;
  const disk = await openVhdx(parent, { ...parentOptions, signal });
  try {
    await checkParent(disk, signal);
    return disk;
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** Says what would be done. */
async function look(rebase: Rebase, child: RandomAccessSource): Promise<RebaseReport> {
  const { newParent, options } = rebase;
  const { unsafe } = options;
  const disk = await openVhdx(child, { ...openingOf(options), ...(unsafe && { parent: false }) });
  warnOfOverrides(disk, options);
  try {
    if (newParent && unsafe) {
      const { visible } = planRelink(rebase, newParent, disk.member.image.examination, disk.path);
      return await reportOf(rebase, disk.member.image.examination, disk.path, { mayDiffer: visible });
    }
    checkDisk(rebase, disk);
    if (newParent) locatorOf(newParent, disk.path, options.parentPath);
    const counts = await count(changesOf(rebase, disk, options));
    return await reportOf(rebase, disk.member.image.examination, disk.path, counts);
  } finally {
    await disk.close();
  }
}

/** What has to be stored in the image, because it reads differently with the new parent or there is none any more. */
function changesOf(
  { core, newParent }: Rebase,
  disk: VhdxDisk,
  options: Pick<RebaseOptions, 'signal' | 'onProgress'>,
): AsyncGenerator<RangeChange> {
  const ranges = newParent ? differences(core, disk, newParent, options) : fallThrough(disk, options);
  return changesThatKeep(disk, ranges, options);
}

async function count(changes: AsyncIterable<RangeChange>): Promise<{ copied: number; zeroed: number }> {
  let [copied, zeroed] = [0, 0];
  for await (const { length, zeros } of changes) {
    if (zeros) zeroed += length;
    else copied += length;
  }
  return { copied, zeroed };
}

function checkDisk({ newParent }: Rebase, disk: VhdxDisk): void {
  if (disk.type !== 'differencing') throw noChild();
  if (newParent) refuseParent(newParent, disk.member.image.examination, disk.path);
}

const noChild = () =>
  new VhdxError('unsupported-input', 'the image has no parent: only a differencing image is rebased');

/**
 * Copies what would read differently, as ordinary writes, and then changes in one step what the image says about its
 * parent. The disk reads the same at every moment, so that its DataWriteGuid stays and its children still fit.
 */
async function rebaseFile(rebase: Rebase, file: RandomAccessFile): Promise<RebaseReport> {
  const { core, newParent, options, identity } = rebase;
  const { signal } = options;
  const disk = await editFile(core, file, async () => undefined, {
    ...openingOf(options),
    dataWriteGuid: 'keep',
    identity,
    keepTables: true,
  });
  warnOfOverrides(disk, options);
  const { examination } = disk.member.image;
  let counts = { copied: 0, zeroed: 0 };
  try {
    checkDisk(rebase, disk);
    const locator = newParent && locatorOf(newParent, disk.path, options.parentPath);
    const counted = counting(changesOf(rebase, disk, options), (now) => {
      counts = now;
    });
    await applyChanges(core, disk, disk, counted, { signal });
    if (newParent) await checkUnchanged(core, newParent);
    if (locator) await changeItems(disk.session, examination, [itemChange('Parent Locator', locator)], true);
    else await detach(disk, { signal });
  } catch (error) {
    await disk.close().catch(() => undefined); // the first error is the one to report
    throw error;
  }
  await disk.close();
  return reportOf(rebase, examination, disk.path, counts);
}

async function* counting(
  changes: AsyncIterable<RangeChange>,
  onCount: (counts: { copied: number; zeroed: number }) => void,
): AsyncGenerator<RangeChange> {
  let [copied, zeroed] = [0, 0];
  for await (const change of changes) {
    if (change.zeros) zeroed += change.length;
    else copied += change.length;
    onCount({ copied, zeroed });
    yield change;
  }
}

/** Rejects if the new parent was written since it was opened: it was compared as it was. */
async function checkUnchanged(core: Core, { member, info, name, path }: VhdxDisk): Promise<void> {
  const { header } = await examine(core, member.image.source, 'memory');
  if (header?.dataWriteGuid === info.header.dataWriteGuid) return;
  throw new VhdxError('source-changed', 'was written to while it was compared', { file: path ?? name });
}

/** Only changes what the image says about its parent. */
async function relinkOnly(rebase: Rebase, newParent: VhdxDisk, file: RandomAccessFile): Promise<RebaseReport> {
  const { core, options, identity } = rebase;
  let report: RebaseReport | undefined;
  const plan = async (examination: CompleteExamination) => {
    const change = planRelink(rebase, newParent, examination, file.path);
    report = await reportOf(rebase, examination, file.path, { mayDiffer: change.visible });
    return change;
  };
  await relink(core, file, plan, options, identity);
  return report as RebaseReport;
}

function planRelink(
  { options }: Rebase,
  newParent: VhdxDisk,
  examination: CompleteExamination,
  childPath: string | undefined,
): Relink {
  const { parentLocator } = examination.metadata;
  if (!parentLocator) throw noChild();
  refuseParent(newParent, examination, childPath);
  const { dataWriteGuid } = newParent.info.header;
  const fits = parentLocator.linkages.includes(dataWriteGuid);
  if (!fits && !options.ignoreParentMismatch) {
    const message = `has DataWriteGuid ${dataWriteGuid}, and the image names ${parentLocator.linkages.join(' or ') || 'none'}`;
    const file = newParent.path ?? newParent.name ?? 'the parent';
    throw new VhdxError('parent-mismatch', message, { file, advice: [IGNORE_MISMATCH] });
  }
  return { locator: locatorOf(newParent, childPath, options.parentPath), visible: !fits };
}

async function reportOf(
  { core, newParent, options }: Rebase,
  { header }: CompleteExamination,
  path: string | undefined,
  done: { copied?: number; zeroed?: number; mayDiffer?: boolean },
): Promise<RebaseReport> {
  const { copied = 0, zeroed = 0, mayDiffer = false } = done;
  const children =
    mayDiffer && path !== undefined
      ? await childrenOf(core, path, header.dataWriteGuid, { signal: options.signal })
      : [];
  return {
    ...(newParent && { parent: newParent.path ?? newParent.name ?? 'the new parent' }),
    copied,
    zeroed,
    mayDiffer,
    broken: children.map((child) => child.path),
  };
}
