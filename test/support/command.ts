import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import type { BuiltImage } from './build-image.js';
import { saveFile } from './save-image.js';
import { type RunOptions, type RunResult, run } from './tools.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A command line of the built `vhdx`, in whatever runs the specs: a program and its arguments. */
export function commandLine(...args: readonly string[]): readonly [program: string, ...args: string[]] {
  if (!existsSync(main)) throw new Error('dist/cli/main.js is not there: npm run build');
  const before = 'Deno' in globalThis ? ['run', '--allow-all'] : [];
  return [process.execPath, ...before, main, ...args];
}

/** Runs the built `vhdx` to its end. */
export function vhdx(...args: readonly string[]): Promise<RunResult> {
  return vhdxWith({}, ...args);
}

/** Runs the built `vhdx` with something special about its surroundings. */
export function vhdxWith(options: RunOptions, ...args: readonly string[]): Promise<RunResult> {
  const [program, ...words] = commandLine(...args);
  return run(program, words, options);
}

/** Starts the built `vhdx`, and makes sure that it has ended when the running spec has. */
export function startVhdx(...args: readonly string[]): ChildProcess {
  const [program, ...words] = commandLine(...args);
  const child = spawn(program, words);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

/** Exit code and what a started process has written to standard error, when it has ended. */
export async function ending(child: ChildProcess): Promise<{ status: number | null; stderr: string }> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Uint8Array) => {
    stderr += Buffer.from(chunk).toString();
  });
  const status = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  return { status, stderr };
}

/** Asserts that a command failed as it should: with one line, or indented ones after it, and nothing on standard output. */
export function expectFailure(result: RunResult, status: number, ...parts: readonly string[]): void {
  expect(result.stdout).toBe('');
  expect(result.stderr).toMatch(/^vhdx: [^\n]+\n(?: {2}[^\n]+\n)*$/);
  for (const part of parts) expect(result.stderr).toContain(part);
  expect(result.status).toBe(status);
}

/** Saves an image under a path and returns the path. */
export async function saved(image: BuiltImage, path: string): Promise<string> {
  await saveFile(image, path);
  return path;
}
