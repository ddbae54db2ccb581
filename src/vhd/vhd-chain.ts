import type { OpenOptions } from '../disk/open-options.js';
import { VhdxError, type VhdxErrorDetails } from '../errors.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { type Finding, finding } from '../rules.js';
import { VhdDisk } from './vhd-disk.js';
import { examineVhd, type VhdImage } from './vhd-image.js';
import { LOCATOR, refusal, VhdParentSearch } from './vhd-parents.js';

/** Members that a chain may have. */
const MAX_MEMBERS = 256;

interface Member {
  readonly image: VhdImage;
  readonly findings: Finding[];
}

/**
 * Opens a VHD and the chain of its parents. A parent is taken only if its unique id is the one that the child names.
 *
 * @throws VhdxError with the code of the rule that makes a member unreadable; `parent-missing` and the like
 */
export async function openVhdChain(source: RandomAccessSource, options: OpenOptions): Promise<VhdDisk> {
  const members: Member[] = [];
  let next: RandomAccessSource | undefined = source;
  try {
    while (next) {
      const image = await examineMember(next, members, options);
      members.push({ image, findings: [] });
      next = undefined;
      if (image.type === 'differencing') next = await parentOf(members, options);
    }
    const disk = members.reduceRight<VhdDisk | undefined>(
      (parent, { image, findings }) => new VhdDisk(image, parent, findings),
      undefined,
    ) as VhdDisk;
    refuseStrictly(disk, options);
    return disk;
  } catch (error) {
    await next?.close?.();
    for (const { image } of members) await image.source.close?.();
    throw error;
  }
}

async function examineMember(
  source: RandomAccessSource,
  members: readonly Member[],
  options: OpenOptions,
): Promise<VhdImage> {
  const depth = members.length;
  const place =
    depth === 0 ? { depth } : { depth, file: source.name, path: options.untrusted ? undefined : source.path };
  try {
    const image = await examineVhd(source, options);
    const child = members.at(-1)?.image;
    const isKnown = members.some(({ image: other }) => other.footer.uniqueId === image.footer.uniqueId);
    if (isKnown) throw refusal('parent-cycle', 'the chain of parents comes back to an image that is in it');
    if (depth >= MAX_MEMBERS) throw refusal('parent-depth', `the chain has more than ${MAX_MEMBERS} members`);
    if (child && child.footer.currentSize !== image.footer.currentSize) {
      const sizes = `the parent has ${image.footer.currentSize} bytes, the child ${child.footer.currentSize}`;
      throw refusal('vhd-parent-size', sizes);
    }
    return image;
  } catch (error) {
    if (!(error instanceof VhdxError) || depth === 0) throw error;
    throw ofMember(error, place);
  }
}

function ofMember(cause: VhdxError, place: Pick<VhdxErrorDetails, 'depth' | 'file' | 'path'>): VhdxError {
  const { code, reason, structure, offset, finding: found } = cause;
  return new VhdxError(code, reason, { ...place, structure, offset, finding: found, cause });
}

/** The file of the parent of the last member; undefined if it is to be opened without one. */
async function parentOf(members: readonly Member[], options: OpenOptions): Promise<RandomAccessSource | undefined> {
  const { image, findings } = members.at(-1) as Member;
  if (options.parent === false) {
    findings.push(finding('parent-missing', 'the image was opened without its parent', LOCATOR));
    return undefined;
  }
  try {
    return await new VhdParentSearch(image, members.length, findings, options).run();
  } catch (error) {
    if (options.incompleteChain !== 'open' || !(error instanceof VhdxError) || !error.finding) throw error;
    findings.push({ ...error.finding, severity: 'block' });
    return undefined;
  }
}

function refuseStrictly(disk: VhdDisk, { strict }: OpenOptions): void {
  for (let member: VhdDisk | undefined = disk; strict && member; member = member.parent) {
    const found = member.findings.find(({ severity }) => severity !== 'info');
    if (found) throw VhdxError.from(found, member === disk ? {} : { file: member.name });
  }
}
