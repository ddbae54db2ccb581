// Nothing that is checked is without a spec.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rulesPage } from '../scripts/rules-page.mjs';
import { MEANINGS } from '../src/rule-meanings.js';
import { RULES } from '../src/rules.js';

/** The text of all specs but this one. */
async function specs(): Promise<string> {
  const folder = import.meta.dirname;
  const names = (await readdir(folder, { recursive: true })).filter(
    (name) => name.endsWith('.test.ts') && name !== 'rules.node.test.ts',
  );
  return (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
}

test('every finding is expected by some spec, by its code', async () => {
  const text = await specs();
  expect(Object.keys(RULES).filter((code) => !text.includes(`'${code}`))).toEqual([]);
});

test('every rule number has a spec that carries it in its title', async () => {
  const text = await specs();
  const numbers = Array.from({ length: 113 }, (_, i) => i + 1);
  expect(numbers.filter((number) => !new RegExp(`['"\`]rule ${number}[:'"\`]`).test(text))).toEqual([]);
});

test('every rule has a meaning, and no other', () => {
  expect(Object.keys(MEANINGS)).toEqual(Object.keys(RULES));
});

test('docs/rules.md is what `npm run docs:rules` writes', async () => {
  const page = await readFile(join(import.meta.dirname, '../docs/rules.md'), 'utf8');
  expect(page).toBe(rulesPage(RULES, MEANINGS));
});

test('docs/rules.md lists every rule number', () => {
  const listed = new Set(
    [...rulesPage(RULES, MEANINGS).matchAll(/^\| ([\d, b]*) \|/gm)].flatMap(([, text]) => text?.split(', ')),
  );
  const numbers = Array.from({ length: 113 }, (_, i) => String(i + 1));
  expect(numbers.filter((number) => !listed.has(number))).toEqual([]);
});
