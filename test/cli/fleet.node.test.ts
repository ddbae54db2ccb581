// Work in parts: --shard, fleet and combine give what the undivided command gives, and say what does not fit.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { editVhdx } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { expectFailure, saved, vhdx, vhdxWith } from '../support/command.js';
import { MiB } from '../support/encode-primitives.js';
import { folderOfImages } from '../support/fleet-images.js';
import { STATE } from '../support/image-spec.js';
import { expectOutput } from '../support/output-schema.js';
import { sourceBytes } from '../support/scripted-source.js';
import { SLOW } from '../support/time-limits.js';
import { tempDir } from '../support/tools.js';

/** Does all parts of a command, in files, and returns their names, the last part first. */
async function inParts(of: number, folder: string, ...command: string[]): Promise<string[]> {
  const files: string[] = [];
  for (let index = 0; index < of; index++) {
    const to = join(folder, `part-${index}`);
    const { stderr, stdout } = await vhdx(...command, '--shard', `${index}/${of}`, '--to', to);
    expect({ stderr, stdout }).toEqual({ stderr: '', stdout: '' });
    expectOutput('part', await readFile(to, 'utf8'));
    files.unshift(to);
  }
  return files;
}

const part = async (file: string) => JSON.parse(await readFile(file, 'utf8'));

describe('vhdx checksum --shard', () => {
  test('sums parts with as much data each, and combine makes the checksum of the whole', async () => {
    const { folder, child } = await folderOfImages();
    const files = await inParts(3, folder, 'checksum', child);
    const parts = await Promise.all(files.map(part));
    expect(parts.map(({ range }) => range.offset % MiB)).toEqual([0, 0, 0]);
    expect(parts[2]).toMatchObject({ part: 'checksum', shard: { index: 0, of: 3 }, image: [{}, {}] });
    const whole = await vhdx('checksum', child);
    expect(await vhdx('combine', ...files)).toEqual(whole);
    const json = await vhdx('combine', '--output', 'json', ...files, files[0] as string);
    expectOutput('combined', json.stdout);
    expect(JSON.parse(json.stdout)).toMatchObject({ checksum: whole.stdout.slice(0, 8), size: 64 * MiB });
    const piped = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('');
    expect(await vhdxWith({ input: piped }, 'combine', '-')).toEqual(whole);
  });

  test('does nothing if the part is there, and does it again if it is cut or the image has changed', async () => {
    const { folder, base } = await folderOfImages();
    const [file] = (await inParts(1, folder, 'checksum', base)) as [string];
    const { mtimeMs } = await stat(file);
    await inParts(1, folder, 'checksum', base);
    expect((await stat(file)).mtimeMs).toBe(mtimeMs);
    const before = await readFile(file, 'utf8');
    await writeFile(file, before.slice(0, 50));
    await inParts(1, folder, 'checksum', base);
    expect(await readFile(file, 'utf8')).toBe(before);
    const disk = await editVhdx(base);
    await disk.write(sourceBytes(1, 512), 0);
    await disk.close();
    await inParts(1, folder, 'checksum', base);
    expect((await part(file)).checksum).not.toBe(JSON.parse(before).checksum);
    expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  test(
    'ends with 75 if something failed that says nothing about the image, with 1 if the image is bad',
    async () => {
      const { bad, folder } = await folderOfImages();
      const server = createServer((_, response) => response.writeHead(503).end());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void server.close());
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.vhdx`;
      expectFailure(await vhdx('checksum', '--shard', '0/1', url), 75, '503');
      expectFailure(await vhdx('checksum', '--shard', '0/1', bad), 1, 'BAT entry');
      expectFailure(await vhdx('checksum', '--shard', '0/1', join(folder, 'nothing')), 1, 'no such file');
      const list = join(folder, 'list');
      await writeFile(list, `${url}\n${bad}\n`);
      const both = await vhdx('fleet', 'checksum', '--list', list, '--to', join(folder, 'out'));
      expect(both.status).toBe(75);
      const [first = ''] = (await readFile(join(folder, 'out.partial'), 'utf8')).split('\n');
      expectOutput('fleet-line', first);
      expect(JSON.parse(first)).toMatchObject({ error: { transient: true } });
      expect(await readdir(folder)).toContain('out.partial');
    },
    SLOW.programs.timeout,
  );
});

describe('vhdx check --shard', () => {
  test.each(['bad', 'child', 'base'] as const)('finds in parts what it finds in the whole: %s', async (name) => {
    const images = await folderOfImages();
    const files = await inParts(4, images.folder, 'check', images[name]);
    for (const output of ['human', 'json']) {
      const { stdout, status } = await vhdx('check', '--output', output, images[name]);
      expect(await vhdx('combine', '--output', output, ...files)).toMatchObject({ stdout, status, stderr: '' });
    }
  });
});

describe('vhdx convert --shard', () => {
  test('writes parts into one file, again if need be, and combine gives it free', async () => {
    const { folder, path, child } = await folderOfImages();
    const out = path('out.raw');
    const files = await inParts(3, folder, 'convert', child, out);
    await inParts(3, folder, 'convert', child, out);
    expect(await readdir(folder)).toContain('out.raw.shards');
    const done = await vhdx('combine', ...files);
    expect(done).toMatchObject({ status: 0, stdout: `${out}: all 3 parts are written\n` });
    expect(await readdir(folder)).not.toContain('out.raw.shards');
    expect(await vhdx('compare', child, '-F', 'raw', out)).toMatchObject({ status: 0 });
    expectFailure(await vhdx('convert', '--shard', '0/3', child, out), 1, 'out.raw: exists already');
  });

  test('refuses an output that is made for another image, or in another number of parts', async () => {
    const { path, base, child } = await folderOfImages();
    const out = path('out.raw');
    expect(await vhdx('convert', '--shard', '1/2', base, out)).toMatchObject({ status: 0 });
    for (const other of [
      ['1/2', child],
      ['1/3', base],
    ] as const) {
      expectFailure(await vhdx('convert', '--shard', ...other, out), 1, 'is being written from another image');
    }
  });

  test('by all parts at the same time', async () => {
    const { path, child } = await folderOfImages();
    const out = path('out.raw');
    const parts = [0, 1, 2, 3, 4].map((index) => vhdx('convert', '--shard', `${index}/5`, child, out));
    for (const { status, stderr } of await Promise.all(parts))
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(await vhdx('compare', child, '-F', 'raw', out)).toMatchObject({ status: 0 });
  });
});

describe('vhdx combine', () => {
  test('names what is missing, foreign, cut, contradictory or of another version', async () => {
    const { folder, path, base, child } = await folderOfImages();
    const [two, one, zero] = (await inParts(3, folder, 'checksum', base)) as [string, string, string];
    const text = await readFile(one, 'utf8');
    const changed = async (name: string, from: string | RegExp, to: string) => {
      expect(text.replace(from, to)).not.toBe(text);
      await writeFile(path(name), text.replace(from, to));
      return path(name);
    };
    const other = path('other');
    await vhdx('checksum', '--shard', '1/3', child, '--to', other);
    const cut = path('cut');
    await writeFile(cut, text.slice(0, 100));
    const check = path('check');
    await vhdx('check', '--shard', '1/3', base, '--to', check);
    const cases: [string[], string][] = [
      [[zero, two], 'part 1 of 3 is missing'],
      [[zero], 'parts 1, 2 of 3 are missing'],
      [[zero, other, two], 'is of'],
      [[zero, cut, two], 'line 1 is cut'],
      [[zero, check, two], 'is of check, others are of checksum'],
      [
        [zero, await changed('guid', /("data-write-guid":")./, '$1_'), two],
        'is of another image, or of this one before',
      ],
      [[zero, await changed('version', /("tool-version":")/, '$19'), two], 'is of version 9'],
      [[zero, await changed('number', '"of":3', '"of":4'), two], 'part 1 of 4 does not go with parts of 3'],
    ];
    for (const [files, message] of cases) {
      expectFailure(await vhdx('combine', ...files), 1, message);
    }
    await writeFile(
      path('twice'),
      text.replace(/"checksum":"(.)/, (_, digit) => `"checksum":"${digit === '0' ? 1 : 0}`),
    );
    expectFailure(
      await vhdx('combine', zero, one, two, path('twice')),
      1,
      'part 1 of 3 is there twice, with different',
    );
    expectFailure(await vhdx('combine', join(folder, 'nothing')), 1, 'no such file');
  });
});

