// @ts-check
/**
 * Runs the specs in every engine and prints one table: `node scripts/test-engines.mjs [--write] [--quick] [ENGINE...]`.
 * Installs what it needs: browsers as Debian packages where it may, runtimes from the npm registry.
 * `--write` puts the table into the README. `--quick` leaves out the specs that take longest.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findProgram } from './programs.mjs';
import { enginesFolder, installRuntime, RUNTIMES } from './runtimes.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const isCI = Boolean(process.env.CI) && process.env.CI !== 'false';

/**
 * @typedef {object} Engine
 * @property {string} title what it is called in the table
 * @property {string} [place] what follows its version
 * @property {import('./runtimes.mjs').Runtime} [runtime] where the npm registry has it; a browser's specs are served by this Node
 * @property {string[]} [programs] what must be installed, the engine itself first
 * @property {string[]} args what goes before Vitest
 * @property {string} project the project of vitest.engines.config.ts
 */

/** @param {import('./runtimes.mjs').Runtime} runtime @returns {Engine} */
const node = (runtime) => ({ title: 'Node', runtime, args: [], project: 'runtime' });

/** A browser's page and a module worker in it. @param {string} name @param {string} title @param {string[]} programs */
const browser = (name, title, programs) => {
  const page = { title, programs, args: [], project: name };
  return { [name]: page, [`${name}-worker`]: { ...page, place: ', module worker', project: `${name}-worker` } };
};

/** @type {Record<string, Engine>} */
const engines = {
  'node-20': node(RUNTIMES['node-20']),
  'node-22': node(RUNTIMES['node-22']),
  'node-24': node(RUNTIMES['node-24']),
  bun: { title: 'Bun', runtime: RUNTIMES.bun, args: ['--bun'], project: 'runtime' },
  deno: { title: 'Deno', runtime: RUNTIMES.deno, args: ['run', '--allow-all', '--no-lock'], project: 'runtime' },
  ...browser('chromium', 'Chromium', ['chromium']),
  ...browser('firefox', 'Firefox', ['firefox']),
  ...browser('webkit', 'WebKitGTK', ['MiniBrowser', 'xvfb-run', 'xauth']),
};

/**
 * @typedef {object} Row
 * @property {string} title engine and version
 * @property {number} files
 * @property {number} passed
 * @property {number} failed
 * @property {string[]} leftOut the specs that did not run, or the engine as a whole, each with the reason
 */

/** @param {string} command @param {string[]} args @param {import('node:child_process').SpawnSyncOptions} [options] */
function run(command, args, options) {
  return spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}

/** @param {Engine[]} wanted */
function install(wanted) {
  const programs = wanted.flatMap((engine) => engine.programs ?? []);
  if (programs.length > 0) run(process.execPath, ['scripts/setup.mjs', ...programs], { stdio: 'inherit' });

  for (const { runtime } of wanted) if (runtime !== undefined) installRuntime(runtime);
}

/** The engine's version, or why it cannot run. @param {Engine} engine @returns {{ version?: string, missing?: string }} */
function probe({ runtime, programs = [] }) {
  const missing = programs.find((name) => findProgram(name) === undefined);
  if (missing !== undefined) return { missing: `${missing} is not installed` };
  const command = runtime ? [installRuntime(runtime)] : [findProgram(programs[0] ?? '') ?? ''];
  // Asked for its version, a GTK program wants a display all the same.
  const display = programs.includes('xvfb-run') ? [findProgram('xvfb-run') ?? '', '-a'] : [];
  const [program = '', ...args] = [...display, ...command, '--version'];
  const { status, stdout } = run(program, args);
  const version = /\d+(\.\d+)+/.exec(String(stdout))?.[0];
  return status === 0 && version !== undefined ? { version } : { missing: `${program} does not run` };
}

