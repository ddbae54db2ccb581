// @ts-check
/**
 * Refuses to publish what is not ready: `npm publish` runs it first. The owner of the repository is a placeholder until
 * it has a home; the version must be the one of the change log, and of the tag if the release workflow runs.
 *
 *     node scripts/check-release.mjs [FOLDER]
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const folder = process.argv[2] ?? fileURLToPath(new URL('../', import.meta.url));
const root = pathToFileURL(`${resolve(folder)}/`);
const text = (/** @type {string} */ name) => readFileSync(new URL(name, root), 'utf8');
const manifest = JSON.parse(text('package.json'));

/** @type {string[]} */
const problems = [];
for (const [field, value] of Object.entries(manifest)) {
  if (JSON.stringify(value).includes('OWNER')) problems.push(`package.json: ${field} has the placeholder OWNER`);
}
const [, newest] = /^## \[(\d[^\]]*)\]/m.exec(text('CHANGELOG.md')) ?? [];
if (newest !== manifest.version)
  problems.push(`CHANGELOG.md ends with ${newest}, package.json has ${manifest.version}`);
const { GITHUB_REF_TYPE: kind, GITHUB_REF_NAME: tag } = process.env;
if (kind === 'tag' && tag !== `v${manifest.version}`) problems.push(`the tag is ${tag}, not v${manifest.version}`);
for (const built of [manifest.main, manifest.bin.vhdx, manifest.unpkg]) {
  if (!existsSync(new URL(built, root))) problems.push(`${built} is not there: npm run build`);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
