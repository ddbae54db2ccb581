import { needs, tool } from './tools.js';

// The chromium project consists of this alone where there is no Chromium, so that its absence shows.
needs(tool('chromium')).test('all specs in Chromium', () => {
  throw new Error('Chromium is here: this spec should not have run.');
});
