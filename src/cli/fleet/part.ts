import { open, readFile, rename, unlink } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { type CheckReport, type DiskInfo, type Finding, type Shard, VhdxError } from '../../index.js';
import { jsonHead, jsonText, kebabKeys } from '../../report/dialect.js';
import { about, Failure, failureOf, isSystemError } from '../failure.js';
import { writeOut } from '../standard-output.js';

/** What identifies the state of an image: a part belongs to it alone. */
export interface Identity {
  readonly 'file-size': number;
  readonly 'virtual-size'?: number;
  readonly 'file-write-guid'?: string;
  readonly 'data-write-guid'?: string;
  readonly 'log-guid'?: string;
}

/** What every part of work on one image says. */
export interface PartHead {
  readonly schema: number;
  readonly 'tool-version': string;
  readonly part: 'checksum' | 'check' | 'convert';
  readonly shard: Shard;
  /** As the caller named it. */
  readonly filename: string;
  /** The image, and the parents that were read with it. */
  readonly image: readonly Identity[];
  /** Of the disk, or for a check of the file, in bytes. */
  readonly range: { readonly offset: number; readonly length: number };
}

/** A part of a checksum. */
export interface ChecksumPart extends PartHead {
  readonly part: 'checksum';
  /** CRC-32C of the range: eight hexadecimal digits. */
  readonly checksum: string;
  readonly findings: readonly unknown[];
}

/** A part of a check. */
export interface CheckPart extends PartHead {
  readonly part: 'check';
  /** A `CheckReport` of the library. */
  readonly report: unknown;
}

/** A part of a conversion. */
export interface ConvertPart extends PartHead {
  readonly part: 'convert';
  /** The file that all parts write to. */
  readonly output: string;
  readonly findings: readonly unknown[];
}

/** A part of the work on one image. */
export type Part = ChecksumPart | CheckPart | ConvertPart;

/** "Try again", of sysexits.h: something failed that says nothing about the image. */
export const TRY_AGAIN = 75;

/** What identifies an image. */
export function identityOf({ fileSize, virtualSize, header }: DiskInfo): Identity {
  const { fileWriteGuid, dataWriteGuid, logGuid } = header;
  return {
    'file-size': fileSize,
    'virtual-size': virtualSize,
    'file-write-guid': fileWriteGuid,
    'data-write-guid': dataWriteGuid,
    'log-guid': logGuid,
  };
}

/** What identifies the images of a chain, as far as they open. */
export function identitiesOf({ info, fileSize, parent }: CheckReport): Identity[] {
  return [info ? identityOf(info) : { 'file-size': fileSize }, ...(parent ? identitiesOf(parent) : [])];
}

/** Findings for programs, without what they mean, which is the same in each part. */
export const plainFindings = (findings: readonly Finding[]): unknown[] => findings.map((found) => kebabKeys(found));

/** Which part of which work on which image. */
type PartOf = Pick<Part, 'part' | 'shard' | 'filename'>;

/** What comes of the work on a part. */
type Result<P> = P extends PartHead ? Omit<P, 'schema' | 'tool-version' | keyof PartOf> : never;

/** What does a part. */
export interface PartWork<P extends Part> {
  readonly part: P['part'];
  /** The images as they are now. */
  readonly identify: () => Promise<readonly Identity[]>;
  readonly work: () => Promise<Result<P>>;
}

/**
 * Does a part of the work on an image and writes what came of it, as a line, to a file or to standard output. If the
 * file has that part already, nothing is done. If it fails for a reason that may be over a moment later, the exit code is
 * {@link TRY_AGAIN}.
 */
export async function doPart<P extends Part>(
  filename: string,
  { shard, to }: { readonly shard: Shard; readonly to?: string | undefined },
  { part, identify, work }: PartWork<P>,
): Promise<void> {
  try {
    if (to !== undefined && (await isDone(to, { part, shard, filename }, identify))) return;
    const result = await about(filename, work);
    await writePart({ ...jsonHead(), part, shard, filename, ...result }, to);
  } catch (error) {
    throw withExitCode(error);
  }
}

