// Verifies that an image holds the disk that somebody promised. The work is done in a worker, so the page stays alive.

/** @typedef {{ done: number, total: number } | { checksum: number } | { error: string }} Answer */

const form = /** @type {HTMLFormElement} */ (document.querySelector('form'));
const progress = /** @type {HTMLProgressElement} */ (document.querySelector('progress'));
const output = /** @type {HTMLOutputElement} */ (document.querySelector('output'));

/**
 * Computes the CRC-32C of the virtual disk in an image.
 *
 * @param {File} image
 * @returns {Promise<number>}
 */
function checksumOf(image) {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = (/** @type {MessageEvent<Answer>} */ { data }) => {
      if ('checksum' in data) resolve(data.checksum);
      else if ('error' in data) reject(new Error(data.error));
      else progress.value = data.done / data.total;
    };
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(image); // a File is handed over by name, not by its bytes
  }).finally(() => worker.terminate());
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const image = /** @type {File} */ (fields.get('image'));
  const expected = Number.parseInt(String(fields.get('expected')), 16);
  output.value = '';
  try {
    const checksum = await checksumOf(image);
    const text = checksum.toString(16).padStart(8, '0');
    output.value =
      checksum === expected ? `${image.name} is what was promised` : `${image.name} differs: it has ${text}`;
  } catch (error) {
    output.value = `${image.name}: ${/** @type {Error} */ (error).message}`;
  }
});
