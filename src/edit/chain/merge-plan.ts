import type { Core } from '../../core/instance.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { type Advice, VhdxError } from '../../errors.js';
import type { ReadOptions } from '../../io/random-access.js';
import { type ChildImage, childrenOf } from '../children-of.js';
import { isSameFile } from '../target.js';
import type { RangeChange } from './apply-changes.js';
import type { HandedOverFiles } from './handed-over-files.js';
import type { MergeOptions, MergeReport } from './merge-options.js';

const FORCE: Advice = { hint: 'force', text: 'the option force merges all the same, and they will not fit any more' };

/** What a merge is about: a chain that is open for reading, and what goes where. */
export interface MergePlan extends MergeReport {
  /** The members from the child down to the base. */
  readonly members: readonly VhdxDisk[];
  /** How many members are above the base. */
  readonly depth: number;
}

/** The name of a disk's file in reports and messages. */
export const nameOf = ({ path, name }: VhdxDisk): string => path ?? name ?? 'an image without a name';

/** Looks at a chain and says what merging it would do. Rejects if that cannot be done; nothing is written. */
export async function planMerge(
  core: Core,
  child: VhdxDisk,
  files: HandedOverFiles,
  options: MergeOptions,
): Promise<MergePlan> {
  const depth = await depthOfBase(child, files, options);
  const members = membersOf(child).slice(0, depth + 1);
  const base = members[depth] as VhdxDisk;
  if (base.size !== child.size && child.size % child.logicalSectorSize !== 0) {
    const message = `the disk has ${child.size} bytes, which is no whole number of its sectors, and the base another size`;
    throw new VhdxError('virtual-disk-size-alignment', message, { structure: 'Virtual Disk Size' });
  }
  let [copied, zeroed] = [0, 0];
  for await (const { length, zeros } of changesAbove(child, depth, options)) {
    if (zeros) zeroed += length;
    else copied += length;
  }
  return {
    members,
    depth,
    base: nameOf(base),
    merged: members.slice(0, depth).map(nameOf),
    copied,
    zeroed,
    sizeBefore: base.size,
    sizeAfter: child.size,
    broken: await brokenBy(core, members, options),
    orphans: (await childrenIn(core, child, options)).map(({ path }) => path),
  };
}

/** Refuses a merge that other children would not survive, unless it is wanted all the same. */
export function refuseToBreak({ broken, base }: MergePlan, { force }: MergeOptions): void {
  if (broken.length === 0 || force) return;
  const message = `other images need the chain as it is, and would not fit any more: ${broken.join(', ')}`;
  throw new VhdxError('has-children', message, { file: base, advice: [FORCE] });
}

/** What the members above the base say about the disk, as its bytes are seen from the child: the topmost one wins. */
export async function* changesAbove(
  child: VhdxDisk,
  depth: number,
  { signal }: ReadOptions,
): AsyncGenerator<RangeChange> {
  for await (const extent of child.extents({ signal })) {
    if (extent.depth >= depth) continue;
    const { offset, length, kind } = extent;
    if (kind === 'damaged') await child.read(offset, 1, { signal }); // rejects, and says what is wrong
    yield { offset, length, zeros: kind !== 'data' };
  }
}

/** The members of a chain, from the child down. */
export function membersOf(child: VhdxDisk): VhdxDisk[] {
  const members: VhdxDisk[] = [];
  for (let disk: VhdxDisk | undefined = child; disk; disk = disk.parent) members.push(disk);
  return members;
}

/** Refuses an image without a parent. */
export function refuseAlone(child: VhdxDisk): void {
  if (child.parent) return;
  throw new VhdxError('unsupported-input', 'the image has no parent, so there is nothing to merge it with');
}

/** How many members are above the one that gets everything. */
async function depthOfBase(child: VhdxDisk, files: HandedOverFiles, { base }: MergeOptions): Promise<number> {
  refuseAlone(child);
  if (base === undefined) return 1;
  for (const [depth, member] of membersOf(child).entries()) {
    const isBase =
      typeof base === 'string'
        ? member.path !== undefined && isSameFile(base, member.path)
        : await files.isFileOf(member, base);
    if (isBase && depth === 0) {
      throw new VhdxError('parent-cycle', 'is the image that is to be merged, and cannot be its own parent', {
        file: nameOf(member),
      });
    }
    if (isBase) return depth;
  }
  const name = typeof base === 'string' ? base : (base.path ?? base.name ?? 'the file that was handed over');
  throw new VhdxError('parent-missing', 'is none of the parents of the image that is to be merged', { file: name });
}

/** The children, in the folders of their parents, of every member whose bytes change, but for those that are merged. */
async function brokenBy(core: Core, members: readonly VhdxDisk[], options: MergeOptions): Promise<string[]> {
  const broken: string[] = [];
  for (const [above, member] of members.slice(1).entries()) {
    const merged = members[above] as VhdxDisk;
    const isMerged = ({ path, dataWriteGuid }: ChildImage) =>
      merged.path === undefined ? dataWriteGuid === merged.info.header.dataWriteGuid : isSameFile(path, merged.path);
    const children = await childrenIn(core, member, options);
    broken.push(...children.filter((child) => !isMerged(child)).map(({ path }) => path));
  }
  return broken;
}

/**
 * The children of a disk in the folder of its file.
 *
 * @throws VhdxError `read-failed` if the folder cannot be listed, unless `force` is given: then they count as none
 */
export async function childrenIn(
  core: Core,
  { path, info }: VhdxDisk,
  { signal, force }: MergeOptions,
): Promise<ChildImage[]> {
  if (path === undefined) return [];
  try {
    return await childrenOf(core, path, info.header.dataWriteGuid, { signal });
  } catch (error) {
    if (!(error instanceof VhdxError)) throw error;
    if (force) return [];
    throw orForced(error);
  }
}

/** The same error, with the way on. */
function orForced({ code, reason, file, cause }: VhdxError): VhdxError {
  return new VhdxError(code, reason, { file, cause, advice: [FORCE] });
}
