import { InvalidArgumentError } from 'commander';

/** Parses a number from 1 on. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('It is not a number from 1 on.');
  return count;
}