/** Runs the specs in an engine. @param {string} name @param {Engine} engine @returns {Promise<Row>} */
async function test(name, engine) {
  const { version, missing } = probe(engine);
  const title = `${engine.title}${version === undefined ? '' : ` ${version}`}${engine.place ?? ''}`;
  if (missing !== undefined) {
    return { title, files: 0, passed: 0, failed: isCI ? 1 : 0, leftOut: [`all specs (left out: ${missing})`] };
  }
  const report = join(enginesFolder, `${name}.json`);
  rmSync(report, { force: true });
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.engines.config.ts'];
  const options = [
    '--project',
    engine.project,
    '--reporter',
    'default',
    '--reporter',
    'json',
    '--outputFile.json',
    report,
  ];
  const program = engine.runtime ? installRuntime(engine.runtime) : process.execPath;
  const quick = values.quick ? { VHDX_QUICK: '1' } : {};
  const env = { ...process.env, ...quick, DENO_DIR: join(enginesFolder, 'deno-cache'), DENO_NO_UPDATE_CHECK: '1' };
  const start = performance.now();
  const child = spawn(program, [...engine.args, ...vitest, ...options], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const [status] = await once(child, 'close');
  const row = { title, ...(existsSync(report) ? count(report) : { files: 0, passed: 0, failed: 0, leftOut: [] }) };
  // Errors outside of specs, or no specs at all, are in no count.
  if ((status !== 0 || row.passed === 0) && row.failed === 0) row.failed = 1;
  if (row.failed > 0) console.log(output);
  console.log(
    `${title}: ${row.passed} passed, ${row.failed} failed (${((performance.now() - start) / 1000).toFixed()} s)`,
  );
  return row;
}

/** Runs the specs in all engines, two at a time: each is idle for a part of its time. @param {[string, Engine][]} all */
async function testAll(all) {
  /** @type {Row[]} */
  const rows = [];
  const queue = all.entries();
  const work = async () => {
    for (const [place, [name, engine]] of queue) rows[place] = await test(name, engine);
  };
  await Promise.all([work(), work()]);
  return rows;
}

/** Counts the results in a JSON report. @param {string} report @returns {Omit<Row, 'title'>} */
function count(report) {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  /** @type {{ status: string, fullName: string, ancestorTitles: string[] }[]} */
  const specs = testResults.flatMap((/** @type {any} */ file) => file.assertionResults);
  // One file runs all others in workers, and makes a group of each.
  const inWorkers = new Set(
    specs.flatMap(({ ancestorTitles: [group] }) => (group?.endsWith('.test.ts') ? [group] : [])),
  );
  const passed = specs.filter(({ status }) => status === 'passed').length;
  const failed = specs.filter(({ status }) => status === 'failed').length;
  const leftOut = specs.filter(({ status }) => status !== 'passed' && status !== 'failed');
  return {
    files: inWorkers.size || testResults.length,
    passed,
    failed,
    leftOut: leftOut.map(({ fullName }) => fullName.trim()),
  };
}

/** The table, and under it what was left out where. @param {Row[]} rows */
function markdown(rows) {
  const lines = rows.map(
    ({ title, files, passed, failed, leftOut }) =>
      `| ${title} | ${files} | ${passed} | ${failed} | ${leftOut.length} |`,
  );
  /** @type {Map<string, string[]>} */
  const reasons = new Map();
  for (const { title, leftOut } of rows)
    for (const spec of leftOut) reasons.set(spec, [...(reasons.get(spec) ?? []), title]);
  const left = [...reasons].map(([spec, titles]) => `- ${titles.join(', ')}: ${spec}`);
  const table = ['| engine | spec files | passed | failed | left out |', '|---|--:|--:|--:|--:|', ...lines];
  return [...table, ...(left.length > 0 ? ['', 'Left out:', '', ...left] : [])].join('\n');
}

/** Puts a text between the README's markers. @param {string} text */
function writeReadme(text) {
  const path = join(root, 'README.md');
  const readme = readFileSync(path, 'utf8');
  const section = /(<!-- engines -->\n)[\s\S]*?(<!-- \/engines -->)/;
  if (!section.test(readme)) throw new Error('README.md has no <!-- engines --> … <!-- /engines -->');
  writeFileSync(
    path,
    readme.replace(section, (_all, before, after) => `${before}${text}\n${after}`),
  );
}

const { values, positionals } = parseArgs({
  options: { write: { type: 'boolean' }, quick: { type: 'boolean' } },
  allowPositionals: true,
});
if (values.write && values.quick) throw new Error('a table of all specs is wanted in the README');
const names = positionals.length > 0 ? positionals : Object.keys(engines);
const unknown = names.find((name) => engines[name] === undefined);
if (unknown !== undefined) throw new Error(`${unknown} is none of ${Object.keys(engines).join(', ')}`);
const wanted = Object.entries(engines).filter(([name]) => names.includes(name));

install(wanted.map(([, engine]) => engine));
if (run('npm', ['run', 'build'], { stdio: 'inherit' }).status !== 0) process.exit(1);
const rows = await testAll(wanted);

console.log(`\n${markdown(rows)}\n`);
if (values.write) writeReadme(`On ${new Date().toISOString().slice(0, 10)}:\n\n${markdown(rows)}`);

/** @param {(row: Row) => number} of */
const sum = (of) => rows.reduce((total, row) => total + of(row), 0);
const [passed, failed, skipped] = [
  sum((row) => row.passed),
  sum((row) => row.failed),
  sum((row) => row.leftOut.length),
];
if (failed > 0 || passed === 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
