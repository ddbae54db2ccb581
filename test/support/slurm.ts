import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { tempDir, tool } from './tools.js';

const programs = { munged: tool('munged'), slurmctld: tool('slurmctld'), slurmd: tool('slurmd'), sinfo: tool('sinfo') };

/** What {@link startSlurm} starts, and what jobs are submitted with. */
export const slurmPrograms = [...Object.values(programs), tool('sbatch'), tool('srun')];

/** Ports of this machine that are free at the moment. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/**
 * Starts a Slurm of one node, this machine, for the running spec: its own controller, daemon and authentication.
 *
 * @returns the variables of the environment by which Slurm's commands find it
 */
export async function startSlurm(): Promise<Record<string, string>> {
  const folder = await tempDir();
  const path = (name: string) => join(folder, name);
  await Promise.all(['state', 'spool'].map((name) => mkdir(path(name))));
  await writeFile(path('munge.key'), randomBytes(128), { mode: 0o600 });
  const [controllerPort, daemonPort] = await freePorts(2);
  const { username } = userInfo();
  const config = {
    ClusterName: 'test',
    SlurmctldHost: 'localhost',
    AuthType: 'auth/munge',
    // A task that is requeued starts when the credential of its first start has expired.
    AuthInfo: `socket=${path('munge.socket')},cred_expire=5`,
    SlurmUser: username,
    SlurmdUser: username,
    SlurmctldPort: controllerPort,
    SlurmdPort: daemonPort,
    SlurmctldPidFile: path('slurmctld.pid'),
    SlurmdPidFile: path('slurmd.pid'),
    StateSaveLocation: path('state'),
    SlurmdSpoolDir: path('spool'),
    ProctrackType: 'proctrack/pgid',
    TaskPlugin: 'task/none',
    MpiDefault: 'none',
    SelectType: 'select/linear',
    SchedulerType: 'sched/builtin',
    SchedulerParameters: 'sched_interval=1',
  };
  const lines = Object.entries(config).map(([key, value]) => `${key}=${value}\n`);
  const node = 'NodeName=localhost NodeHostName=localhost CPUs=2\n';
  const partition = 'PartitionName=main Nodes=localhost Default=YES OverSubscribe=FORCE:4\n';
  const conf = path('slurm.conf');
  await writeFile(conf, [...lines, node, partition].join(''));

  const munge = ['key-file', 'socket', 'pid-file', 'log-file', 'seed-file'].map(
    (name) => `--${name}=${path(`munge.${name.replace('-file', '')}`)}`,
  );
  const started: ChildProcess[] = [];
  const start = (name: 'munged' | 'slurmctld' | 'slurmd', ...args: string[]) =>
    started.unshift(spawn(programs[name].path, args, { stdio: 'ignore' }));
  onTestFinished(() => stop(started));
  start('munged', '--foreground', '--force', ...munge); // it would not have a socket under /tmp
  start('slurmctld', '-D', '-f', conf, '-L', path('slurmctld.log'));
  start('slurmd', '-D', '-f', conf, '-L', path('slurmd.log'));
  const env = { SLURM_CONF: conf };
  for (let tries = 0; (await programs.sinfo.run(['-h', '-o', '%T'], { env })).stdout.trim() !== 'idle'; tries++) {
    if (tries === 100) throw new Error(`Slurm has not started: ${await readFile(path('slurmctld.log'), 'utf8')}`);
    await setTimeout(200);
  }
  return env;
}

/** Ends processes, one after the other. */
async function stop(processes: readonly ChildProcess[]): Promise<void> {
  for (const child of processes) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = AbortSignal.timeout(5000);
    timer.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    await gone;
  }
}
