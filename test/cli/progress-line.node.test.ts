import { describe, expect, test } from 'vitest';
import { durationText, progressLine, Speed } from '../../src/cli/progress-line.js';
import { GiB, MiB } from '../support/encode-primitives.js';

describe('the line of a progress bar', () => {
  const half = { label: 'checksum', done: 50 * GiB, total: 100 * GiB, speed: 812 * MiB };

  test('has a bar, the share, the speed and the time that is left', () => {
    expect(progressLine(half, 100)).toBe(
      'checksum [====================--------------------] 50% 812 MiB/s, 1m04s left',
    );
  });

  test('fits whatever room there is, and leaves out what matters least', () => {
    expect(progressLine(half, 39)).toBe('checksum [====----] 50% 812 MiB/s 1m04s');
    expect(progressLine(half, 28)).toBe('checksum [====---] 50% 1m04s');
    expect(progressLine(half, 22)).toBe('checksum [====---] 50%');
    expect(progressLine(half, 15)).toBe('checksum 50%');
    for (let width = 0; width < 120; width++) {
      for (const label of ['check', 'checksum'])
        for (const speed of [undefined, 3, 999.4 * GiB])
          for (const done of [0, 1, 99 * GiB, 100 * GiB])
            expect(progressLine({ label, done, total: 100 * GiB, speed }, width).length).toBeLessThanOrEqual(width);
    }
  });

  test('says nothing of a speed that is not known', () => {
    expect(progressLine({ ...half, speed: undefined }, 30)).toBe('checksum [========-------] 50%');
    expect(progressLine({ label: 'check', done: 0, total: 0, speed: undefined }, 30)).toMatch(/^check \[-+\] 0%$/);
  });
});

test('a speed is that of the last seconds', () => {
  const speed = new Speed();
  expect(speed.perSecond).toBeUndefined();
  speed.add(0, 0);
  expect(speed.perSecond).toBeUndefined();
  speed.add(1000, 1000);
  expect(speed.perSecond).toBe(1000);
  for (let second = 2; second <= 20; second++) speed.add(1000 + (second - 1) * 50, second * 1000);
  expect(speed.perSecond).toBe(50);
});

test('a time is said in two units', () => {
  expect([0, 0.2, 59, 60, 725, 3599, 3600, 11_220, 86_400, 187_200].map(durationText)).toEqual([
    '0s',
    '1s',
    '59s',
    '1m00s',
    '12m05s',
    '59m59s',
    '1h00m',
    '3h07m',
    '1d00h',
    '2d04h',
  ]);
});
