import type { VhdxDisk } from '../../src/index.js';
import type { ChainMember } from '../protocol.js';
import { hexText } from '../wording.js';

/** Says where the bytes of a short range of a disk come from, in a sentence. */
export async function describeOrigin(
  disk: VhdxDisk,
  chain: readonly ChainMember[],
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<string> {
  const parts: string[] = [];
  for await (const extent of disk.extents({ offset, length, signal })) {
    const name = chain[extent.depth]?.name ?? 'a file';
    const whose = extent.depth === 0 ? name : `the parent ${name}`;
    if (extent.kind === 'data') parts.push(`stored in ${whose} at ${hexText(extent.fileOffset ?? 0)}`);
    else if (extent.kind === 'zero') parts.push(`zeros by word of ${whose}`);
    else parts.push('zeros, because nothing is stored here');
  }
  const [first = 'nothing', ...rest] = parts;
  if (rest.length === 0) return `${first.charAt(0).toUpperCase()}${first.slice(1)}.`;
  const shown = parts.slice(0, 4).join('; ');
  return `In order: ${shown}${parts.length > 4 ? `; and ${parts.length - 4} more pieces` : ''}.`;
}
