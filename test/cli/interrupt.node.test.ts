import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { writeFileWhole } from '../../src/cli/convert-target.js';
import { editVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { commandLine, ending, expectFailure, saved, startVhdx, vhdx } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { serveUntil } from '../support/slow-server.js';
import { needs, run, tempDir, tool } from '../support/tools.js';

// Any Python does; this one is looked for anyway.
const python = tool('pyvhdi');

const blocks = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i, { state: 6, data: pattern(i) }]));
const image = buildImage({ virtualSize: 32 * MiB, blocks });

/** Waits until the partial file of an output holds something, and gives its path. */
async function partialOf(out: string): Promise<string> {
  for (;;) {
    const names = await readdir(dirname(out));
    const name = names.find((other) => other.startsWith(`${basename(out)}.`) && other.endsWith('.partial'));
    if (name !== undefined && (await stat(join(dirname(out), name))).blocks > 0) return join(dirname(out), name);
    await setTimeout(20);
  }
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
    await partialOf(out);
    expect(await readFile(out, 'utf8')).toBe('what was there');
    // Not child.kill: behind that, Deno does not tell the exit code.
    process.kill(child.pid as number, signal);
    expect(await ended).toEqual({ status: code, stderr: '' });
    expect(await readdir(folder)).toEqual(['disk.img']);
    expect(await readFile(out, 'utf8')).toBe('what was there');
  });
});

describe('a file that is half written', () => {
  test.each([
    ['raw', 'disk.img', []],
    ['VHDX', 'disk.vhdx', ['--force', '-q']],
  ] as const)('as %s is not touched while its writer is at work', async (_, name, words) => {
    const folder = await tempDir();
    const out = join(folder, name);
    await writeFile(out, 'what was there');
    startVhdx('convert', ...words, await serveUntil(image, image.layout.blockOffset(20)), out);
    const partial = await partialOf(out);
    const path = await saved(image, join(folder, 'source.vhdx'));
    const refused = await vhdx('convert', ...words, path, out);
    expectFailure(refused, 1, `vhdx: ${out}: is being written by process`, `remove ${out}.lock`);
    expect((await readdir(folder)).sort()).toEqual([name, basename(partial), `${name}.lock`, 'source.vhdx'].sort());
    expect(await readFile(out, 'utf8')).toBe('what was there');
  });

  test('under a name that is new is not touched either', async () => {
    const folder = await tempDir();
    const out = join(folder, 'disk.img');
    startVhdx('convert', await serveUntil(image, image.layout.blockOffset(20)), out);
    const partial = await partialOf(out);
    const path = await saved(image, join(folder, 'source.vhdx'));
    expectFailure(await vhdx('convert', path, out), 1, `vhdx: ${out}: is being written by process`);
    expect(await readdir(folder)).toContain(basename(partial));
    expect(await readdir(folder)).not.toContain('disk.img');
  });

  test('is removed by the next conversion when its writer was killed', async () => {
    const folder = await tempDir();
    const out = join(folder, 'disk.img');
    const child = startVhdx('convert', await serveUntil(image, image.layout.blockOffset(20)), out);
    const ended = ending(child);
    const partial = await partialOf(out);
    child.kill('SIGKILL');
    await ended;
    expect((await readdir(folder)).sort()).toEqual([basename(partial), 'disk.img.lock'].sort());
    const path = await saved(image, join(folder, 'disk.vhdx'));
    const own = join(folder, 'disk.img.partial'); // of somebody else
    await writeFile(own, 'kept');
    expect(await vhdx('convert', path, out)).toMatchObject({ status: 0, stderr: '' });
    expect((await readdir(folder)).sort()).toEqual(['disk.img', 'disk.img.partial', 'disk.vhdx']);
  });
});

