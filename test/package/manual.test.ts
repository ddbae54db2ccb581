import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { vhdx } from '../support/command.js';
import { needs, tool } from '../support/tools.js';

const page = fileURLToPath(new URL('../../dist/vhdx.1', import.meta.url));
const groff = tool('groff');

/** The page as a terminal shows it, without what makes letters bold and lines even. */
async function shown(): Promise<string> {
  const { stdout, stderr, status } = await groff.run(['-m', 'an', '-T', 'ascii', '-P', '-cbou', '-ww', page]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.replaceAll(/-\n\s*/g, '').replaceAll(/\s+/g, ' ');
}

describe('the manual page', () => {
  needs(groff).test('is typeset without a warning, and has every subcommand with all its options', async () => {
    const text = await shown();
    const { stdout } = await vhdx('--help');
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name ?? '');
    expect(names.length).toBeGreaterThan(20);
    for (const name of names.filter((one) => one !== 'help')) {
      const help = await vhdx(name, '--help');
      const options = [...help.stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option ?? '');
      const own = text.slice(text.indexOf(`vhdx ${name} [options]`));
      expect(own, name).not.toBe('');
      for (const option of options) expect(own, `${name} ${option}`).toContain(option);
    }
  });

  needs(groff).test('is of this version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await shown()).toContain(`vhdx ${version}`);
  });
});
