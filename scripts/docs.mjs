// @ts-check
/** Makes the documentation site, build/docs: the guide, the reference, and a page of all rules. */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { RULES } from '../dist/rules.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const page = `${root}build/rules.md`;

const rows = Object.entries(RULES).map(
  ([code, { severity, spec, meaning }]) => `| \`${code}\` | ${severity} | ${spec} | ${meaning} |`,
);
await mkdir(`${root}build`, { recursive: true });
await writeFile(
  page,
  `---
title: All rules
---

# All rules

The codes of findings and errors, with the section of [MS-VHDX] that each comes from and what it means for the data.

| code | severity | section | means |
|---|---|---|---|
${rows.join('\n')}
`,
);

process.chdir(root);
const app = await Application.bootstrapWithPlugins();
const project = await app.convert();
if (project === undefined) process.exit(1);
const reference = project.getChildByName('index');
if (reference === undefined) throw new Error('the reference has another name than index');
reference.name = 'Reference';
app.validate(project);
await app.generateOutputs(project);
app.logger.info(`${rows.length} rules, ${app.logger.warningCount} warnings`);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
