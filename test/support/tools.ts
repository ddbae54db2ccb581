import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject, onTestFinished, test } from 'vitest';
import { findProgram } from '../../scripts/programs.mjs';
import { SLOW } from './time-limits.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether specs may use what is outside the package; `npm run test:quick` leaves it alone, installed or not. */
    readonly withPrograms: boolean;
  }
}

/** Something outside the package that a spec needs: a program, or an image beside the checkout. */
export interface Need {
  /** Why it cannot be used, such as `qemu-img is not installed`; `undefined` where it can. */
  readonly missing: string | undefined;
  /** Whether a spec that needs it fails under `CI=true` where it is missing, instead of being left out. */
  readonly requiredInCI: boolean;
}

/** A program that specs run. */
export interface Program extends Need {
  /** Absolute path of the executable; throws where it is missing. */
  readonly path: string;
  /** Runs it: see {@link run}. */
  run(args: readonly string[], options?: RunOptions): Promise<RunResult>;
}

/** An image of `../shared/samples`, packed there. */
export interface Sample extends Need {
  /** Path of the unpacked image. Everybody reads the same file: do not write to it. */
  unpacked(): Promise<string>;
}

const isQuick = !inject('withPrograms');
const mayLeaveOut = isQuick || !process.env['CI'] || process.env['CI'] === 'false';
const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Looks a program of `scripts/programs.mjs` up: `const qemuImg = tool('qemu-img')`.
 * `tool('pyvhdi')` is the Python that can import that module.
 */
export function tool(name: string): Program {
  const found = isQuick ? undefined : findProgram(name);
  const missing = isQuick
    ? `${name} is not for a quick run`
    : found === undefined
      ? `${name} is not installed`
      : undefined;
  const path = () => {
    if (found === undefined) throw new Error(`${missing} (npm run setup installs it)`);
    return found;
  };
  return {
    missing,
    requiredInCI: true,
    get path() {
      return path();
    },
    run: async (args, options) => run(path(), args, options),
  };
}

/**
 * Looks an image of `../shared/samples` up by its unpacked name: `sample('iotest-dynamic-1G.vhdx', { requiredInCI: false })`.
 * The images are beside some checkouts only, so whether their absence is a failure under CI has to be said.
 */
export function sample(name: string, { requiredInCI }: { requiredInCI: boolean }): Sample {
  const packed = join(root, '../shared/samples', `${name}.bz2`);
  const bunzip2 = tool('bunzip2');
  const missing =
    isQuick || existsSync(packed) ? bunzip2.missing : `../shared/samples/${basename(packed)} is not there`;
  return { missing, requiredInCI, unpacked: () => unpack(packed, name, bunzip2) };
}

async function unpack(packed: string, name: string, bunzip2: Program): Promise<string> {
  const folder = join(root, 'build/samples');
  const target = join(folder, name);
  if (existsSync(target)) return target;
  await mkdir(folder, { recursive: true });
  const { bytes, status, stderr } = await bunzip2.run(['--stdout', packed]);
  if (status !== 0) throw new Error(`bunzip2 ${packed}: ${stderr}`);
  // Specs run in several processes: each writes its own file, and the last one to rename wins with the same bytes.
  const own = `${target}.${process.pid}`;
  await writeFile(own, bytes);
  await rename(own, target);
  return target;
}

/** Declares a spec; the time that it may take is in milliseconds, as Vitest has it. */
type Declare = (title: string, body: () => Promise<void> | void, timeout?: number) => void;

/**
 * Declares specs that need something from outside: `needs(qemuImg, dynamic).test('title', body)`.
 * Where it is missing the spec is shown as left out, with the reason in its title, or fails under `CI=true`.
 */
export function needs(...wanted: readonly Need[]): { readonly test: Declare } {
  const absent = wanted.filter(({ missing }) => missing !== undefined);
  const reason = absent.map(({ missing }) => missing).join(', ');
  const mustFail = !mayLeaveOut && absent.some(({ requiredInCI }) => requiredInCI);
  return {
    test(title, body, timeout = SLOW.programs.timeout) {
      if (absent.length === 0) test(title, body, timeout);
      else if (mustFail) {
        test(`${title} (${reason})`, () => {
          throw new Error(`${reason}; under CI nothing may be left out`);
        });
      } else test.skip(`${title} (left out: ${reason})`, body);
    },
  };
}

/** Makes an empty folder that is deleted when the running spec ends; call it inside a spec. */
export async function tempDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vhdx-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** Options of {@link run}. */
export interface RunOptions {
  readonly cwd?: string;
  /** Environment variables on top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the program reads from standard input; without it, standard input is empty. */
  readonly input?: string | Uint8Array;
}

/** The result of a program that has ended. */
export interface RunResult {
  /** Exit code; `null` where a signal ended it. */
  readonly status: number | null;
  /** Standard output, as UTF-8. */
  readonly stdout: string;
  /** Standard output, as it came. */
  readonly bytes: Uint8Array;
  /** Standard error, as UTF-8. */
  readonly stderr: string;
}

/** Runs a program to its end without blocking this process. Rejects only where it cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: options.cwd, env: { ...process.env, ...options.env } });
    const out: Uint8Array[] = [];
    const err: Uint8Array[] = [];
    child.stdout.on('data', (chunk: Uint8Array) => out.push(chunk));
    child.stderr.on('data', (chunk: Uint8Array) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (status) => {
      const bytes = Buffer.concat(out);
      resolve({ status, stdout: bytes.toString(), bytes, stderr: Buffer.concat(err).toString() });
    });
    child.stdin.on('error', () => {}); // a program may end without reading its input
    child.stdin.end(options.input);
  });
}
