import { checkBytes } from '../base/byte-range.js';
import { Kind, type RawExtent } from '../core/bat-calls.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { Member } from './member.js';

/** Extents that are translated at a time. */
const BATCH = 1024;

/** Makes the error of a read that touches a damaged place. */
type DamageError = typeof import('../image/bat-findings.js').damageError;

/**
 * Makes synchronous reads of a disk possible. They go the way of the others, with the same translation, checks and
 * errors, but one source after the other, and nothing of another task runs meanwhile.
 */
export function allowSyncReads(member: Member, damageError: DamageError): void {
  member.readSync = (target, offset) => readSync(member, target, offset, damageError);
}

/** Throws `unsupported-input` if a source has no synchronous reads. */
export function refuseAsync(source: RandomAccessSource): void {
  const { readIntoSync, name } = source;
  if (readIntoSync === undefined) {
    const who = name === undefined ? 'the source' : `the file ${name}`;
    const where = 'files can in Node, Bun and Deno, a File or Blob in a worker, a URL never';
    throw new VhdxError('unsupported-input', `${who} cannot be read synchronously here: ${where}`);
  }
  // A disk has the method, and says here whether it was opened for it.
  source.readIntoSync?.(new Uint8Array(0), 0);
}

function readSync(member: Member, target: Uint8Array, offset: number, damageError: DamageError): void {
  checkBytes(target);
  member.check(offset, target.length);
  if (target.length === 0) return;
  const { translator } = member.image;
  const end = offset + target.length;
  const count = translator.begin(offset, target.length);
  const only = translator.only(count, end);
  if (only !== undefined) {
    readExtent(member, target, only, damageError);
    return;
  }
  let begun: number | undefined = count;
  let extents = 0;
  for (let at = offset; at < end; ) {
    const batch: RawExtent[] = [];
    at = translator.translateSync(at, end - at, batch, BATCH, begun);
    begun = undefined;
    extents += batch.length;
    member.limit(extents, at);
    for (const extent of batch) {
      const start = extent.offset - offset;
      readExtent(member, target.subarray(start, start + extent.length), extent, damageError);
    }
  }
}

function readExtent(member: Member, part: Uint8Array, extent: RawExtent, damageError: DamageError): void {
  const { image, parent } = member;
  if (extent.kind === Kind.Data) {
    image.source.readIntoSync?.(part, extent.fileOffset);
    return;
  }
  if (member.readsAsZeros(extent)) {
    part.fill(0);
    return;
  }
  if (!member.fallsThrough(extent)) throw damageError(image.layout, extent);
  if (!parent) throw member.parentMissing(extent);
  const there = member.lengthInParent(extent);
  part.fill(0, there);
  if (there === 0) return;
  try {
    readSync(parent, part.subarray(0, there), extent.offset, damageError);
  } catch (error) {
    throw parent.named(error);
  }
}
