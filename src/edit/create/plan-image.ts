import { builtinModule } from '../../base/builtin-module.js';
import { MiB, TiB } from '../../base/units.js';
import { describeUrl, isUrlText, parseUrl } from '../../base/url.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { openVhdx } from '../../disk/open.js';
import { VhdxError } from '../../errors.js';
import { parseGuid, randomGuid, ZERO_GUID } from '../../format/guid.js';
import type { DiskMetadata } from '../../format/metadata.js';
import type { VhdxInput } from '../../io/open.js';
import { pathOf, type VhdxTarget } from '../target.js';
import { checkParent, inheritedItems, locatorOf } from './child.js';
import type { CreateOptions } from './create-options.js';
import type { NewImage } from './layout.js';

const DEFAULT_BLOCK_SIZE = 2 * MiB;
const MAX_LOG_SIZE = 4096 * MiB - MiB;
/** Largest disk, in bytes. */
export const MAX_SIZE = 64 * TiB;

/** Opens the parent that the options name, if there is one. */
export async function openParent({
  parent,
  parentOptions,
  type,
  signal,
}: CreateOptions): Promise<VhdxDisk | undefined> {
  if (parent === undefined) {
    if (type === 'differencing') throw new RangeError('a differencing image needs a parent');
    return undefined;
  }
  if (type !== undefined && type !== 'differencing') throw new RangeError(`a ${type} image has no parent`);
  try {
    return await openVhdx(parent, { ...parentOptions, signal });
  } catch (error) {
    throw error instanceof VhdxError
      ? ofParent(error, parentOptions?.untrusted ? 'the parent' : nameOf(parent))
      : error;
  }
}

/** The same error as one about the parent. A parent that can be opened only in doubt is refused, so that is no way on. */
function ofParent(error: VhdxError, name: string): VhdxError {
  const advice = error.advice?.filter(({ hint }) => hint !== 'ignore-parent-mismatch' && hint !== 'salvage');
  const file = error.file ?? name;
  return new VhdxError(error.code, error.reason, { ...error, file, advice, cause: error.cause ?? error });
}

/** What an input is called in messages: of a URL only what holds no secret. */
function nameOf(input: VhdxInput): string {
  if (typeof input === 'string' && !isUrlText(input)) return input;
  const url = typeof input === 'string' ? parseUrl(input) : input;
  if (url instanceof URL) return describeUrl(url);
  return typeof input === 'object' && 'name' in input && typeof input.name === 'string' ? input.name : 'the parent';
}

/** What the options, and the parent, say about the new image. */
export async function planImage(
  target: VhdxTarget | undefined,
  options: CreateOptions,
  parent: VhdxDisk | undefined,
): Promise<NewImage> {
  const { logSize = MiB, signal, parentPath } = options;
  const metadata = metadataOf(options, parent);
  checkMultiple(logSize, MiB, MiB, MAX_LOG_SIZE, 'logSize');
  if (!parent) return { metadata, logLength: logSize };
  await checkParent(parent, signal);
  const path = target && pathOf(target);
  return {
    metadata,
    logLength: logSize,
    locator: locatorOf(parent, path && builtinModule('path')?.resolve(path), parentPath),
    items: await inheritedItems(parent, signal),
  };
}

function metadataOf(options: CreateOptions, parent: VhdxDisk | undefined): DiskMetadata {
  const { type = parent ? 'differencing' : 'dynamic', blockSize = DEFAULT_BLOCK_SIZE } = options;
  const { logicalSectorSize = parent?.logicalSectorSize ?? 512, size = parent?.size } = options;
  const { physicalSectorSize = parent?.physicalSectorSize ?? 4096 } = options;
  if (!['fixed', 'dynamic', 'differencing'].includes(type)) throw new RangeError(`${type} is no type of a disk`);
  checkSectorSize(logicalSectorSize, 'logicalSectorSize');
  checkSectorSize(physicalSectorSize, 'physicalSectorSize');
  if (size === undefined) throw new RangeError('size is missing');
  checkMultiple(size, logicalSectorSize, logicalSectorSize, MAX_SIZE, 'size');
  checkMultiple(blockSize, MiB, MiB, 256 * MiB, 'blockSize');
  if (!Number.isInteger(Math.log2(blockSize))) throw new RangeError(`blockSize is ${blockSize}, not a power of two`);
  if (parent && logicalSectorSize !== parent.logicalSectorSize) {
    const sizes = `${logicalSectorSize}, that of the parent ${parent.logicalSectorSize}`;
    throw new RangeError(`logicalSectorSize is ${sizes}: they must be the same`);
  }
  if (parent && size < parent.size) {
    throw new RangeError(`size is ${size}, that of the parent ${parent.size}: a child is not smaller`);
  }
  return {
    blockSize,
    leaveBlocksAllocated: type === 'fixed',
    hasParent: type === 'differencing',
    virtualSize: size,
    virtualDiskId: diskId(options.id, parent),
    logicalSectorSize,
    physicalSectorSize,
  };
}

/** A child shows the guest the same disk, so it has the identity of its parent ([MS-VHDX] 2.6.2.3). */
function diskId(wanted: string | undefined, parent: VhdxDisk | undefined): string {
  const id = wanted === undefined ? undefined : parseGuid(wanted);
  if (wanted !== undefined && (id === undefined || id === ZERO_GUID)) throw new RangeError(`id is no GUID: ${wanted}`);
  if (id !== undefined && parent?.id !== undefined && id !== parent.id) {
    throw new RangeError(`id is ${id}, that of the parent ${parent.id}: a child is the same disk`);
  }
  return id ?? parent?.id ?? randomGuid();
}

function checkSectorSize(size: number, name: string): void {
  if (size !== 512 && size !== 4096) throw new RangeError(`${name} is ${size}, not 512 or 4096`);
}

function checkMultiple(value: number, unit: number, least: number, most: number, name: string): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most && value % unit === 0) return;
  throw new RangeError(`${name} is ${value}, not a multiple of ${unit} from ${least} to ${most}`);
}
