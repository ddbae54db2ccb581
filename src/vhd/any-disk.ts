import { AS_RAW, detectFormat } from '../disk/detect-format.js';
import { VhdxDisk } from '../disk/disk.js';
import { openVhdx } from '../disk/open.js';
import { forParents, openInput } from '../disk/open-input.js';
import { VhdxError } from '../errors.js';
import type { VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { DiskFormat, OpenDisk, OpenDiskOptions } from './disk-format.js';
import { openVhdChain } from './vhd-chain.js';
import { VhdDisk } from './vhd-disk.js';

/** What `openDisk` does. */
export async function openAnyDisk(input: VhdxInput, wanted: OpenDiskOptions): Promise<OpenDisk> {
  checkFormat(wanted.format);
  const leaveOpen = async () => {};
  if (input instanceof VhdxDisk) return { format: 'vhdx', source: input, vhdx: input, close: leaveOpen };
  if (input instanceof VhdDisk) return { format: 'vhd', source: input, vhd: input, close: leaveOpen };
  const file = await openInput(input, wanted);
  const options = await forParents(input, wanted);
  const close = async () => file.close?.();
  try {
    const format = options.format ?? (file.extents ? 'raw' : await formatOf(file, options));
    if (format === 'raw') return { format, source: file, close };
    if (format === 'vhd') {
      const vhd = await openVhdChain(file, options);
      return { format, source: vhd, vhd, close: () => vhd.close() };
    }
    const vhdx = await openVhdx(file, options);
    const closeBoth = async () => {
      await vhdx.close();
      await close();
    };
    return { format, source: vhdx, vhdx, close: closeBoth };
  } catch (error) {
    await close();
    throw error;
  }
}

async function formatOf(file: RandomAccessSource, options: OpenDiskOptions): Promise<DiskFormat> {
  const found = await detectFormat(file, options);
  if (found === undefined || found.format === 'raw') return 'raw';
  if (found.format === 'vhdx') return 'vhdx';
  if (found.format === 'vpc') return 'vhd';
  throw new VhdxError('unsupported-input', `this is ${found.description}, which cannot be read here`, {
    advice: [AS_RAW],
  });
}

function checkFormat(format: DiskFormat | undefined): void {
  if (format === undefined || ['vhdx', 'vhd', 'raw'].includes(format)) return;
  throw new RangeError(`format must be 'vhdx', 'vhd' or 'raw', not '${String(format)}'`);
}
