// Batch engines, for real where they run here: their parts give what the undivided command gives.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished } from 'vitest';
import { installApart } from '../../scripts/apart.mjs';
import { commandLine, vhdx } from '../support/command.js';
import { folderOfImages } from '../support/fleet-images.js';
import { slurmPrograms, startSlurm } from '../support/slurm.js';
import { needs, type RunResult, run, tempDir, tool } from '../support/tools.js';
import { root } from './module-graph.js';

const examples = { requiredInCI: true, ...(await installApart('examples')) };
const manifests = { requiredInCI: true, ...(await installApart('manifests')) };
const [scontrol, redis] = [tool('scontrol'), tool('redis-server')];
const [parallel, botocore] = [tool('parallel'), tool('botocore')];
const fleet = (...names: string[]) => join(root, 'examples/fleet', ...names);

/** An environment in which `vhdx` is the built command. */
async function withCommand(): Promise<{ PATH: string }> {
  const folder = await tempDir();
  const line = commandLine().map((word) => `'${word}'`);
  await writeFile(join(folder, 'vhdx'), `#!/bin/sh\nexec ${line.join(' ')} "$@"\n`, { mode: 0o755 });
  return { PATH: `${folder}${delimiter}${process.env['PATH']}` };
}

/**
 * Serves a file over HTTP, and returns its URL.
 *
 * @param instead the status that a request, counted from 0, is answered with instead; 0 if it is not answered
 */
async function serve(path: string, instead: (request: number) => number | undefined): Promise<string> {
  const bytes = await readFile(path);
  let requests = 0;
  const server = createServer((request, response) => {
    const status = instead(requests++);
    if (status === 0) return;
    if (status !== undefined) return response.writeHead(status).end();
    const [, from = '0', to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const part = bytes.subarray(Number(from), to ? Number(to) + 1 : bytes.length);
    const headers = { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}` };
    response.writeHead(206, { ...headers, 'content-length': part.length, etag: '"1"' }).end(part);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/base.vhdx`;
}

/** What an engine has to give: the checksum without the name, because a part may have read the image over HTTP. */
const sum = ({ stdout }: RunResult) => stdout.slice(0, 8);

describe('Slurm', () => {
  needs(...slurmPrograms, scontrol).test('does the tasks of an array, again where a server was away', async () => {
    const { bad, base } = await folderOfImages();
    const env = { ...(await startSlurm()), ...(await withCommand()) };
    const cwd = await tempDir();
    const submit = (...args: string[]) => run('sh', [fleet('slurm/submit.sh'), ...args], { cwd, env });

    // A command asks four times. Of the four tasks, one at least has none of the answers that come after twelve failures.
    const url = await serve(base, (request) => (request < 13 ? 503 : undefined));
    const checksum = await submit('4', 'sum parts', 'checksum', url);
    expect(checksum).toMatchObject({ status: 0, stderr: '' });
    expect(sum(checksum)).toBe(sum(await vhdx('checksum', base)));
    const log = (i: number) => readFile(join(cwd, 'sum parts', `log-${i}`), 'utf8');
    const logs = await Promise.all([0, 1, 2, 3].map(log));
    const tasks = (await scontrol.run(['show', 'job', '-o'], { env })).stdout;
    const startedAgain = (i: number) => Number(new RegExp(`ArrayTaskId=${i} .* Restarts=(\\d+) `).exec(tasks)?.[1]) > 0;
    const failed = logs.map((log) => log.includes('HTTP status 503'));
    expect(failed).toContain(true);
    expect(logs.map((_, i) => startedAgain(i))).toEqual(failed);

    const { stdout, status } = await vhdx('check', bad);
    expect(status).toBe(2);
    expect(await submit('3', 'check', 'check', bad)).toMatchObject({ stdout, status });
  });
});

describe('BullMQ', () => {
  /** Starts Redis, and gives its URL. */
  async function startRedis(): Promise<string> {
    const socket = join(await tempDir(), 'redis.sock');
    const child = spawn(redis.path, ['--port', '0', '--unixsocket', socket, '--save', ''], { stdio: 'ignore' });
    onTestFinished(async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    });
    while (!(await readdir(join(socket, '..'))).includes('redis.sock')) await setTimeout(20);
    return `unix://${socket}`;
  }

  needs(redis, examples).test('does the jobs of a flow, also those of a worker that was killed', async () => {
    const { bad, base } = await folderOfImages();
    const env = { ...process.env, ...(await withCommand()), REDIS_URL: await startRedis() };
    const startWorker = (): ChildProcess => {
      const child = spawn(process.execPath, [fleet('bullmq/worker.mjs')], { env, stdio: 'ignore' });
      onTestFinished(async () => {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill('SIGTERM');
          expect(await once(child, 'exit')).toEqual([0, null]);
        }
      });
      return child;
    };
    const submit = (...args: string[]) => run(process.execPath, [fleet('bullmq/submit.mjs'), ...args], { env });

    // The first request is not answered as long as its worker lives, and some after it fail.
    let wasAsked: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      wasAsked = resolve;
    });
    const url = await serve(base, (request) => {
      if (request === 0) wasAsked();
      return request === 0 ? 0 : request < 6 ? 503 : undefined;
    });
    const first = startWorker();
    const submitted = submit('5', 'checksum', url);
    await asked;
    first.kill('SIGKILL');
    startWorker();
    startWorker();
    const checksum = await submitted;
    expect(checksum).toMatchObject({ status: 0, stderr: '' });
    expect(sum(checksum)).toBe(sum(await vhdx('checksum', base)));

    const { stdout, status } = await vhdx('check', bad);
    expect(await submit('3', 'check', bad)).toMatchObject({ stdout, status, stderr: '' });
    const nothing = await submit('2', 'check', join(bad, '../nothing'));
    expect(nothing).toMatchObject({ status: 1, stdout: '' });
    expect(nothing.stderr).toContain('no such file');
  });
});

