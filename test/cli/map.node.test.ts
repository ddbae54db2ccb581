import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { pattern, sectorBits } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { saved, vhdx } from '../support/command.js';
import { MiB, TiB } from '../support/encode-primitives.js';
import { BASE_DATA_WRITE_GUID, locatorEntries, STATE } from '../support/image-spec.js';
import { rangeServer, serveRange } from '../support/range-server.js';
import { SLOW } from '../support/time-limits.js';
import { tempDir } from '../support/tools.js';

interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
}

async function mapJson(...args: readonly string[]): Promise<MapEntry[]> {
  const { status, stdout, stderr } = await vhdx('map', '--output', 'json', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

const data = { present: true, zero: false, data: true };
const zero = { present: true, zero: true, data: false };
const unmapped = { present: false, zero: true, data: false };

/** One block of each state, and one that lies past the end of the file. */
const oneOfEach = buildImage({
  virtualSize: 7 * MiB + 512,
  blocks: {
    0: { state: STATE.fullyPresent, data: pattern(0) },
    1: { state: STATE.fullyPresent, data: pattern(1) },
    2: { state: STATE.zero },
    3: { state: STATE.unmapped },
    5: { state: STATE.fullyPresent, data: pattern(5), offset: 900 * MiB },
    6: { state: STATE.fullyPresent, data: pattern(6) },
    7: { state: STATE.fullyPresent, data: pattern(7) },
  },
  fileSize: 800 * MiB,
});

describe('vhdx map', () => {
  test('is the array of qemu-img map, and says what is damaged', async () => {
    const path = await saved(oneOfEach, join(await tempDir(), 'disk.vhdx'));
    const first = oneOfEach.layout.blockOffset(0);
    expect(await mapJson(path)).toEqual([
      { start: 0, length: 2 * MiB, depth: 0, ...data, offset: first },
      { start: 2 * MiB, length: MiB, depth: 0, ...zero },
      { start: 3 * MiB, length: 2 * MiB, depth: 0, ...unmapped },
      { start: 5 * MiB, length: MiB, depth: 0, present: true, zero: false, data: false, damage: 'bat-past-end' },
      { start: 6 * MiB, length: MiB + 512, depth: 0, ...data, offset: oneOfEach.layout.blockOffset(6) },
    ]);
  });

  test('is a table for people', async () => {
    const path = await saved(oneOfEach, join(await tempDir(), 'disk.vhdx'));
    const { status, stdout } = await vhdx('map', path);
    expect(status).toBe(0);
    const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
    const at = `0x${oneOfEach.layout.blockOffset(0).toString(16)}`;
    expect(rows.slice(0, 5)).toEqual([
      ['Offset', 'Length', 'Mapped to', 'File'],
      ['0x0', '0x200000', at, 'disk.vhdx'],
      ['0x200000', '0x100000', 'zero', 'disk.vhdx'],
      ['0x300000', '0x200000', 'unmapped', 'disk.vhdx'],
      ['0x500000', '0x100000', 'bat-past-end', 'disk.vhdx'],
    ]);
  });

  test('can be of a part, which may begin or end anywhere', async () => {
    const path = await saved(oneOfEach, join(await tempDir(), 'disk.vhdx'));
    const offset = oneOfEach.layout.blockOffset(0) + 1.5 * MiB;
    expect(await mapJson('--start-offset', '1536k', '--max-length', '1M', path)).toEqual([
      { start: 1.5 * MiB, length: 0.5 * MiB, depth: 0, ...data, offset },
      { start: 2 * MiB, length: 0.5 * MiB, depth: 0, ...zero },
    ]);
    expect(await mapJson('--start-offset', '7M', '--max-length', '1G', path)).toHaveLength(1);
    expect(await mapJson('--start-offset', '1G', path)).toEqual([]);
  });

  test('says which member of a chain each range comes from', async () => {
    const folder = await tempDir();
    const base = buildImage({ blocks: { 0: { state: STATE.fullyPresent, data: pattern(0) } } });
    const block = { state: STATE.partiallyPresent, data: pattern(9), bitmap: sectorBits(2048, [8, 16]) };
    const entries = locatorEntries({ linkage: BASE_DATA_WRITE_GUID, relativePath: '.\\base.vhdx' });
    const child = buildImage({ type: 'differencing', blocks: { 0: block }, parentLocator: { entries } });
    await saved(base, join(folder, 'base.vhdx'));
    const path = await saved(child, join(folder, 'child.avhdx'));
    const map = await mapJson('--max-length', '1M', path);
    const [below, own] = [base.layout.blockOffset(0), child.layout.blockOffset(0)];
    expect(map).toEqual([
      { start: 0, length: 4096, depth: 1, ...data, offset: below },
      { start: 4096, length: 4096, depth: 0, ...data, offset: own + 4096 },
      { start: 8192, length: MiB - 8192, depth: 1, ...data, offset: below + 8192 },
    ]);
    const { stdout } = await vhdx('map', '--max-length', '1M', path);
    expect(
      stdout
        .split('\n')
        .slice(1, 4)
        .map((line) => line.split(/ +/).at(-1)),
    ).toEqual(['base.vhdx', 'child.avhdx', 'base.vhdx']);
  });

  test('of 100,000 blocks is whole, in order and without gaps', async () => {
    const blocks = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, i) => [2 * i, { state: STATE.fullyPresent, offset: (8 + (i % 7)) * MiB }]),
    );
    const path = await saved(
      buildImage({ virtualSize: TiB, blocks, fileSize: 16 * MiB }),
      join(await tempDir(), 'disk.vhdx'),
    );
    const map = await mapJson(path);
    expect(map).toHaveLength(100_000);
    let end = 0;
    for (const { start, length } of map) {
      if (start !== end) expect({ start }).toEqual({ start: end });
      end = start + length;
    }
    expect(end).toBe(TiB);
  });

  test(
    'that fails midway is still an array, which ends with the failure, and exits with 1',
    SLOW.programs,
    async () => {
      const blocks = Object.fromEntries(
        Array.from({ length: 5000 }, (_, i) => [2 * i, { state: STATE.fullyPresent, offset: 16 * MiB }]),
      );
      const image = buildImage({ virtualSize: TiB, blocks, fileSize: 32 * MiB });
      const border = image.layout.bat.offset + 2 * MiB; // of 8 MiB
      const { url } = await rangeServer(async (request) => {
        if (request.from < border) return serveRange({ ...request, to: Math.min(request.to, border) }, image);
        request.response.writeHead(403).end();
      });
      const said = `${url}: the server does not permit access (HTTP status 403)`;
      const json = await vhdx('map', '--output', 'json', url);
      expect(json).toMatchObject({ status: 1, stderr: `vhdx: ${said}\n` });
      const map = JSON.parse(json.stdout);
      expect(map.at(-1)).toMatchObject({ filename: url, error: { code: 'read-failed' } });
      expect(map.length).toBeGreaterThan(4000);
      for (const [i, { start }] of map.slice(0, 4000).entries()) expect(start).toBe(i * MiB);
      const human = await vhdx('map', url);
      expect(human).toMatchObject({ status: 1, stderr: `vhdx: ${said}\n` });
      expect(human.stdout).toMatch(/^Offset +Length +Mapped to +File\n(0x[0-9a-f]+ .*\n)+$/);
      const whole = await vhdx('map', '--output', 'json', '--max-length', '1G', url);
      expect(whole).toMatchObject({ status: 0, stderr: '' });
    },
  );

  test('that cannot begin is the failure alone', async () => {
    const nowhere = join(await tempDir(), 'nowhere');
    const { status, stdout, stderr } = await vhdx('map', '--output', 'json', nowhere);
    expect({ status, stderr }).toEqual({ status: 1, stderr: `vhdx: ${nowhere}: no such file\n` });
    expect(JSON.parse(stdout)).toMatchObject({ filename: nowhere, error: { code: 'read-failed' } });
  });

  test('of an empty disk is an empty array', async () => {
    const path = await saved(buildImage({ virtualSize: 0, blocks: {} }), join(await tempDir(), 'empty.vhdx'));
    expect(await mapJson(path)).toEqual([]);
  });
});
