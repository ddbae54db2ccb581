import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';

const schema = JSON.parse(readFileSync(new URL('../../src/cli/output-schema.json', import.meta.url), 'utf8'));
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });

/** Asserts that output of the command is what a definition of its schema says. */
export function expectOutput(definition: string, output: string): void {
  const isOne = ajv.compile({ $ref: `#/$defs/${definition}`, $defs: schema.$defs });
  isOne(JSON.parse(output));
  expect(isOne.errors ?? []).toEqual([]);
}
