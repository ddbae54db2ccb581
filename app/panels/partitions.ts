import type { Partition, PartitionTable } from '../../src/volumes/index.js';
import { byId, el, reachable } from '../dom.js';
import { hexText, plural, sizeText } from '../wording.js';
import { type Context, type Panel, sentenceOf } from './panel.js';

/** The panel with the partition table. */
export function partitionsPanel(): Panel {
  const section = byId('panel-partitions', HTMLElement);
  const state = byId('partitions-state', HTMLParagraphElement);
  const body = reachable(byId('partitions-body', HTMLElement));
  return {
    show(context) {
      body.replaceChildren();
      // A file that is taken for a raw disk may be anything.
      section.hidden = context.info === undefined;
      if (context.diskSize === undefined) return;
      state.textContent = 'Reading the partition table…';
      context.partitions().then(
        (table) => {
          state.textContent = summarise(table);
          if (table.scheme !== 'none' || table.fileSystem) section.hidden = false;
          const notes = table.notes.map((note) => el('p', { class: 'note' }, note));
          body.replaceChildren(...notes, ...(table.partitions.length > 0 ? [tableOf(table, context)] : []));
        },
        (error) => {
          const sentence = sentenceOf(error);
          if (sentence !== undefined) state.textContent = `The partition table cannot be read. ${sentence}`;
        },
      );
    },
  };
}

function summarise({ scheme, sectorSize, diskId, partitions, fileSystem }: PartitionTable): string {
  if (scheme === 'unknown')
    return 'The first sector of the disk cannot be read, so it is unknown whether there is a partition table.';
  if (scheme !== 'none') {
    const id = diskId === undefined ? '' : `, disk ${diskId}`;
    return `${scheme} with ${plural(partitions.length, 'partition')}, in sectors of ${sectorSize} bytes${id}.`;
  }
  if (!fileSystem) return 'There is no partition table, and no known file system at the start of the disk.';
  const isOfWsl = fileSystem.name.startsWith('ext');
  const label = fileSystem.label === undefined ? '' : ` named “${fileSystem.label}”`;
  return `There is no partition table: the whole disk is one ${fileSystem.name} file system${label}${isOfWsl ? ', as WSL makes it' : ''}.`;
}

function tableOf({ partitions }: PartitionTable, context: Context): HTMLElement {
  const heads = ['No.', 'Type', 'Name', 'Holds', 'Size', 'Starts at'];
  const head = el('thead', {}, el('tr', {}, ...heads.map((text) => el('th', { scope: 'col' }, text))));
  return el(
    'table',
    { class: 'partitions' },
    head,
    el('tbody', {}, ...partitions.map((partition) => rowOf(partition, context))),
  );
}

function rowOf(partition: Partition, context: Context): HTMLElement {
  const { number, type, typeId, name, marks, fileSystem, length, offset } = partition;
  const cell = (label: string, ...content: readonly (Node | string)[]) =>
    el('td', { 'data-label': label }, el('span', {}, ...content));
  const show = () => context.showBytes('disk', offset);
  const { showOnMap } = context;
  const onMap =
    showOnMap &&
    el(
      'button',
      {
        type: 'button',
        class: 'small',
        onclick: () => showOnMap(offset, length),
        'aria-label': `Show partition ${number} on the map`,
      },
      'Map',
    );
  const start = el(
    'button',
    { type: 'button', class: 'small', onclick: show, 'aria-label': `Show the bytes of the disk at ${hexText(offset)}` },
    hexText(offset),
  );
  const holds = fileSystem
    ? `${fileSystem.name}${fileSystem.label === undefined ? '' : ` “${fileSystem.label}”`}`
    : '–';
  const kind = el('span', { title: typeId }, type === 'unknown' ? `Unknown (${typeId})` : type);
  return el(
    'tr',
    {},
    el('th', { scope: 'row', 'data-label': 'No.' }, String(number)),
    cell('Type', kind, marks.length > 0 ? ` (${marks.join(', ')})` : ''),
    cell('Name', name ?? '–'),
    cell('Holds', holds),
    cell('Size', sizeText(length)),
    cell('Starts at', start, ...(onMap ? [' ', onMap] : [])),
  );
}
