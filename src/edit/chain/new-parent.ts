import type { VhdxDisk } from '../../disk/disk.js';
import { VhdxError } from '../../errors.js';
import { givenGuid } from '../../format/guid.js';
import type { CompleteExamination } from '../../image/examination.js';
import { isSameFile } from '../target.js';

/** Members that a chain may have. */
const MAX_MEMBERS = 256;

/**
 * Refuses a new parent that a child cannot have: one of other sectors, the child itself or one of its own children, or
 * the top of a chain that would get too long.
 *
 * @param child the image that is to have the parent
 * @param path of the child, if it has one
 */
export function refuseParent(parent: VhdxDisk, child: CompleteExamination, path: string | undefined): void {
  const file = parent.path ?? parent.name ?? 'the parent';
  const { logicalSectorSize } = child.metadata;
  if (parent.logicalSectorSize !== logicalSectorSize) {
    const message = `has logical sectors of ${parent.logicalSectorSize} bytes, the image of ${logicalSectorSize}`;
    throw new VhdxError('parent-sector-size', message, { file });
  }
  let depth = 1;
  for (let member: VhdxDisk | undefined = parent; member; member = member.parent) {
    depth += 1;
    if (!isChild(member, child, path)) continue;
    const what = member === parent ? 'is the image itself' : 'has the image among its own parents';
    throw new VhdxError('parent-cycle', `${what}, and cannot be its parent`, { file });
  }
  if (depth > MAX_MEMBERS) {
    throw new VhdxError('parent-depth', `the chain would have ${depth} members, more than ${MAX_MEMBERS}`, { file });
  }
}

function isChild(member: VhdxDisk, { header }: CompleteExamination, path: string | undefined): boolean {
  if (path !== undefined && member.path !== undefined && isSameFile(path, member.path)) return true;
  const { fileWriteGuid, dataWriteGuid } = member.info.header;
  return (
    givenGuid(fileWriteGuid) !== undefined &&
    fileWriteGuid === header.fileWriteGuid &&
    dataWriteGuid === header.dataWriteGuid
  );
}
