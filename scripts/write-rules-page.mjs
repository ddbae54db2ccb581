// @ts-check
/** Writes docs/rules.md. */
import { writeFile } from 'node:fs/promises';
import { RULES } from '../dist/rules.js';
import { rulesPage } from './rules-page.mjs';

await writeFile(new URL('../docs/rules.md', import.meta.url), rulesPage(RULES));
