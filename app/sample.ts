/** A small image with a file system, which was not closed cleanly: `npm run demo` shows it too. */
const ADDRESS = new URL('../demo/disk.vhdx.gz', import.meta.url);

/** Fetches the image that people may try the page with. */
export async function fetchSample(): Promise<File> {
  const answer = await fetch(ADDRESS);
  if (!answer.ok) throw new Error(`the sample cannot be fetched: the server says ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  // Some servers hand such a file over as one that is compressed on the way, and then the browser has unpacked it.
  const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const blob = new Blob([bytes]);
  const image = isPacked ? new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).blob() : blob;
  return new File([await image], 'sample.vhdx');
}