/** Runs a container's command for each of eight parts, as its engine would. */
async function inContainers(command: readonly string[], variable: string): Promise<RunResult[]> {
  const [program = '', ...args] = command;
  const path = await withCommand();
  return Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      run(
        program,
        args.map((word) => word.replace('$(JOB_COMPLETION_INDEX)', `${i}`)),
        {
          env: { ...path, [variable]: `${i}` },
        },
      ),
    ),
  );
}

describe('Kubernetes', () => {
  needs(manifests).test('has a manifest that its models allow, and whose pods do all parts', async () => {
    const require = createRequire(join(manifests.folder, 'package.json'));
    const models = 'kubernetes-models/batch/v1';
    const job = require('yaml').parse(await readFile(fleet('kubernetes/checksum.yaml'), 'utf8'));
    new (require(models).Job)(job).validate();
    // Its validator does not look for fields that do not exist, but its types do.
    const typed = join(manifests.folder, 'checksum.ts');
    const type = `import type { IJob } from '${models}';\n`;
    await writeFile(typed, `${type}export const job: IJob = ${JSON.stringify(job)};\n`);
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--ignoreConfig', typed];
    expect(await run(join(root, 'node_modules/.bin/tsc'), options)).toMatchObject({ status: 0, stdout: '' });

    const { base, folder } = await folderOfImages();
    const [{ command }] = job.spec.template.spec.containers;
    const places = (word: string) => word.replace('/parts', folder).replace('/images/disk.vhdx', base);
    const results = await inContainers(command.map(places), 'JOB_COMPLETION_INDEX');
    expect(results.map(({ status, stderr }) => ({ status, stderr }))).toEqual(Array(8).fill({ status: 0, stderr: '' }));
    expect(job.spec.completions).toBe(8);
    const files = Array.from({ length: 8 }, (_, i) => join(folder, `${i}`));
    expect(await vhdx('combine', ...files)).toEqual(await vhdx('checksum', base));
  });
});

describe('AWS Batch', () => {
  needs(botocore).test('has a job that its models allow, and whose containers do all parts', async () => {
    const script = `
import botocore.session, botocore.validate, json, sys
model = botocore.session.get_session().get_service_model('batch')
for operation, path in zip(sys.argv[1::2], sys.argv[2::2]):
    shape = model.operation_model(operation).input_shape
    print(botocore.validate.ParamValidator().validate(json.load(open(path)), shape).generate_report(), end='')`;
    const [definition, job] = [fleet('aws/job-definition.json'), fleet('aws/job.json')];
    const valid = await botocore.run(['-c', script, 'RegisterJobDefinition', definition, 'SubmitJob', job]);
    expect(valid).toMatchObject({ status: 0, stdout: '', stderr: '' });

    const { base, folder } = await folderOfImages();
    const { containerProperties } = JSON.parse(await readFile(definition, 'utf8'));
    const { arrayProperties, parameters } = JSON.parse(await readFile(job, 'utf8'));
    expect({ ...arrayProperties, ...parameters }).toMatchObject({ size: 8, parts: '8' });
    const places = (word: string) =>
      word.replace('/parts', folder).replace('Ref::image', base).replace('Ref::parts', parameters.parts);
    const results = await inContainers(containerProperties.command.map(places), 'AWS_BATCH_JOB_ARRAY_INDEX');
    expect(results.map(({ status, stderr }) => ({ status, stderr }))).toEqual(Array(8).fill({ status: 0, stderr: '' }));
    const files = Array.from({ length: 8 }, (_, i) => join(folder, `${i}`));
    expect(await vhdx('combine', ...files)).toEqual(await vhdx('checksum', base));
  });
});

describe('GNU parallel', () => {
  needs(parallel).test('does the parts in the line of the guide', async () => {
    const { base } = await folderOfImages();
    const cwd = await tempDir();
    await copyFile(base, join(cwd, 'disk.vhdx'));
    const guide = await readFile(join(root, 'docs/guide/fleet.md'), 'utf8');
    const [line = ''] = /^seq .* parallel .*$/m.exec(guide) ?? [];
    const env = await withCommand();
    const { stdout, status } = await run('sh', ['-c', line], { cwd, env: { ...env, HOME: cwd } });
    expect({ status, sum: stdout.slice(0, 8) }).toEqual({ status: 0, sum: sum(await vhdx('checksum', base)) });
  });
});
