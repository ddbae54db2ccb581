import type { SaveFormat } from './protocol.js';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes as people say it: `4 MiB`, `1.5 GiB`. */
export function sizeText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (bytes === 1) return '1 byte';
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${UNITS[unit]}`;
}

/** From where to where, in bytes: in hexadecimal if rounded sizes would be the same. */
export function rangeText(start: number, end: number): string {
  const [from, to] = [sizeText(start), sizeText(end)];
  return from === to ? `${hexText(start)} to ${hexText(end)}` : `${from} to ${to}`;
}

/** A number of bytes as people say it, and to the byte. */
export function exactSizeText(bytes: number): string {
  return bytes < 1024 ? sizeText(bytes) : `${sizeText(bytes)} (${countText(bytes)} bytes)`;
}

/** A whole number with its thousands apart. */
export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** A number and what it counts: `1 place`, `12 places`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** Names in a row, no more of them than can be read. */
export function namesText(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${countText(names.length - 8)} more` : shown;
}

/** An offset or another number in hexadecimal. */
export function hexText(value: number): string {
  return `0x${value.toString(16)}`;
}

/** A CRC-32C as eight hexadecimal digits. */
export function checksumText(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** A share in percent; what is more than nothing never becomes 0 %, and what is less than all never 100 %. */
export function shareText(part: number, whole: number): string {
  if (part <= 0 || whole <= 0) return '0 %';
  if (part >= whole) return '100 %';
  const percent = (100 * part) / whole;
  if (percent < 0.1) return '< 0.1 %';
  if (percent > 99.9) return '> 99.9 %';
  return `${Number(percent.toFixed(percent < 10 || percent > 99 ? 1 : 0))} %`;
}

/** How long something takes, roughly. */
export function durationText(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  if (seconds < 100) return plural(Math.round(seconds), 'second');
  if (seconds < 6000) return plural(Math.round(seconds / 60), 'minute');
  return plural(Math.round(seconds / 3600), 'hour');
}

/** A text with a capital at its start, unless that is a name or an address, and a full stop at its end. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const isName = /^\S*(\.\w|:\/)/.test(trimmed);
  const begun = isName ? trimmed : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

const ENDINGS: Readonly<Record<SaveFormat, string>> = { raw: 'img', vhd: 'vhd', vhdx: 'vhdx' };

/** The name of a file with another ending, for a part of its disk with something before that. */
export function savedName(name: string, format: SaveFormat, suffix = ''): string {
  return `${name.replace(/\.(a?vhdx?|img|raw|bin)$/i, '')}${suffix}.${ENDINGS[format]}`;
}
