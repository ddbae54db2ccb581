import { InvalidArgumentError } from 'commander';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;
const SUFFIXES = 'bkmgtpe';

/**
 * Parses a size or an offset as qemu-img does: `512`, `4k`, `1.5G`, `0x100000`.
 *
 * @throws InvalidArgumentError if it is none, or not a whole number of bytes below 2^53
 */
export function parseByteSize(text: string): number {
  const parts = /^(?:(0x[0-9a-f]+)|(\d+(?:\.\d+)?))([bkmgtpe]?)$/i.exec(text);
  if (!parts) throw new InvalidArgumentError('It is not a size, such as 512, 4k, 1.5G or 0x100000.');
  const [, hexadecimal, decimal, suffix = ''] = parts;
  const bytes = Number(hexadecimal ?? decimal) * 1024 ** Math.max(0, SUFFIXES.indexOf(suffix.toLowerCase()));
  if (!Number.isInteger(bytes)) throw new InvalidArgumentError('It is not a whole number of bytes.');
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError('It is more than any disk has.');
  return bytes;
}

/** A size for people: `1.5 GiB`. */
export function humanSize(bytes: number): string {
  let unit = 0;
  let size = bytes;
  // 1023.5 KiB would be shown as 1024 KiB.
  for (; size >= 1023.5 && unit < UNITS.length - 1; unit++) size /= 1024;
  const shown = size >= 100 ? Math.round(size) : Number(size.toPrecision(3));
  return `${shown} ${bytes === 1 ? 'byte' : UNITS[unit]}`;
}

/** A size for people and to the byte: `1.5 GiB (1610612736 bytes)`. */
export function fullSize(bytes: number): string {
  return bytes < 1024 ? humanSize(bytes) : `${humanSize(bytes)} (${bytes} bytes)`;
}

/** An offset or a length in hexadecimal. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
