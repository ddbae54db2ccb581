// @ts-check
/** Writes docs/rules.md from src/rules.ts. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';
import { rulesPage } from './rules-page.mjs';

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** @type {{ module: typeof import('../src/rules.js') }} */
const { module } = await runnerImport(path('src/rules.ts'));
await writeFile(path('docs/rules.md'), rulesPage(module.RULES));
