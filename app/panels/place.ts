const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/**
 * Reads where somebody wants to go, as a byte offset: a plain number is a sector, `0x1f` a byte offset, `3 GiB` or `3G`
 * a size. Undefined where it is none of these.
 */
export function parsePlace(text: string, sectorSize: number): number | undefined {
  const bare = text.trim().replaceAll(/[,_]/g, '');
  if (/^\d+$/.test(bare)) return Number(bare) * sectorSize;
  if (/^0x[0-9a-f]+$/i.test(bare)) return Number(bare);
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt])(?:i?b)?$/i.exec(bare) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  return Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 1));
}
