import { expect } from 'vitest';
import { type OpenOptions, openVhdx as open, type VhdxDisk, VhdxError, type VhdxInput } from '../../src/index.js';
import { expectSameBytes } from './same-bytes.js';
import type { RecordingSource } from './sparse-file.js';

/** What became of a read. */
type Outcome = { readonly bytes: Uint8Array<ArrayBuffer> } | { readonly error: unknown };

/**
 * `openVhdx`, with both doors tried at each read: what `read` gives, another disk of the same files must give by
 * `readSync`, and what rejects there throws the same here. Where the files are not those of the specs, it is left out.
 */
export async function openVhdx(input: VhdxInput, options: OpenOptions = {}): Promise<VhdxDisk> {
  const disk = await open(input, options);
  const source = twinOf(input);
  if (source === undefined) return disk;
  let opening: Promise<VhdxDisk | undefined> | undefined;
  const other = () => {
    const parent = twinsOf(options.parent);
    opening ??= open(source, { ...options, signal: undefined, parent, sync: true }).catch((error: unknown) => {
      if (error instanceof VhdxError && error.code === 'unsupported-input') return undefined; // a file of the spec's own
      throw error;
    });
    return opening;
  };
  const [read, check, close] = [disk.read.bind(disk), disk.check.bind(disk), disk.close.bind(disk)];
  disk.read = async (offset, length, readOptions) => {
    const twin = await other();
    const outcome = await read(offset, length, readOptions).then(
      (bytes): Outcome => ({ bytes }),
      (error: unknown): Outcome => ({ error }),
    );
    if (twin && readOptions?.signal === undefined) expectSame(outcome, synchronous(twin, offset, length));
    if ('error' in outcome) throw outcome.error;
    return outcome.bytes;
  };
  disk.check = async (checkOptions) => {
    // From then on it knows of blocks that share a place.
    await (await other())?.check(checkOptions);
    return check(checkOptions);
  };
  disk.close = async () => {
    await (await opening)?.close();
    return close();
  };
  return disk;
}

function synchronous(disk: VhdxDisk, offset: number, length: number): Outcome {
  try {
    return { bytes: disk.readSync(offset, length) };
  } catch (error) {
    return { error };
  }
}

function expectSame(one: Outcome, other: Outcome): void {
  if ('bytes' in one && 'bytes' in other) expectSameBytes(other.bytes, one.bytes, 'by readSync');
  else expect('error' in other ? plain(other.error) : 'bytes').toEqual('error' in one ? plain(one.error) : 'bytes');
}

/** What an error says, without what differs from one file object to the next. */
function plain(error: unknown): unknown {
  if (!(error instanceof VhdxError)) return String(error);
  const { code, message, structure, offset, facts, depth, file } = error;
  return { code, message, structure, offset, facts, depth, file };
}

function twinOf(input: unknown): ReturnType<RecordingSource['twin']> {
  if (typeof input !== 'object' || input === null || !('twin' in input)) return undefined;
  const { name } = input as RecordingSource;
  const twin = (input as RecordingSource).twin();
  return twin && { ...twin, ...(name !== undefined && { name }) };
}

function twinsOf(parent: OpenOptions['parent']): OpenOptions['parent'] {
  if (parent === undefined || parent === false) return parent;
  if (typeof parent === 'function') return async (request) => twinOrSame(await parent(request));
  if (Array.isArray(parent)) return parent.map((one: VhdxInput) => twinOrSame(one) as VhdxInput);
  return twinOrSame(parent as VhdxInput);
}

const twinOrSame = (input: VhdxInput | undefined): VhdxInput | undefined => twinOf(input) ?? input;