describe('vhdx fleet', () => {
  test(
    'splits a list by the names, goes on where it stopped, and combine has the order of the list',
    async () => {
      const { folder, path, base, child, bad } = await folderOfImages();
      const list = path('list');
      await writeFile(list, `${base}\n\n${bad}\n${child}\n${path('nothing.vhdx')}\n`);
      const files = [0, 1, 2].map((index) => join(folder, `fleet-${index}`));
      const statuses = [];
      for (const [index, to] of files.entries()) {
        const { status } = await vhdx('fleet', 'check', '--list', list, '--shard', `${index}/3`, '--to', to);
        statuses.push(status);
      }
      expect(statuses).toContain(1);
      const { stdout, status } = await vhdx('combine', ...files.reverse());
      expect(status).toBe(1);
      expect(stdout.split('\n').slice(0, 5)).toEqual([
        expect.stringMatching(/^sound .*base\.vhdx$/),
        expect.stringMatching(/^corrupt .*bad\.vhdx$/),
        expect.stringMatching(/^sound .*child\.avhdx$/),
        expect.stringMatching(/^error: no such file .*nothing\.vhdx$/),
        '4 images, 2 bad',
      ]);
      const whole = await vhdx('fleet', 'check', '--list', list, '--to', path('whole'));
      expect(whole.status).toBe(1);
      expect((await vhdx('combine', path('whole'))).stdout).toBe(stdout);
      // As if it had been killed after its first two lines: those are not done again.
      const lines = (await readFile(path('whole'), 'utf8')).split('\n');
      for (const line of lines.slice(0, -1)) expectOutput('fleet-line', line);
      expectOutput('combined', (await vhdx('combine', '--output', 'json', path('whole'))).stdout);
      const marked = lines[0]?.replace('"status":"sound"', '"status":"repairable"');
      await writeFile(path('again.partial'), `${marked}\n${lines[1]}\n${lines[2]?.slice(0, 20)}`);
      await vhdx('fleet', 'check', '--list', list, '--to', path('again'));
      expect((await vhdx('combine', path('again'))).stdout).toBe(stdout.replace(/^sound/, 'repairable'));
      expectFailure(await vhdx('combine', files[0] as string, files[1] as string), 1, 'is missing or cut');
      expectFailure(await vhdx('combine', path('whole'), files[0] as string), 1, 'does not go with');
    },
    SLOW.programs.timeout,
  );

  test('gives the checksums that checksum gives', async () => {
    const { path, base, child } = await folderOfImages();
    const list = `${base}\n${child}\n`;
    const { stdout } = await vhdxWith({ input: list }, 'fleet', 'checksum', '--list', '-');
    const sums = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).checksum]));
    const lines = (await vhdx('checksum', base, child)).stdout.split('\n');
    expect(sums).toEqual([lines[0]?.slice(0, 8), lines[1]?.slice(0, 8), undefined]);
    expectFailure(await vhdx('fleet', 'check', '--list', path('nothing')), 1, 'no such file');
  });
});

