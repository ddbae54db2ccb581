// Does the jobs of submit.mjs: `node worker.mjs`, on as many machines as wanted. A worker that dies loses nothing: after
// some seconds another one does its part. `vhdx` must be in PATH, and the images where the jobs say.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnrecoverableError, Worker } from 'bullmq';
import { COMBINE, connect, PART } from './queue.mjs';

/** Try again: a server, a device or a lock was in the way. */
const TRY_AGAIN = 75;

/** Runs `vhdx`. @param {string[]} args @returns {Promise<{ code: number | null, stdout: string, stderr: string }>} */
function vhdx(...args) {
  return new Promise((resolve, reject) => {
    const child = spawn('vhdx', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...said }));
  });
}

/** Does a part; what comes of it is a line, kept in the queue until all parts are there. */
async function part({ data: { command } }) {
  const { code, stdout, stderr } = await vhdx(...command);
  if (code === TRY_AGAIN) throw new Error(stderr);
  // A part that was made has the verdict in it, whatever the exit code says.
  if (stdout === '') throw new UnrecoverableError(stderr);
  return stdout;
}

/** Puts the parts together; without one of them, why it is not there is the result. */
async function combine(job) {
  const failures = new Set(Object.values(await job.getIgnoredChildrenFailures()));
  if (failures.size > 0) return { code: 1, stdout: '', stderr: [...failures].join('') };
  const folder = await mkdtemp(join(tmpdir(), 'vhdx-parts-'));
  try {
    const parts = join(folder, 'parts');
    await writeFile(parts, Object.values(await job.getChildrenValues()).join(''));
    return await vhdx('combine', parts);
  } finally {
    await rm(folder, { recursive: true });
  }
}

// How soon the part of a worker that died is done again, in milliseconds; a worker that lives says so all the time.
const options = { connection: connect(), lockDuration: 5000, stalledInterval: 2000, maxStalledCount: 5 };
const workers = [new Worker(PART, part, options), new Worker(COMBINE, combine, options)];
for (const worker of workers) worker.on('error', (error) => console.error(error.message));
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await Promise.all(workers.map((worker) => worker.close())); // when what they do is done
    process.exit();
  });
