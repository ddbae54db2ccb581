import { builtinModule } from '../../base/builtin-module.js';
import { MiB } from '../../base/units.js';
import type { CheckReport } from '../../disk/check.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { VhdxError } from '../../errors.js';
import { ZERO_GUID } from '../../format/guid.js';
import type { MetadataItem } from '../../format/metadata.js';
import { encodeParentLocator } from '../../format/parent-locator.js';

/** Refuses a parent that a child cannot rely on: one that is damaged, or that has no identity. */
export async function checkParent(parent: VhdxDisk, signal: AbortSignal | undefined): Promise<void> {
  const file = parent.name ?? 'the parent';
  const report = await parent.check({ signal });
  if (report.status !== 'sound' && report.status !== 'repairable') {
    throw new VhdxError('parent-damaged', `is not sound, so no child can be made of it: ${whyUnsound(report)}`, {
      file,
    });
  }
  if (parent.info.header.dataWriteGuid === ZERO_GUID) {
    const message = 'has a DataWriteGuid of zeros, which identifies nothing: a child could never be sure of its parent';
    throw new VhdxError('parent-mismatch', message, { file });
  }
}

/** The first severe finding about a chain, with the name of the member that it is about if that is not the top. */
function whyUnsound(top: CheckReport): string {
  for (let report: CheckReport | undefined = top; report; report = report.parent) {
    const severe = report.findings.find(({ severity }) => severity === 'fatal' || severity === 'block');
    const whose = report === top ? '' : `its parent ${report.name ?? ''}: `;
    if (severe) return `${whose}${severe.structure}: ${severe.message}`;
  }
  return `it is ${top.status}`;
}

/** Most bytes of user metadata that a child takes over: Hyper-V stores a few hundred. */
const MAX_INHERITED = 40 * MiB;

/**
 * The metadata items that a child takes over from its parent beside those that describe every disk: the user's items
 * that are marked as belonging to the virtual disk ([MS-VHDX] 2.6.1.2).
 */
export async function inheritedItems(parent: VhdxDisk, signal: AbortSignal | undefined): Promise<MetadataItem[]> {
  const { source, metadataEntries = [], findings } = parent.member.image.examination;
  const inherited = metadataEntries.filter(({ isUser, isVirtualDisk }) => isUser && isVirtualDisk);
  // Items that overlap can make many times of the bytes that the parent has.
  const overlap = findings.find(({ code }) => code === 'metadata-item-overlap');
  if (overlap && inherited.length > 0) throw VhdxError.from(overlap, { file: parent.name ?? 'the parent' });
  const total = inherited.reduce((sum, { length }) => sum + length, 0);
  if (total > MAX_INHERITED) {
    const message = `has ${total} bytes of user metadata, and a child takes over at most ${MAX_INHERITED}`;
    throw new VhdxError('limit-exceeded', message, { file: parent.name ?? 'the parent' });
  }
  const items: MetadataItem[] = [];
  for (const { itemId, offset, length } of inherited) {
    const bytes = new Uint8Array(length);
    await source.readInto(bytes, offset, { signal });
    items.push({ itemId, flags: 3, bytes }); // IsUser, IsVirtualDisk
  }
  return items;
}

/**
 * The Parent Locator item of a new child ([MS-VHDX] 2.6.2.6). It names the parent by its identity and by paths that are
 * true: nothing is invented.
 *
 * @param childPath absolute path of the child, if it has one
 * @param parentPath what the caller says the way from the child's folder to the parent is; found out from both paths
 *   if it is not given
 */
export function locatorOf(
  parent: VhdxDisk,
  childPath: string | undefined,
  parentPath: string | undefined,
): Uint8Array<ArrayBuffer> {
  const paths = parentPath === undefined ? pathsBetween(childPath, parent.path) : { relative_path: parentPath };
  if (Object.keys(paths).length === 0) {
    const message = 'where the parent is, seen from the new image, is not known: say it with the option parentPath';
    throw new VhdxError('parent-missing', message, { file: parent.name ?? 'the parent' });
  }
  return encodeParentLocator([['parent_linkage', `{${parent.info.header.dataWriteGuid}}`], ...Object.entries(paths)]);
}

/** The paths that lead from a child to its parent, by the keys of a locator ([MS-VHDX] 2.6.2.6.3). */
function pathsBetween(childPath: string | undefined, parentPath: string | undefined): Record<string, string> {
  const paths = builtinModule('path');
  if (childPath === undefined || parentPath === undefined || !paths) return {};
  return locatorPaths(childPath, parentPath, paths);
}

/** The functions of the path module that are needed; specs hand over those of the other system. */
interface Paths {
  readonly sep: string;
  dirname(path: string): string;
  relative(from: string, to: string): string;
  isAbsolute(path: string): boolean;
}

/**
 * The paths that lead from a child to its parent: relative with `\` as separator, and on Windows the absolute one as
 * well.
 *
 * @throws VhdxError `parent-missing` if the path has a name that the format cannot express
 */
export function locatorPaths(childPath: string, parentPath: string, paths: Paths): Record<string, string> {
  const isWindows = paths.sep === '\\';
  const found: Record<string, string> = {};
  const relative = paths.relative(paths.dirname(childPath), parentPath);
  if (!paths.isAbsolute(relative)) {
    if (!isWindows && relative.includes('\\')) {
      const message = `${relative}: a name with a backslash cannot be stored as the path of a parent`;
      throw new VhdxError('parent-missing', message);
    }
    const steps = isWindows ? relative : relative.replaceAll('/', '\\');
    found['relative_path'] = steps.startsWith('..\\') ? steps : `.\\${steps}`;
  }
  if (isWindows) {
    found['absolute_win32_path'] = parentPath.startsWith('\\\\')
      ? `\\\\?\\UNC\\${parentPath.replace(/^\\\\(\?\\UNC\\)?/i, '')}`
      : `\\\\?\\${parentPath}`;
  }
  return found;
}
