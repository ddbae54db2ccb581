import { statSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { openVhdx, type VhdxDisk, VhdxError } from '../index.js';
import { about, reasonOf } from './failure.js';
import { describeForPeople, describeForPrograms, type ImageFacts } from './info-text.js';
import { addOpeningOptions, chainOf, type OpeningFlags, openOptions } from './opening.js';
import { writeJson, writeOut } from './standard-output.js';
import { isUrl } from './text.js';

interface Flags extends OpeningFlags {
  readonly output: 'human' | 'json';
  readonly backingChain?: true;
}

const EXAMPLES = `
Exit codes: 0, and 1 where the image does not open.

  vhdx info disk.vhdx
  vhdx info --backing-chain checkpoint.avhdx
  vhdx info --output json disk.vhdx | jq '."format-specific".data'
  vhdx info https://example.org/disk.vhdx`;

/** Defines `vhdx info`. */
export function define(command: Command): void {
  command
    .description('Tells what an image is: its size and type, who made it, whether it was closed cleanly, its parent.')
    .argument('<file>', 'image')
    .addOption(
      new Option('--output <format>', 'for people or for programs').choices(['human', 'json']).default('human'),
    )
    .option('--backing-chain', 'tell of the parents too');
  addOpeningOptions(command).addHelpText('after', EXAMPLES).action(info);
}

async function info(file: string, flags: Flags): Promise<void> {
  await about(file, async () => {
    const { disk, withoutParent } = await open(file, flags);
    try {
      const members = flags.backingChain ? chainOf(disk) : [disk];
      const facts = members.map((member, depth) => factsOf(member, depth === 0 ? file : undefined, withoutParent));
      if (flags.output === 'human') {
        await writeOut(facts.map(describeForPeople).join('\n'));
      } else {
        const all = facts.map(describeForPrograms);
        await writeJson(flags.backingChain ? all : all[0]);
      }
    } finally {
      await disk.close();
    }
  });
}

/** Opens an image; alone where its parent is what makes trouble, because the image itself has much to tell. */
async function open(file: string, flags: Flags): Promise<{ disk: VhdxDisk; withoutParent?: VhdxError }> {
  const options = openOptions(flags);
  try {
    return { disk: await openVhdx(file, options) };
  } catch (error) {
    if (!(error instanceof VhdxError) || options.parent === false) throw error;
    const disk = await openVhdx(file, { ...options, parent: false }).catch(() => undefined);
    if (disk?.type === 'differencing') return { disk, withoutParent: error };
    await disk?.close();
    throw error;
  }
}

function factsOf(disk: VhdxDisk, file: string | undefined, withoutParent: VhdxError | undefined): ImageFacts {
  const filename = file ?? disk.path ?? disk.name ?? '';
  return {
    disk,
    filename,
    allocated: isUrl(filename) ? undefined : allocatedBytes(filename),
    withoutParent: withoutParent && reasonOf(withoutParent),
  };
}

/** Bytes that a file takes on its disk. */
function allocatedBytes(path: string): number | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.blocks * 512 : undefined;
}