describe('--shard', () => {
  test.each([
    ['4/4', 'There is no part 4 of 4: they are 0 to 3.'],
    ['0/0', 'There must be 1 part or more, not 0.'],
    ['1', 'It is neither I/N'],
    ['-1/4', 'It is neither I/N'],
    ['1/x', 'It is neither I/N'],
  ])('%s is refused', async (shard, message) => {
    const { stderr, status } = await vhdx('checksum', `--shard=${shard}`, 'any.vhdx');
    expect(stderr).toContain(message);
    expect(status).toBe(1);
  });

  const auto = (env: Record<string, string>, ...more: string[]) =>
    vhdxWith({ env }, 'fleet', 'check', '--list', '-', '--shard', 'auto', ...more);

  test.each<[string, Record<string, string>, string[], object]>([
    [
      'Slurm, whose tasks begin at any number',
      { SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_MIN: '3', SLURM_ARRAY_TASK_COUNT: '4', SLURM_ARRAY_TASK_STEP: '2' },
      [],
      { index: 2, of: 4 },
    ],
    ['Kubernetes', { JOB_COMPLETION_INDEX: '1' }, ['--of', '3'], { index: 1, of: 3 }],
    ['AWS Batch', { AWS_BATCH_JOB_ARRAY_INDEX: '0' }, ['--of', '2'], { index: 0, of: 2 }],
  ])('auto is what the engine says: %s', async (_, env, more, shard) => {
    const { stdout } = await auto(env, ...more);
    expect(JSON.parse(stdout)).toMatchObject({ shard, end: true, images: 0 });
  });

  test.each<[Record<string, string>, string[], string]>([
    [{}, [], 'no batch engine says which part this is'],
    [{ JOB_COMPLETION_INDEX: '1' }, [], 'The number of parts is not known; --of N says it.'],
    [{ JOB_COMPLETION_INDEX: '3' }, ['--of', '3'], 'There is no part 3 of 3'],
    [{ JOB_COMPLETION_INDEX: 'x' }, ['--of', '3'], 'JOB_COMPLETION_INDEX is "x", not a number'],
    [
      { SLURM_ARRAY_TASK_ID: '1', SLURM_ARRAY_TASK_COUNT: '4' },
      ['--of', '3'],
      'The engine has 4 parts, and --of says 3',
    ],
  ])('auto with %o %o is refused', async (env, more, message) => {
    expectFailure(await auto(env, ...more), 1, message);
  });

  test('is never taken from the environment without auto', async () => {
    const env = { SLURM_ARRAY_TASK_ID: '1', SLURM_ARRAY_TASK_COUNT: '4', JOB_COMPLETION_INDEX: '2' };
    const { stdout } = await vhdxWith({ env }, 'fleet', 'check', '--list', '-');
    expect(JSON.parse(stdout)).toMatchObject({ shard: { index: 0, of: 1 } });
  });

  test('takes one image, a VHDX', async () => {
    const folder = await tempDir();
    const raw = join(folder, 'a.raw');
    await writeFile(raw, new Uint8Array(MiB));
    expectFailure(await vhdx('checksum', '-f', 'raw', '--shard', '0/2', raw), 1, '--shard takes a VHDX');
    expectFailure(await vhdx('checksum', '--shard', '0/2', raw, raw), 1, 'takes one image');
    expectFailure(await vhdx('checksum', '--of', '2', raw), 1, '--of goes with --shard auto');
    const source = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: pattern(1) } } });
    const image = await saved(source, join(folder, 'a.vhdx'));
    expectFailure(await vhdx('convert', '--shard', '0/2', image, '-'), 1, 'into a raw file');
  });
});
