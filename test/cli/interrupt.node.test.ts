import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { commandLine, ending, expectFailure, saved, startVhdx, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { serveUntil } from '../support/slow-server.js';
import { needs, tempDir, tool } from '../support/tools.js';

// Any Python does; this one is looked for anyway.
const python = tool('pyvhdi');

const blocks = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i, { state: 6, data: pattern(i) }]));
const image = buildImage({ virtualSize: 32 * MiB, blocks });

/** Waits until a partial file holds something. */
async function written(path: string): Promise<void> {
  while (!existsSync(path) || (await stat(path)).blocks === 0) await setTimeout(20);
}

describe.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s in the middle of a conversion', (signal, code) => {
  test(`removes what was half written, leaves what was there, and ends with ${code}`, async () => {
    const folder = await tempDir();
    const out = join(folder, 'disk.img');
    await writeFile(out, 'what was there');
    // The server stops in the middle, so the conversion cannot be over before it is interrupted.
    const url = await serveUntil(image, image.layout.blockOffset(20));
    const child = startVhdx('convert', url, out);
    const ended = ending(child);
    await written(`${out}.partial`);
    expect(await readFile(out, 'utf8')).toBe('what was there');
    // Not child.kill: behind that, Deno does not tell the exit code.
    process.kill(child.pid as number, signal);
    expect(await ended).toEqual({ status: code, stderr: '' });
    expect(await readdir(folder)).toEqual(['disk.img']);
    expect(await readFile(out, 'utf8')).toBe('what was there');
  });
});

test('what a killed conversion leaves does not look whole, and no other one writes into it', async () => {
  const folder = await tempDir();
  const out = join(folder, 'disk.img');
  const child = startVhdx('convert', await serveUntil(image, image.layout.blockOffset(20)), out);
  const ended = ending(child);
  await written(`${out}.partial`);
  child.kill('SIGKILL');
  await ended;
  expect(await readdir(folder)).toEqual(['disk.img.partial']);
  const path = await saved(image, join(folder, 'disk.vhdx'));
  expectFailure(await vhdx('convert', path, out), 1, `vhdx: ${out}.partial: is there already`);
});

/** Runs a command on a terminal, interrupts it when it shows how much time is left, and prints its exit code and all it showed. */
const ON_TERMINAL = `
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
shown = b''
while b' left' not in shown: shown += os.read(terminal, 4096)
os.kill(pid, signal.SIGINT)
try:
  while more := os.read(terminal, 4096): shown += more
except OSError: pass # how Linux tells that nobody is there any more
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), ascii(shown.decode()))`;

needs(python).test('on a terminal there is a progress bar, which goes when the work ends', async () => {
  const url = await serveUntil(image, image.layout.blockOffset(20));
  const words = commandLine('convert', url, join(await tempDir(), 'disk.img'));
  const { status, stdout, stderr } = await python.run(['-c', ON_TERMINAL, ...words]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^130 /);
  expect(stdout).toMatch(/convert \[=+-+\] \d+% \| .* left/);
  expect(stdout).not.toContain('Error');
});
