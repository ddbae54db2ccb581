// Computes the CRC-32C of the disk in the image that it is sent. Holes cost nothing: they are not read.
import { openVhdx } from 'vhdx';

addEventListener('message', async (/** @type {MessageEvent<File>} */ { data: image }) => {
  try {
    const disk = await openVhdx(image);
    const checksum = await disk.checksum({ onProgress: (progress) => postMessage(progress) });
    await disk.close();
    postMessage({ checksum });
  } catch (error) {
    postMessage({ error: /** @type {Error} */ (error).message });
  }
});
