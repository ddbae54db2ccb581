import { describe, expect, test } from 'vitest';
import { CrashFile } from './crash-file.js';
import { type CrashOptions, type CrashState, crashPoints, crashStates, reproduce } from './crash-states.js';
import { differenceOf, PageImage } from './page-image.js';

const bytesOf = (value: number, length: number) => new Uint8Array(length).fill(value);

/** What the first byte of each 512-byte sector of a state is, as a text: `A.B` and the like; `.` for zeros. */
function sectors({ image }: { readonly image: PageImage }): string {
  const letter = (value: number) => (value === 0 ? '.' : String.fromCharCode(value));
  return Array.from({ length: Math.ceil(image.size / 512) }, (_, i) => {
    const sector = image.read(i * 512, Math.min(512, image.size - i * 512));
    expect(sector.every((byte) => byte === sector[0])).toBe(true); // old or new, never mixed
    return letter(sector[0] as number);
  }).join('');
}

/** All states of the last point of a trace, as texts. */
function lastStates(file: CrashFile, options: CrashOptions = {}): Map<string, string> {
  const point = [...crashPoints(file)].at(-1);
  if (!point) throw new Error('a trace without a point');
  return new Map([...crashStates(point, options)].map((state): [string, string] => [state.subset, sectors(state)]));
}

const A = 65;
const B = 66;
const C = 67;

describe('a crash file', () => {
  test('reads back at once what was written, and how long it is', async () => {
    const file = new CrashFile();
    await file.write(bytesOf(A, 1000), 5000);
    await file.truncate(5500);
    const target = new Uint8Array(500);
    await file.readInto(target, 5000);
    expect(file.size).toBe(5500);
    expect(target).toEqual(bytesOf(A, 500));
    await expect(file.readInto(target, 5001)).rejects.toThrow(RangeError);
    expect(file.content().read(4999, 2)).toEqual(Uint8Array.of(0, A));
  });

  test('leaves what it was opened with as it was', async () => {
    const before = PageImage.of(bytesOf(A, 8192));
    await new CrashFile(before).write(bytesOf(B, 4096), 0);
    expect(before.read(0, 8192)).toEqual(bytesOf(A, 8192));
  });

  test('can be made to fail, and what failed may have been done in part', async () => {
    const file = new CrashFile(new PageImage(1024), {
      fail: (kind) => (kind === 'write' ? new Error('EIO') : undefined),
    });
    await expect(file.write(bytesOf(A, 1024), 0)).rejects.toThrow('EIO');
    await file.flush();
    const states = new Set(lastStates(file, { random: 0 }).values());
    expect(states).toEqual(new Set(['..', 'AA', '.A', 'A.']));
  });
});

