import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { chmod, link, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { lockFile } from '../../src/io/lock.js';
import { writerOf } from '../../src/io/writer-of.js';
import { rejection } from '../support/scripted-source.js';
import { needs, tempDir, tool } from '../support/tools.js';

async function testFile(): Promise<string> {
  const path = join(await tempDir(), 'disk.vhdx');
  await writeFile(path, 'x'.repeat(4096));
  return path;
}

type Owner = Record<'host' | 'machine' | 'boot' | 'namespace' | 'ticks' | 'since' | 'token', string> & { pid: number };

const ownerIn = async (path: string): Promise<Owner> => JSON.parse(await readFile(`${path}.lock`, 'utf8'));

/** Leaves a lock behind, as a process that was killed would: this one's, with something else in it. */
async function leaveLock(path: string, changes: Partial<Owner> | ((owner: Owner) => Partial<Owner>)): Promise<Owner> {
  const lock = await lockFile(path);
  const owner = await ownerIn(path);
  await lock.release();
  const left = { ...owner, token: 'left-behind', ...(typeof changes === 'function' ? changes(owner) : changes) };
  await writeFile(`${path}.lock`, JSON.stringify(left));
  return left;
}

/** The id of a process that has ended. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid as number;
}

const filesIn = (path: string): string[] => fs.readdirSync(join(path, '..')).sort();

describe('a lock', () => {
  test('is a file beside the file that names host and process, and goes when it is released', async () => {
    const path = await testFile();
    const lock = await lockFile(path);
    expect(await ownerIn(path)).toMatchObject({ host: hostname(), pid: process.pid });
    expect(lock.warning).toBeUndefined();
    expect(await writerOf(path)).toMatch(new RegExp(`^process ${process.pid} on ${hostname()} since 20\\d\\d-`));
    await lock.release();
    await lock.release();
    expect(filesIn(path)).toEqual(['disk.vhdx']);
    expect(await writerOf(path)).toBeUndefined();
  });

  test('excludes the same process too, by whatever link', async () => {
    const path = await testFile();
    await symlink('disk.vhdx', join(path, '..', 'other'));
    const lock = await lockFile(join(path, '..', 'other'));
    const error = await rejection(lockFile(path));
    expect(error).toMatchObject({ code: 'locked', file: path });
    expect((error as Error).message).toMatch(
      new RegExp(`is being written by process ${process.pid} on .* since .*; if it is not, remove ${path}\\.lock$`),
    );
    await lock.release();
    await (await lockFile(path)).release();
  });

  test('is had by one of many that want it at once', async () => {
    const path = await testFile();
    for (let round = 0; round < 20; round++) {
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFile(path)));
      const locks = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      expect(locks).toHaveLength(1);
      await locks[0]?.release();
      expect(filesIn(path)).toEqual(['disk.vhdx']);
    }
  });

  test('is not removed by a former owner once another has it', async () => {
    const path = await testFile();
    const first = await lockFile(path);
    await rm(`${path}.lock`);
    const second = await lockFile(path);
    await first.release();
    expect(filesIn(path)).toEqual(['disk.vhdx', 'disk.vhdx.lock']);
    await second.release();
  });
});

describe('a lock that was left behind', () => {
  test('by a process that has ended is taken over', async () => {
    const path = await testFile();
    await leaveLock(path, { pid: await endedProcess() });
    expect(await writerOf(path)).toBeUndefined();
    const lock = await lockFile(path);
    expect(await ownerIn(path)).toMatchObject({ pid: process.pid });
    expect(filesIn(path)).toEqual(['disk.vhdx', 'disk.vhdx.lock']);
    await lock.release();
  });

  test('by a process whose id another one has now is taken over', async () => {
    const path = await testFile();
    // Field 22 of proc_pid_stat(5), read by another program.
    const child = spawn('cut', ['-d ', '-f22', '/proc/self/stat'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [ticks] = (await once(child.stdout, 'data')) as [Buffer];
    const left = await leaveLock(path, ({ ticks: own }) => ({ ticks: String(Number(own) - 1) }));
    expect(Number(left.ticks)).toBeLessThan(Number(ticks));
    await (await lockFile(path)).release();
  });

  test('before the machine started again is taken over', async () => {
    const path = await testFile();
    const { machine } = await leaveLock(path, { boot: 'another' });
    if (machine === '') expect(await rejection(lockFile(path))).toMatchObject({ code: 'locked' });
    else await (await lockFile(path)).release();
  });

  test('by a process that is there is not', async () => {
    const path = await testFile();
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill());
    await leaveLock(path, { pid: child.pid as number, ticks: '' });
    expect(await rejection(lockFile(path))).toMatchObject({ code: 'locked' });
  });

  test.each([
    ['host', 'another-host'],
    ['machine', 'another machine of the same name'],
    ['namespace', 'pid:[1]'],
  ])('by another %s is not, whatever its process id', async (field, value) => {
    const path = await testFile();
    const left = await leaveLock(path, { pid: await endedProcess(), [field]: value });
    const error = await rejection(lockFile(path));
    expect(error).toMatchObject({ code: 'locked' });
    expect((error as Error).message).toContain(`process ${left.pid} on ${left.host} since`);
    expect((error as Error).message).toContain(`remove ${path}.lock`);
    expect(await ownerIn(path)).toEqual(left);
  });

  test('is taken over by one of many', async () => {
    const path = await testFile();
    const pid = await endedProcess();
    for (let round = 0; round < 20; round++) {
      await leaveLock(path, { pid });
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFile(path)));
      const locks = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      expect(locks).toHaveLength(1);
      await locks[0]?.release();
      expect(filesIn(path)).toEqual(['disk.vhdx']);
    }
  });

  test.each(['before', 'after'])('while a process took one over and was killed %s it had it', async (moment) => {
    const path = await testFile();
    const pid = await endedProcess();
    const left = await leaveLock(path, { pid });
    await writeFile(`${path}.lock.taking`, JSON.stringify({ ...left, token: 'claim' }));
    await writeFile(`${path}.lock.taking.new`, moment === 'before' ? '' : JSON.stringify(left));
    if (moment === 'after') await rm(`${path}.lock`);
    const lock = await lockFile(path);
    expect(filesIn(path)).toEqual(['disk.vhdx', 'disk.vhdx.lock']);
    await lock.release();
    expect(filesIn(path)).toEqual(['disk.vhdx']);
  });

  test('without content is waited for, and taken over when nobody has filled it for two seconds', async () => {
    const path = await testFile();
    await writeFile(`${path}.lock`, '');
    const before = Date.now();
    await (await lockFile(path)).release();
    expect(Date.now() - before).toBeGreaterThan(1500);
    expect(filesIn(path)).toEqual(['disk.vhdx']);
  });

  test('without content that is filled meanwhile is that of another', async () => {
    const path = await testFile();
    const lock = await lockFile(path);
    const filled = await readFile(`${path}.lock`, 'utf8');
    await writeFile(`${path}.lock`, '');
    const other = lockFile(path).catch((error: unknown) => error);
    setTimeout(() => fs.writeFileSync(`${path}.lock`, filled), 200);
    expect(await other).toMatchObject({ code: 'locked' });
    await lock.release();
  });

  test.each(['hello', '{}', '{"pid":1}', '[]', 'null'])(
    'that is no lock of ours (%s) is never touched',
    async (text) => {
      const path = await testFile();
      await writeFile(`${path}.lock`, text);
      const old = new Date(Date.now() - 60_000);
      await utimes(`${path}.lock`, old, old);
      expect(await rejection(lockFile(path))).toMatchObject({
        code: 'locked',
        message: `${path}: is being written by another program; if it is not, remove ${path}.lock`,
      });
      expect(await readFile(`${path}.lock`, 'utf8')).toBe(text);
    },
  );

  test('with a token that is a path leads nowhere', async () => {
    const path = await testFile();
    await leaveLock(path, { pid: await endedProcess(), token: '/../../x' });
    expect(await rejection(lockFile(path))).toMatchObject({ code: 'locked' });
  });
});

describe('a folder in which no lock can be made', () => {
  test.each(['EACCES', 'EROFS', 'ENOSPC'])('is warned of (%s), and keeps no one from writing', async (code) => {
    const path = await testFile();
    const real = fs.open as (...parameters: unknown[]) => void;
    vi.spyOn(fs, 'open').mockImplementation(((...parameters: unknown[]) => {
      if (parameters[1] !== 'wx') return real(...parameters);
      (parameters.at(-1) as (error: Error) => void)(Object.assign(new Error(code), { code }));
    }) as never);
    onTestFinished(() => void vi.restoreAllMocks());
    const lock = await lockFile(path);
    expect(lock.warning).toBe(`${path}.lock could not be made (${code}), so another program may write the file too`);
    await lock.release();
  });

  test('by its permissions', async () => {
    const path = await testFile();
    await chmod(join(path, '..'), 0o555);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect((await lockFile(path)).warning).toContain('EACCES');
    } finally {
      if (isRoot) process.seteuid?.(0);
      await chmod(join(path, '..'), 0o755);
    }
  });
});

test('a file that is not there is an error', async () => {
  const path = join(await tempDir(), 'missing');
  expect(await rejection(lockFile(path))).toMatchObject({ code: 'write-failed', message: `${path}: no such file` });
});

describe('a lock of the operating system', () => {
  /** Starts a program, waits until it says something, and ends it with the spec. */
  async function holder(program: string, parameters: readonly string[]): Promise<() => Promise<void>> {
    const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return async () => {
      child.stdin.end();
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    };
  }

  needs(tool('flock')).test('of another process is respected while it lasts, by every name of the file', async () => {
    const path = await testFile();
    await link(path, `${path}.link`);
    const end = await holder('flock', ['--no-fork', path, 'sh', '-c', 'echo locked; exec sleep 60']);
    for (const name of [path, `${path}.link`]) {
      expect(await rejection(lockFile(name))).toMatchObject({
        code: 'locked',
        message: expect.stringMatching(/: is locked by process \d+$/),
      });
    }
    expect(filesIn(path)).toEqual(['disk.vhdx', 'disk.vhdx.link']);
    await end();
    // Deno says that a process has ended a moment before it has.
    await vi.waitFor(async () => (await lockFile(path)).release(), { timeout: 10_000 });
  });

  needs(tool('qemu-io')).test('of QEMU is respected', async () => {
    const path = await testFile();
    const end = await holder('qemu-io', ['-f', 'raw', path]);
    expect(await rejection(lockFile(path))).toMatchObject({
      code: 'locked',
      message: `${path}: is locked by another program`,
    });
    await end();
    // Deno says that a process has ended a moment before it has.
    await vi.waitFor(async () => (await lockFile(path)).release(), { timeout: 10_000 });
  });
});
