import type { CheckReport } from '../index.js';
import { type CheckedFormat, checkJson } from './check-json.js';
import { jsonHead } from './dialect.js';

/** Checksums by the names of their algorithms, in hexadecimal. */
export type Hashes = Readonly<Record<string, string>>;

/** Why something has no checksums. */
export interface NoHashes {
  readonly error: { readonly code: string; readonly message: string };
}

/** What a report is made of. */
export interface Reported {
  /** As it is shown to the user. */
  readonly filename: string;
  readonly format: CheckedFormat;
  /** When the file was changed last, where that is known. */
  readonly modified?: Date | undefined;
  readonly check: CheckReport;
  /** Of the file, and of the disk in it; absent is what was not computed. */
  readonly hashes: { readonly file?: Hashes | NoHashes | undefined; readonly disk?: Hashes | NoHashes | undefined };
  /** When the work began. */
  readonly date: Date;
  /** What ran it, such as `Node 24.1.0, linux x64`. */
  readonly runtime: string;
}

/** What was found of an image, for the record: what it is, everything that is wrong with it, and its checksums. */
export async function imageReport(reported: Reported): Promise<object> {
  const { filename, format, modified, check, hashes, date, runtime } = reported;
  return {
    ...jsonHead(),
    date: date.toISOString(),
    runtime,
    filename,
    ...(modified && { modified: modified.toISOString() }),
    hashes: {
      ...(hashes.file && { file: hashes.file }),
      ...(hashes.disk && { disk: hashes.disk }),
    },
    check: await checkJson(check, filename, format),
  };
}
