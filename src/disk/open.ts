import { MiB } from '../base/units.js';
import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import { VhdxError } from '../errors.js';
import { BAT_ENTRY_SIZE } from '../format/bat.js';
import { hasVhdxSignature } from '../format/file-identifier.js';
import { isComplete } from '../image/examination.js';
import { OpenImage } from '../image/open-image.js';
import type { SourceOptions } from '../io/named-input.js';
import { openSource, type VhdxInput } from '../io/open.js';
import { walkChain } from './chain.js';
import { type ChainMember, closeMembers, memberDetails, type ReadableMember } from './chain-member.js';
import { VhdxDisk } from './disk.js';
import type { Member } from './member.js';
import { forParents, openInput } from './open-input.js';
import { type OpenOptions, withLimits } from './open-options.js';

/** A BAT of this many bytes or fewer is checked when the image is opened; a longer one by {@link VhdxDisk.check}. */
const MAX_BAT_CHECKED_AT_OPEN = 1 * MiB;

/**
 * Opens a VHDX image: fixed, dynamic or differencing, clean or dirty. Nothing is written: the log of a dirty image is
 * replayed in memory.
 *
 * @param input a path (Node, Bun, Deno), an http(s) URL, a Blob or File, bytes, or any `RandomAccessSource`
 * @throws VhdxError with the code of the first fatal finding, `parent-missing` and the like where a chain is not whole,
 *   or the code of the input's failure
 */
export async function openVhdx(input: VhdxInput, wanted: OpenOptions = {}): Promise<VhdxDisk> {
  const options = withLimits(wanted);
  const core = await loadCore();
  const members = await walkChain(core, await openInput(input, options), await forParents(input, options));
  try {
    return await openMembers(core, members, options);
  } catch (error) {
    await closeMembers(members);
    throw error;
  }
}

/** Returns whether an input begins with the signature of a VHDX file; nothing else is looked at. */
export async function isVhdx(input: VhdxInput, options: SourceOptions = {}): Promise<boolean> {
  const source = await openSource(input, options);
  try {
    const start = new Uint8Array(Math.min(8, source.size));
    await source.readInto(start, 0, options);
    return hasVhdxSignature(start);
  } finally {
    await source.close?.();
  }
}

/** Makes disks of the members of a chain that can be read, and closes the files of the others. */
export async function openMembers(core: Core, members: ChainMember[], options: OpenOptions): Promise<VhdxDisk> {
  const readable = await readableOf(members, options);
  const images: OpenImage[] = [];
  const sync = options.sync ? await syncReads(readable) : undefined;
  try {
    for (const { examination } of readable) images.push(new OpenImage(core, examination));
    for (const [depth, image] of images.entries()) await checkAtOpen(image, readable[depth] as ReadableMember, options);
  } catch (error) {
    for (const image of images) await image.close();
    throw error;
  }
  const disk = readable.reduceRight<VhdxDisk | undefined>((parent, { source, depth, findings, parentError }) => {
    const image = images[depth] as OpenImage;
    const { maxExtents, untrusted: hidesPath } = options;
    return new VhdxDisk({ image, source, maxExtents, hidesPath, parent, parentError, chainFindings: findings });
  }, undefined) as VhdxDisk;
  for (let one: VhdxDisk | undefined = disk; one; one = one.parent) sync?.(one.member);
  return disk;
}

/** What makes synchronous reads of members possible. Rejects if one of them has a file that cannot be read so. */
async function syncReads(members: readonly ReadableMember[]): Promise<(member: Member) => void> {
  const { allowSyncReads, refuseAsync } = await import('./sync-reads.js'); // few programs cannot wait
  const { damageError } = await import('../image/bat-findings.js'); // what throws later cannot load it then
  for (const { source } of members) refuseAsync(source);
  return (member) => allowSyncReads(member, damageError);
}

/** The members that can be read, from the top down. */
async function readableOf(members: ChainMember[], options: OpenOptions): Promise<ReadableMember[]> {
  const [top, parent] = members;
  if (top && !parent && !top.problem) {
    const { examination } = top;
    if (!isComplete(examination)) {
      const { fatalOf } = await import('../image/refusal.js'); // most images open
      const { fatal, advice } = fatalOf(examination, options);
      throw VhdxError.from(fatal, { depth: 0, advice });
    }
    return [{ ...top, examination }];
  }
  const { readableMembers } = await import('./chain-below.js');
  return readableMembers(members, options);
}

/** Checks a BAT that is short, and rejects in strict mode for what is wrong with the image. */
async function checkAtOpen(image: OpenImage, member: ReadableMember, options: OpenOptions): Promise<void> {
  if (options.strict || image.layout.geometry.batEntries * BAT_ENTRY_SIZE <= MAX_BAT_CHECKED_AT_OPEN) {
    await image.scanBat(options);
  }
  const found = options.strict && [...image.findings, ...member.findings].find(({ severity }) => severity !== 'info');
  if (found) throw VhdxError.from(found, memberDetails(member, options));
}
