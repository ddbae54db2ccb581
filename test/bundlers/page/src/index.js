import { openVhdx } from 'vhdx';

const input = document.querySelector('input');
const output = document.querySelector('output');

// Uses what is loaded when it is needed, too: replay, parents, the check, the map.
async function describe(child, ...parents) {
  const disk = await openVhdx(child, { parent: parents });
  const { status } = await disk.check();
  const { binBytes } = await disk.usage({ bins: 1 });
  const checksum = await disk.checksum();
  await disk.close();
  return `${status}, ${binBytes} bytes, ${checksum.toString(16).padStart(8, '0')}`;
}

input.addEventListener('change', async () => {
  output.value = await describe(...input.files).catch(String);
});
