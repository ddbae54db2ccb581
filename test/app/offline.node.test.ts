import { describe, expect } from 'vitest';
import { crc32cReference } from '../support/crc32c-reference.js';
import { needs, tempDir, tool } from '../support/tools.js';
import { inspector, POLICY } from './support/inspector.js';
import { expectText, openFiles } from './support/reading.js';
import { smallChain } from './support/small-chain.js';

const app = inspector();

describe('without a network', () => {
  for (const policy of ['usual', 'withoutWasm'] as const) {
    needs(tool('chromium')).test(
      `the page opens again, and sums a chain, under the policy ${POLICY[policy]}`,
      async () => {
        const chain = await smallChain(await tempDir());
        const page = await app.open({ policy: POLICY[policy] });
        await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
        await page.context().setOffline(true);
        await page.reload();
        await openFiles(page, [chain.base, chain.middle, chain.top]);
        await page.getByRole('button', { name: 'Compute' }).click();
        const content = chain.model.expected(0, chain.model.size);
        await expectText(page.locator('#checksum-hex'), crc32cReference(content).toString(16).padStart(8, '0'));
        expect(await page.evaluate(() => navigator.onLine)).toBe(false);
      },
    );
  }
});
