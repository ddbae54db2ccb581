import { access, constants, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CheckReport } from '../index.js';
import { jsonText } from '../report/dialect.js';
import { type Hashes, imageReport, type NoHashes } from '../report/image-report.js';
import { crewOf, type ThreadFlags } from './crew/threads.js';
import { about, Failure } from './failure.js';
import { type ImageFlags, withAnyDisk } from './image-options.js';
import { errorJson } from './json.js';
import { withProgress } from './progress.js';
import { type Algorithm, type Summed, sumOf, withFileItself } from './sums.js';
import { displayName, isUrl } from './terminal.js';

/** Throws a {@link Failure} if no new file can be made at a path: better before hours of work than after. */
export async function refuseReportAt(path: string): Promise<void> {
  await about(path, async () => {
    if (await stat(path).catch(() => undefined))
      throw new Failure('there is a file already, and a report replaces none', { file: path });
    await access(dirname(path), constants.W_OK);
  });
}

/** Writes a report to a new file. */
export async function writeReport(path: string, document: unknown): Promise<void> {
  await about(path, async () => {
    try {
      await writeFile(path, `${jsonText(document, 4)}\n`, { flag: 'wx' });
    } catch (error) {
      // A part of a report is none.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rm(path, { force: true });
      throw error;
    }
  });
}

/** The report on an image that was checked: its checksums are computed for it, those of its disk if that can be read. */
export async function reportOn(
  file: string,
  check: CheckReport,
  format: 'vhdx' | 'vpc',
  flags: ImageFlags & ThreadFlags & { readonly algorithm?: readonly Algorithm[] },
): Promise<object> {
  const date = new Date();
  const algorithms = [...new Set<Algorithm>(['crc32c', ...(flags.algorithm ?? [])])];
  const sums = async (summed: Summed): Promise<Hashes> => {
    const crew = crewOf(flags, { file, flags, opened: summed });
    const hashes: Record<string, string> = {};
    for (const algorithm of algorithms) {
      const range = { offset: 0, length: summed.source.size };
      hashes[algorithm] = await withProgress(algorithm, flags, (onProgress) =>
        sumOf(summed, algorithm, { ...range, onProgress, crew }),
      );
    }
    return hashes;
  };
  // Cut to the millisecond, as pages see it.
  const changed = isUrl(file) ? undefined : (await stat(file).catch(() => undefined))?.mtimeMs;
  const disk = check.status === 'unreadable' ? undefined : await orError(withAnyDisk(file, { ...flags, format }, sums));
  return imageReport({
    filename: displayName(file),
    format,
    modified: changed === undefined ? undefined : new Date(changed),
    check,
    hashes: { file: await orError(withFileItself(file, sums)), disk },
    date,
    runtime: runtimeText(),
  });
}

async function orError(hashes: Promise<Hashes>): Promise<Hashes | NoHashes> {
  try {
    return await hashes;
  } catch (error) {
    if (error instanceof Failure) return { error: errorJson(error) };
    throw error;
  }
}

function runtimeText(): string {
  const { versions, platform, arch } = process;
  const engine = ['bun', 'deno'].find((name) => versions[name] !== undefined);
  return `${engine === undefined ? 'Node' : engine === 'bun' ? 'Bun' : 'Deno'} ${versions[engine ?? 'node']}, ${platform} ${arch}`;
}