/** An error that ends the command, with the exit code 75 if it may be over a moment later. */
function withExitCode(error: unknown): unknown {
  if (!(error instanceof Failure) || !isTransient(error)) return error;
  const { reason, file, lines, cause } = error;
  return new Failure(reason, { file, lines, cause, exitCode: TRY_AGAIN });
}

/** Errors of the operating system that stay until somebody does something about the file or the path. */
const LASTING = /^(ENOENT|ENOTDIR|EISDIR|EACCES|EPERM|EROFS|ELOOP|ENAMETOOLONG|EINVAL|EEXIST)$/;

/** Codes of errors that are about the moment: the device, the other programs. */
const PASSING = /^(source-changed|short-read|no-space|write-failed|session-failed|locked)$/;

/** Whether an error says nothing about the image, and may be over when the same is tried again. */
export function isTransient(error: unknown): boolean {
  if (isSystemError(error)) return !LASTING.test(error.code);
  if (!(error instanceof Error)) return false;
  if (error instanceof VhdxError && (error.isTransient || PASSING.test(error.code))) return true;
  return error.cause !== undefined && isTransient(error.cause);
}

/** Whether a file has that part, and the image is still the one that it is of. */
async function isDone(to: string, wanted: PartOf, identify: () => Promise<readonly Identity[]>): Promise<boolean> {
  const text = await readFile(to, 'utf8').catch((error: unknown) => {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined;
    throw failureOf(to, error) ?? error;
  });
  const found = text === undefined ? undefined : wholePart(text);
  if (!found || !isSame(headOf(found), { ...jsonHead(), ...wanted })) return false;
  const image = await identify().catch(() => undefined); // what is wrong, the work says
  return isSame(found.image, image);
}

function wholePart(text: string): Part | undefined {
  try {
    return parseParts(text, '')[0];
  } catch {
    return undefined; // cut or foreign: it is written again
  }
}

const headOf = ({ schema, 'tool-version': tool, part, filename, shard }: Part): object => ({
  schema,
  'tool-version': tool,
  part,
  filename,
  shard,
});

/** Whether plain data is the same. */
export function isSame(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** Reads parts, a line each. `from` is what the text is called in errors. */
function parseParts(text: string, from: string): Part[] {
  return parseLines(text, from, 'a part of checksum, check or convert --shard', (line) =>
    line['part'] === 'checksum' || line['part'] === 'check' || line['part'] === 'convert'
      ? (line as unknown as Part)
      : undefined,
  );
}

/** Reads objects, one a line, that this version wrote. */
export function parseLines<T>(
  text: string,
  from: string,
  what: string,
  take: (line: Record<string, unknown>) => T | undefined,
): T[] {
  const { schema, 'tool-version': tool } = jsonHead();
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const place = `line ${i + 1}`;
    const found = parseObject(line);
    if (!found) throw new Failure(`${place} is cut, or is not ${what}`, { file: from });
    const taken = take(found);
    if (taken === undefined) throw new Failure(`${place} is not ${what}`, { file: from });
    if (found['schema'] !== schema || found['tool-version'] !== tool) {
      const version = `version ${String(found['tool-version'])}, schema ${String(found['schema'])}`;
      throw new Failure(`${place} is of ${version}; this is version ${tool}, schema ${schema}`, { file: from });
    }
    return [taken];
  });
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const data: unknown = JSON.parse(line);
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...data } : undefined;
  } catch {
    return undefined;
  }
}

async function writePart(part: object, to: string | undefined): Promise<void> {
  const line = `${jsonText(part)}\n`;
  if (to === undefined) await writeOut(line);
  else await writeWhole(to, line);
}

/** Writes a file under another name first: what has its own name is whole, whenever the power fails. */
function writeWhole(path: string, text: string): Promise<void> {
  return about(path, async () => {
    const partial = `${path}.partial`;
    const handle = await open(partial, 'w');
    try {
      await handle.writeFile(text);
      await handle.sync();
      await handle.close();
      await rename(partial, path);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await unlink(partial).catch(() => undefined);
      throw error;
    }
  });
}
