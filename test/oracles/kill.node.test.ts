import { expect, test } from 'vitest';
import { killWriters } from '../../scripts/kill-writers.mjs';
import { SLOW } from '../support/time-limits.js';

test('a process that writes is killed ten times at random, and what it flushed is there', SLOW.programs, async () => {
  const { dirty, flushed } = await killWriters(10, 1);
  expect(dirty).toBeGreaterThan(3);
  expect(flushed).toBeGreaterThan(100);
});
