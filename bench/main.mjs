// @ts-check
/**
 * `npm run bench`: asks every question, prints a table for each, and writes RESULTS.md. `npm run bench -- crc32c info`
 * asks these alone and writes nothing.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { workFolder } from './fixtures.mjs';
import { LeftOut, root } from './harness.mjs';
import { lossesText, machineText, questionText, targetsText } from './report.mjs';
import { versionsText } from './versions.mjs';

const QUESTIONS = [
  'crc32c',
  'crc32c-engines',
  'checksum-disk',
  'threads',
  'http',
  'random-reads',
  'convert',
  'into-vhdx',
  'compare',
  'info',
  'map',
  'write',
  'merge',
  'jobs',
  'files',
  'page-files',
  'nbd',
  'bundle-size',
];

const { positionals } = parseArgs({ allowPositionals: true });
const unknown = positionals.find((name) => !QUESTIONS.includes(name));
if (unknown !== undefined) throw new Error(`${unknown} is none of ${QUESTIONS.join(', ')}`);
const asked = positionals.length > 0 ? QUESTIONS.filter((name) => positionals.includes(name)) : QUESTIONS;

const loadBefore = loadavg();
const start = performance.now();
// Turns a signal into an exit, which removes the folder.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => process.exit(1));
const { folder, kind } = workFolder();

/** @type {import('./rows.mjs').Answer[]} */
const answers = [];
for (const name of asked) {
  const began = performance.now();
  const answer = await answerOf(name);
  answers.push(answer);
  console.log(`\n${questionText(answer)}\n\n(${Math.round((performance.now() - began) / 1000)} s)`);
}

const minutes = ((performance.now() - start) / 60_000).toFixed(1);
const machine = `## The machine\n\n${machineText(kind, loadBefore)}\n${versionsText()}`;
const summary = [lossesText(answers), targetsText(answers, positionals.length === 0)];
console.log(`\n${[...summary, machine].join('\n\n')}\n\n${minutes} minutes`);
if (positionals.length === 0) {
  const intro = [
    '# Benchmarks',
    'What `npm run bench` last wrote. Medians of interleaved runs (A B A B …); a ratio is the median of the ratios of the rounds, so it can differ a little from that of the medians beside it.',
  ];
  const parts = [...intro, ...summary, machine, ...answers.map(questionText)];
  writeFileSync(`${root}bench/RESULTS.md`, `${parts.join('\n\n')}\n`);
}

/** @param {string} name @returns {Promise<import('./rows.mjs').Answer>} */
async function answerOf(name) {
  try {
    const { ask } = await import(`./${name}.mjs`);
    return await ask(folder);
  } catch (error) {
    if (!(error instanceof LeftOut)) throw error;
    return { title: name, notes: [], rows: [], leftOut: [error.message] };
  }
}
