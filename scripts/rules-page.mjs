// @ts-check
/** The text of docs/rules.md, made from the tables of rules. `npm run docs:rules` writes it; a spec fails when it is stale. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/**
 * Rules that a reader follows without a finding: number, section of [MS-VHDX], what is done.
 *
 * @type {ReadonlyArray<readonly [number: string, spec: string, sentence: string]>}
 */
const WITHOUT_FINDING = [
  ['2', '2.2.1', 'The creator is shown and never changes behaviour; it may lack a terminator.'],
  [
    '7',
    '2.2.2',
    'The current header is the valid one with the higher sequence number, compared as unsigned 64-bit numbers.',
  ],
  ['8', '2.2.2', 'Two valid headers with the same sequence number are accepted if they are identical.'],
  ['18', '2.2.2', 'Reserved bytes of a header are ignored.'],
  ['19', '2.2.2.1', 'A sequence number that cannot be increased any more is no obstacle to reading.'],
  ['30', '2.2.3.2', 'The BAT and metadata regions need not be marked as required.'],
  ['36', '2.6.1.1', 'What follows the last counted entry of the metadata table is ignored.'],
  ['44', '2.6.1.2', 'An unknown item that is not required is listed and otherwise ignored.'],
  ['50', '2.6.2.1', 'LeaveBlockAllocated is ignored if the disk has a parent.'],
  ['57', '2.5', 'BAT entries past the computed number of entries are ignored.'],
  [
    '66',
    '2.5.1.1',
    'The offset of a block in state 0 or 2 is ignored; a block in state 1 or 3 keeps its place in the file.',
  ],
  ['70', '2.5.1.1', 'For a fully present block the sector bitmap is not consulted.'],
  ['71', '2.5.1.1', 'Undefined, zero and unmapped blocks read as zeros and never as the parent.'],
  ['72', '2.3.1', 'Log entries begin at multiples of 4 KiB and may wrap around the end of the log at any of them.'],
  ['73', '2.3.1.1', 'A log entry begins with "loge".'],
  ['74', '2.3.1.1', 'The length of an entry is a positive multiple of 4 KiB and at most that of the log.'],
  ['75', '2.3.1.1', 'The checksum of an entry covers its whole length.'],
  ['76', '2.3.1.1', 'The sequence number of an entry is not 0.'],
  ['77', '2.3.1.1', 'An entry carries the log GUID of the current header.'],
  ['78', '2.3.1.1', 'The tail of an entry is a multiple of 4 KiB inside the log.'],
  ['79', '2.3.1', 'An entry is long enough for its descriptors.'],
  ['80', '2.3.1', 'An entry is exactly as long as its descriptors and data sectors.'],
  ['81', '2.3.1.2', 'A descriptor begins with "desc" or "zero" and carries the sequence number of its entry.'],
  ['82', '2.3.1.2', 'Offset and length of a descriptor are multiples of 4 KiB.'],
  ['85', '2.3.1.4', 'A data sector begins with "data" and carries the sequence number of its entry.'],
  ['86', '2.3.1', 'Reserved fields of entries and descriptors are ignored.'],
  ['87', '2.3.2', 'A sequence is a run of adjacent entries with consecutive sequence numbers.'],
  ['88', '2.3.3', 'A sequence is valid if the tail of its newest entry is the position of one of its entries.'],
  ['89', '2.3.3', 'The active sequence is the valid one with the highest sequence number.'],
  ['90', '2.3.3', 'Replay begins at the tail; entries before it are not applied.'],
  ['92', '2.3.3', 'A sequence without descriptors is valid and changes nothing.'],
  ['95', '2.3.3', 'After replay the file is at least as long as the newest entry says.'],
  ['96', '2.3.3', 'The log is replayed before region tables, metadata and BAT are read.'],
  ['98', '2.3.3', 'Replay in memory changes no GUID and writes nothing to the file.'],
  ['99', '2.3.3', 'The whole sequence is checked before anything is applied.'],
  ['105', '2.6.2.6.3', 'A GUID in the parent locator may be written with or without braces, in any case.'],
  ['107b', '2.6.2.6.3', 'A path that leaves the folder of the child is followed only if the caller allows it.'],
  ['109', '2.3.3', 'A parent that is dirty is replayed in memory too.'],
];

/**
 * The page, as Markdown.
 *
 * @param {typeof import('../src/rules.js').RULES} rules
 * @param {typeof import('../src/rule-meanings.js').MEANINGS} meanings
 */
export function rulesPage(rules, meanings) {
  const reported = Object.entries(rules).map(([code, { severity, spec }]) => {
    const { number, meaning } = meanings[/** @type {keyof typeof rules} */ (code)];
    return [number, `\`${code}\``, severity, spec, meaning];
  });
  return `---
title: All rules
---

# All rules

<!-- Made by \`npm run docs:rules\` from src/rules.ts, src/rule-meanings.ts and scripts/rules-page.mjs. -->

The rules that an image is read by, with the section of [MS-VHDX] that each comes from. Specs name them by number: "rule 64".

## Rules that findings and errors report

${table(['number', 'code', 'usual severity', 'section', 'what a violation means'], reported)}

## Rules without a finding

A log entry that violates one of the rules 72 to 87 is not valid and ends its sequence; old and torn entries are normal in a log.

${table(['number', 'section', 'rule'], WITHOUT_FINDING)}
`;
}

/** @param {readonly string[]} head @param {ReadonlyArray<readonly string[]>} rows */
const table = (head, rows) =>
  [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join(
    '\n',
  );

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { runnerImport } = await import('vite');
  const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
  /** @type {{ module: typeof import('../src/rules.js') }} */
  const { module: rules } = await runnerImport(path('src/rules.ts'));
  /** @type {{ module: typeof import('../src/rule-meanings.js') }} */
  const { module: meanings } = await runnerImport(path('src/rule-meanings.ts'));
  await writeFile(path('docs/rules.md'), rulesPage(rules.RULES, meanings.MEANINGS));
}
