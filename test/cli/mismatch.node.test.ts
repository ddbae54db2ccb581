// What --ignore-parent-mismatch overrides stays said: every command that has it warns on standard error, each time.
import { copyFile, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { guidAt } from '../support/chain-files.js';
import { expectFailure, saved, vhdx, vhdxWith } from '../support/command.js';
import { locatorEntries, STATE } from '../support/image-spec.js';
import { SLOW } from '../support/time-limits.js';
import { tempDir } from '../support/tools.js';

/** How a command is tried on a child, and what it ends with. */
interface Try {
  readonly args: (child: string) => readonly string[];
  readonly input?: (child: string) => string;
  readonly status?: number;
  readonly refuses?: false;
}

/** By the name of a command. */
const COMMANDS: Readonly<Record<string, Try>> = {
  info: { args: (child) => [child], refuses: false }, // and says that there is no parent
  check: { args: (child) => [child], status: 2 },
  map: { args: (child) => [child] },
  convert: { args: (child) => [child, `${child}.img`] },
  read: { args: (child) => ['--length', '512', child] },
  checksum: { args: (child) => [child] },
  compare: { args: (child) => [child, child] },
  fleet: { args: () => ['check', '--list', '-'], input: (child) => child, status: 1 },
  partitions: { args: (child) => [child] },
  ls: { args: (child) => [child], status: 1 }, // there is no file system in it
  cp: { args: (child) => [child, '/', '-'], status: 1 },
  serve: { args: (child) => ['--socket', child, child], status: 1 }, // which opens it, and ends because it is no socket
  write: { args: (child) => ['--offset', '100', child], input: () => 'bytes' },
  zero: { args: (child) => ['--offset', '0', '--length', '1M', child] },
  trim: { args: (child) => ['--offset', '0', '--length', '1M', child] },
  merge: { args: (child) => [child] },
  rebase: { args: (child) => ['-b', join(dirname(child), 'base.vhdx'), child] },
  resize: { args: (child) => [child, '+1M'], refuses: false }, // which needs no parent, but to look at partitions
};

/** A child in a folder, and a file of the name of its parent: another disk, or one to which no linkage leads. */
async function lay(linkage: string | undefined): Promise<string> {
  const folder = await tempDir();
  await saved(buildImage({ dataWriteGuid: guidAt(7) }), join(folder, 'base.vhdx'));
  const entries = locatorEntries({ ...(linkage !== undefined && { linkage }), relativePath: '.\\base.vhdx' });
  const block = { state: STATE.fullyPresent, data: pattern(1) };
  const child = buildImage({ type: 'differencing', blocks: { 1: block }, parentLocator: { entries } });
  return saved(child, join(folder, 'child.avhdx'));
}

describe('an overridden parent', () => {
  test('the table has every command with the option', SLOW.programs, async () => {
    const { stdout } = await vhdx('--help');
    const names = [...(stdout.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z]+) /gm)].map(
      ([, name]) => name as string,
    );
    const having: string[] = [];
    for (const name of names) {
      if ((await vhdx(name, '--help')).stdout.includes('--ignore-parent-mismatch')) having.push(name);
    }
    expect(Object.keys(COMMANDS).sort()).toEqual(having.sort());
  });

  test.each(Object.entries(COMMANDS))(
    'is a warning of %s',
    SLOW.programs,
    async (name, { args, status = 0, input = () => '', refuses = true }) => {
      for (const [linkage, warning] of [
        [guidAt(0), `the parent must have DataWriteGuid ${guidAt(0)}`],
        [undefined, 'there is no readable parent_linkage'],
      ] as const) {
        const child = await lay(linkage);
        const copy = `${child}.before`;
        await copyFile(child, copy);
        const without = await vhdxWith({ input: input(child) }, name, ...args(child));
        expect(without.status === 0, name).toBe(!refuses);
        expect(without.stdout + without.stderr).toContain(warning);
        if (refuses) expect(Buffer.compare(await readFile(child), await readFile(copy))).toBe(0);
        for (const quiet of [[], ['-q']]) {
          const other = await lay(linkage); // what was merged or rebased fits from then on
          const taken = await vhdxWith(
            { input: input(other) },
            name,
            '--ignore-parent-mismatch',
            ...quiet,
            ...args(other),
          );
          expect(taken.status, taken.stderr).toBe(status);
          expect(taken.stderr).toContain(`vhdx: ${other}: warning: Parent Locator: ${warning}`);
        }
      }
    },
  );

  test('is not taken for the parent of a new image', async () => {
    const child = await lay(guidAt(0));
    expectFailure(await vhdx('create', '-b', child, `${child}.new`), 1, `vhdx: ${child}: Parent Locator: `);
  });
});