test('the name of a VHDX is durable when it is complete', async () => {
  const folder = await tempDir();
  const handle = await open(folder, 'r');
  await handle.close();
  const seen: string[][] = [];
  vi.spyOn(Object.getPrototypeOf(handle), 'sync').mockImplementation(async () => {
    seen.push((await readdir(folder)).sort());
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const out = join(folder, 'disk.vhdx');
  await writeFileWhole(out, { replaced: undefined, durable: true }, (file) => file.write(new Uint8Array(512), 0));
  expect(seen).toEqual([['disk.vhdx', 'disk.vhdx.lock']]); // the folder is synced once, after the file has its name
});

describe('an image that is open for writing', () => {
  test('is not replaced by a conversion, --force or not', async () => {
    const folder = await tempDir();
    const out = await saved(image, join(folder, 'disk.vhdx'));
    const path = await saved(image, join(folder, 'source.vhdx'));
    const writer = await editVhdx(out);
    for (const words of [
      ['-O', 'vhdx', '--force'],
      ['-O', 'raw'],
    ]) {
      expectFailure(await vhdx('convert', ...words, path, out), 1, `vhdx: ${out}: is being written by process`);
    }
    await writer.write(new Uint8Array(512).fill(7), 0);
    await writer.close();
    expect((await readdir(folder)).sort()).toEqual(['disk.vhdx', 'source.vhdx']);
    expect(await vhdx('convert', '-O', 'vhdx', '--force', path, out)).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('a named pipe', () => {
  const pipeIn = async (folder: string): Promise<string> => {
    const pipe = join(folder, 'pipe');
    expect(await run('mkfifo', [pipe])).toMatchObject({ status: 0 });
    return pipe;
  };

  test('without a reader does not keep the command from ending at the first Ctrl-C', async () => {
    const folder = await tempDir();
    const path = await saved(image, join(folder, 'disk.vhdx'));
    const child = startVhdx('convert', path, await pipeIn(folder));
    const closed = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve(signal ?? code));
    });
    await setTimeout(1500); // it waits for a reader by now
    process.kill(child.pid as number, 'SIGINT');
    expect(await closed).toBe('SIGINT');
  });

  test('takes the whole disk', async () => {
    const folder = await tempDir();
    const path = await saved(image, join(folder, 'disk.vhdx'));
    const pipe = await pipeIn(folder);
    const child = startVhdx('convert', path, pipe);
    const ended = ending(child);
    await setTimeout(300);
    const { stdout } = await run('sh', ['-c', `cat "${pipe}" | wc -c`]);
    expect(Number(stdout)).toBe(32 * MiB);
    expect(await ended).toEqual({ status: 0, stderr: '' });
  });

  test('whose reader leaves is not success', async () => {
    const folder = await tempDir();
    const path = await saved(image, join(folder, 'disk.vhdx'));
    const pipe = await pipeIn(folder);
    const ended = ending(startVhdx('convert', path, pipe));
    expect(await run('sh', ['-c', `head -c 100 "${pipe}" | wc -c`])).toMatchObject({ stdout: '100\n' });
    expect(await ended).toEqual({ status: 141, stderr: '' });
  });
});

/** Runs a command on a terminal, interrupts it when it shows how much time is left, and prints its exit code and all it showed. */
const ON_TERMINAL = `
import fcntl, os, pty, signal, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
  fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
  os.execvp(sys.argv[2], sys.argv[2:])
shown = b''
while b'% ' not in shown: shown += os.read(terminal, 4096)
os.kill(pid, signal.SIGINT)
try:
  while more := os.read(terminal, 4096): shown += more
except OSError: pass # how Linux tells that nobody is there any more
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), ascii(shown.decode()))`;

for (const [width, line] of [
  [100, /convert \[[=-]{40}\] \d+% [\d.]+ \w+\/s, \w+ left/],
  [40, /convert \[[=-]+\] \d+% [\d.]+ \w+\/s,? \w+/],
] as const) {
  needs(python).test(`a terminal of ${width} columns has a progress bar, which goes when the work ends`, async () => {
    const url = await serveUntil(image, image.layout.blockOffset(20));
    const words = commandLine('convert', url, join(await tempDir(), 'disk.img'));
    const { status, stdout, stderr } = await python.run(['-c', ON_TERMINAL, String(width), ...words]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^130 /);
    const [shown = ''] = line.exec(stdout) ?? [];
    expect(shown, stdout).not.toBe('');
    expect(shown.length).toBeLessThan(width);
    expect(stdout).not.toContain('Error');
    // Lines and bars, but no colours: there is nothing for NO_COLOR to turn off.
    expect(stdout).not.toMatch(/\\x1b\[[\d;]*m/);
  });
}
