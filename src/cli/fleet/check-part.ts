import { type CheckReport, checkVhdx, type Shard } from '../../index.js';
import { kebabKeys } from '../../report/dialect.js';
import { CHECK_EXIT_CODES } from '../check-report.js';
import { type ImageFlags, openOptions, warnOfDoubts } from '../image-options.js';
import { withProgress } from '../progress.js';
import { identify } from './checksum-part.js';
import { type CheckPart, doPart, identitiesOf } from './part.js';

/** Does one part of the check of an image: that of the places in a part of the file. */
export function checkPart(file: string, shard: Shard, flags: ImageFlags & { readonly to?: string }): Promise<void> {
  return doPart<CheckPart>(
    file,
    { shard, to: flags.to },
    {
      part: 'check',
      identify: () => identify(file, flags),
      work: async () => {
        const report = await withProgress('check', flags, (onProgress) =>
          checkVhdx(file, { ...openOptions(flags), shard, onProgress }),
        );
        if (flags.ignoreParentMismatch) warnOfDoubts(report, file);
        process.exitCode = CHECK_EXIT_CODES[report.status];
        const border = (part: number): number => Math.floor((report.fileSize * part) / shard.of);
        const offset = border(shard.index);
        return {
          image: identitiesOf(report),
          range: { offset, length: border(shard.index + 1) - offset },
          report: reportJson(report),
        };
      },
    },
  );
}

/** Keys under which there are codes and keys of a locator, which are nobody's names of ours. */
const AS_THEY_ARE = ['unlisted', 'parentLocator', 'parent-locator'];

function reportJson(report: CheckReport): unknown {
  return renameKeys(report, (key) => Object.keys(kebabKeys({ [key]: 0 }) as object)[0] ?? key);
}

/** The report that a part has. */
export function reportFromJson(data: unknown): CheckReport {
  return renameKeys(data, (key) => key.replace(/-[a-z]/g, (pair) => pair.slice(1).toUpperCase())) as CheckReport;
}

function renameKeys(data: unknown, rename: (key: string) => string): unknown {
  if (Array.isArray(data)) return data.map((item) => renameKeys(item, rename));
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      rename(key),
      AS_THEY_ARE.includes(key) ? value : renameKeys(value, rename),
    ]),
  );
}
