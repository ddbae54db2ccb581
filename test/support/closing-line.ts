import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends the output with the specs that were left out and why, and one plain line for programs that read it,
 * `12 passed, 0 failed, 1 skipped`. A run without a single executed test is a failure.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const leftOut: string[] = [];
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) {
        const { state } = test.result();
        count[state] += 1;
        if (state === 'skipped') leftOut.push(`${module.project.name}: ${test.fullName}`);
      }
      // A file that does not load has no tests to count, and must not look like a green one.
      if (module.state() === 'failed' && !tests.some((test) => test.result().state === 'failed')) count.failed += 1;
    }
    if (count.passed + count.failed === 0) process.exitCode = 1;
    // The summary and the coverage table are printed after this hook.
    process.once('exit', () => {
      for (const line of leftOut) console.log(`not run: ${line}`);
      console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped`);
    });
  }
}
