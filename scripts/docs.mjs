// @ts-check
/** Makes the documentation site, build/docs: the guide, the reference, and the page of all rules. */
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

process.chdir(fileURLToPath(new URL('../', import.meta.url)));
const app = await Application.bootstrapWithPlugins();
const project = await app.convert();
if (project === undefined) process.exit(1);
for (const [door, name] of Object.entries({ index: 'vhdx', volumes: 'vhdx/volumes', nbd: 'vhdx/nbd' })) {
  const reference = project.getChildByName(door);
  if (reference === undefined) throw new Error(`the reference has no module ${door}`);
  reference.name = name;
}
app.validate(project);
await app.generateOutputs(project);
app.logger.info(`${app.logger.warningCount} warnings`);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
