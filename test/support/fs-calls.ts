// Files for the specs of what reads and writes them, and calls of `node:fs` that do something else.
import fs from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { sourceBytes } from './scripted-source.js';
import { tempDir } from './tools.js';

/** Path of a new file `disk.vhdx` with the bytes of `sourceBytes`, 1 MiB unless another length is given. */
export async function fileOfSourceBytes(size = 1024 * 1024): Promise<string> {
  const path = join(await tempDir(), 'disk.vhdx');
  await writeFile(path, sourceBytes(0, size));
  return path;
}

/** The callback of `fs.read` and `fs.write`. */
export type Done = (error: Error | null, count: number) => void;

/** Has `fs.read` or `fs.write` do something else; the replacement gets the real call, its length and its callback. */
export function replaceCall(
  name: 'read' | 'write',
  replacement: (real: (length: number, done: Done) => void, length: number, done: Done) => void,
): void {
  const real = fs[name] as (...parameters: unknown[]) => void;
  vi.spyOn(fs, name).mockImplementation(((
    fd: number,
    buffer: Uint8Array,
    start: number,
    length: number,
    position: number,
    done: Done,
  ) => {
    replacement((some, then) => real(fd, buffer, start, some, position, then), length, done);
  }) as never);
  onTestFinished(() => void vi.restoreAllMocks());
}
