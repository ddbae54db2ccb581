import type { RandomAccessSource, VhdxDisk } from '../../src/index.js';
import type { BytesView, ChainMember } from '../protocol.js';
import { hexText } from '../wording.js';

/** Bytes of a disk, with where they are stored. A range past the end is cut off. */
export async function viewDisk(
  disk: VhdxDisk,
  chain: readonly ChainMember[],
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<BytesView> {
  const end = Math.min(disk.size, offset + length);
  const bytes = await disk.read(offset, Math.max(0, end - offset), { signal });
  const origin = await describeOrigin(disk, chain, offset, bytes.length, signal);
  return { offset, bytes, size: disk.size, origin };
}

/** Bytes of anything else, with what there is to say of where they come from. A range past the end is cut off. */
export async function viewPlain(
  source: RandomAccessSource,
  origin: string,
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<BytesView> {
  const start = Math.min(offset, source.size);
  const bytes = new Uint8Array(Math.min(length, source.size - start));
  await source.readInto(bytes, start, { signal });
  return { offset: start, bytes, size: source.size, origin };
}

/** Says where the bytes of a short range of a disk are stored, in a sentence. */
async function describeOrigin(
  disk: VhdxDisk,
  chain: readonly ChainMember[],
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<string> {
  const parts: string[] = [];
  for await (const extent of disk.extents({ offset, length, signal })) {
    const name = chain[extent.depth]?.name ?? 'a file';
    const member = extent.depth === 0 ? name : `the parent ${name}`;
    if (extent.kind === 'data') parts.push(`stored in ${member} at ${hexText(extent.fileOffset ?? 0)}`);
    else if (extent.kind === 'zero') parts.push(`zeros, as ${member} says`);
    else parts.push('zeros, because nothing is stored here');
  }
  const [first = 'nothing', ...rest] = parts;
  if (rest.length === 0) return `${first.charAt(0).toUpperCase()}${first.slice(1)}.`;
  const shown = parts.slice(0, 4).join('; ');
  return `In order: ${shown}${parts.length > 4 ? `; and ${parts.length - 4} more pieces` : ''}.`;
}