describe('a power cut', () => {
  test('keeps what was flushed, and any subset of the sectors written since', async () => {
    const file = new CrashFile(new PageImage(2048));
    await file.write(bytesOf(A, 1024), 0);
    await file.flush();
    await file.write(bytesOf(B, 1024), 512);
    const states = lastStates(file);
    expect(states.get('none')).toBe('AA..');
    expect(states.get('all')).toBe('ABB.');
    expect(states.get('torn 0.0')).toBe('AAB.');
    expect(states.get('torn 0.1')).toBe('AB..');
  });

  test('tears at 4096 bytes where that is the granule', async () => {
    const file = new CrashFile(new PageImage(12_288));
    await file.write(bytesOf(A, 8192), 2048);
    const states = lastStates(file, { granule: 4096 });
    expect(states.get('torn 0.0')).toBe('........AAAAAAAAAAAA....');
    expect(states.get('torn 0.2')).toBe('....AAAAAAAAAAAA........');
  });

  test('leaves any of several writes to a sector, or what was there before', async () => {
    const file = new CrashFile(PageImage.of(bytesOf(A, 512)));
    await file.write(bytesOf(B, 512), 0);
    await file.write(bytesOf(C, 512), 0);
    const states = lastStates(file);
    expect(states.get('none')).toBe('A');
    expect(states.get('only 0')).toBe('B');
    expect(states.get('only 1')).toBe('C');
  });

  test('loses the length, and with it what lies past it, or keeps the length without the bytes', async () => {
    const file = new CrashFile(PageImage.of(bytesOf(A, 512)));
    await file.truncate(1536);
    await file.write(bytesOf(B, 512), 1024);
    const states = lastStates(file);
    expect(states.get('only 0')).toBe('A..');
    expect(states.get('without 0')).toBe('A');
    expect(states.get('only 1')).toBe('A.B');
    expect(states.get('only 1 of the same length')).toBe('A');
    expect(states.get('length 0')).toBe('A');
  });

  test('gives zeros where a file was cut and grew again', async () => {
    const file = new CrashFile(PageImage.of(bytesOf(A, 1536)));
    await file.truncate(512);
    await file.truncate(1536);
    await file.write(bytesOf(B, 512), 1024);
    const states = lastStates(file);
    expect(states.get('none')).toBe('AAA');
    expect(states.get('first 1')).toBe('A');
    expect(states.get('first 2')).toBe('A..');
    expect(states.get('all')).toBe('A.B');
  });

  test('counts a flush that has begun and not ended as no flush', async () => {
    const file = new CrashFile(new PageImage(512), {
      fail: (kind) => (kind === 'flush' ? new Error('EIO') : undefined),
    });
    await file.write(bytesOf(A, 512), 0);
    await expect(file.flush()).rejects.toThrow('EIO');
    expect(lastStates(file).get('none')).toBe('.');
  });

  test('loses a write that was in flight when the flush began', async () => {
    const file = new CrashFile(new PageImage(1024), {
      turns: (offset, length) => (length > 0 && offset === 512 ? 3 : 0),
    });
    const slow = file.write(bytesOf(B, 512), 512);
    await file.write(bytesOf(A, 512), 0);
    await file.flush();
    await slow;
    expect(lastStates(file).get('none')).toBe('A.');
  });

  test('can come before each operation, before each end of a flush, and at the end', async () => {
    const file = new CrashFile();
    await file.write(bytesOf(A, 512), 0);
    file.note('acknowledged');
    await file.flush();
    await file.write(bytesOf(B, 512), 0);
    const points = [...crashPoints(file)];
    expect(points.map(({ pending }) => pending.length)).toEqual([0, 1, 0, 1]);
    expect(points.map(({ events }) => events.map(({ kind }) => kind))).toEqual([
      [],
      ['write', 'note', 'flush-begin'],
      ['flush-end'],
      ['write'],
    ]);
  });
});

describe('a state', () => {
  test('can be made again from its name', async () => {
    const file = new CrashFile(PageImage.of(bytesOf(A, 16_384)));
    for (let i = 0; i < 12; i++) await file.write(bytesOf(B + i, 3000), i * 1200);
    await file.truncate(9000);
    let states = 0;
    for (const point of crashPoints(file)) {
      for (const { id, image } of crashStates(point, { seed: 7, random: 20 })) {
        expect(differenceOf(reproduce(file, id).image, image)).toBeUndefined();
        states += 1;
      }
    }
    expect(states).toBeGreaterThan(500);
  });

  test('is another one with another seed', async () => {
    const file = new CrashFile(new PageImage(512 * 32));
    for (let i = 0; i < 32; i++) await file.write(bytesOf(A, 512), i * 512);
    const random = (seed: number) => [...lastStates(file, { seed, random: 8 })].slice(-8).map(([, state]) => state);
    expect(random(1)).toEqual(random(1));
    expect(random(1)).not.toEqual(random(2));
    expect(new Set(random(3)).size).toBeGreaterThan(4);
  });

  test('can itself be what a file is opened with: the power goes again during recovery', async () => {
    const file = new CrashFile(new PageImage(1024));
    await file.write(bytesOf(A, 1024), 0);
    const [point] = [...crashPoints(file)].slice(-1);
    const nested = [...crashStates(point as never, { random: 0 })].map(async (state: CrashState) => {
      const recovery = new CrashFile(state.image);
      await recovery.write(bytesOf(B, 512), 0);
      return lastStates(recovery).get('none');
    });
    expect(await Promise.all(nested)).toEqual(['..', 'AA', '.A', 'A.']);
  });
});
