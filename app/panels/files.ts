import { byId, el, reachable } from '../dom.js';
import type { FileListing, ListedFile } from '../protocol.js';
import { namesText, plural, sizeText } from '../wording.js';
import { FilePreviewView } from './file-preview.js';
import { type Job, JobView } from './job.js';
import { type Context, type Panel, sentenceOf } from './panel.js';
import { download, pickTarget } from './pick.js';

/** What kinds are called where a size would be. */
const KINDS: Readonly<Record<string, string>> = { directory: '', symlink: 'link' };

/** The panel with the files inside the disk: it goes into folders, and saves files and folders. */
export class FilesPanel implements Panel {
  readonly #section = byId('panel-files', HTMLElement);
  readonly #state = byId('files-state', HTMLParagraphElement);
  readonly #volume = byId('files-volume', HTMLSelectElement);
  readonly #way = byId('files-way', HTMLElement);
  readonly #body = reachable(byId('files-body', HTMLElement));
  readonly #preview = new FilePreviewView();
  readonly #work: JobView;
  #context: Context | undefined;
  #path: readonly string[] = [];

  constructor() {
    this.#volume.addEventListener('change', () => this.#go([]));
    this.#work = new JobView(byId('files-work', HTMLDivElement), 'Save as zip…', () => {
      const folder = this.#path.at(-1) ?? 'files';
      return this.#save({ path: `/${this.#path.join('/')}`, name: `${folder}.zip` });
    });
  }

  show(context: Context): void {
    this.#context = context;
    this.#section.hidden = true;
    this.#work.reset();
    this.#preview.close();
    this.#volume.replaceChildren();
    if (context.diskSize !== undefined) this.#go([]);
  }

  #go(path: readonly string[]): void {
    const context = this.#context;
    if (!context) return;
    this.#path = path;
    this.#preview.close();
    const volume = Math.max(0, this.#volume.selectedIndex);
    context.client.call('files', { volume, path: `/${path.join('/')}` }, { signal: context.signal }).then(
      (listing) => {
        if (this.#context === context && this.#path === path) this.#render(listing);
      },
      (error) => {
        const sentence = sentenceOf(error);
        if (sentence === undefined || this.#context !== context) return;
        this.#section.hidden = context.info === undefined;
        this.#body.replaceChildren();
        this.#state.textContent = `The files cannot be read. ${sentence}`;
      },
    );
  }

  #render({ volumes, entries, more, notes }: FileListing): void {
    this.#section.hidden = volumes.length === 0;
    if (this.#volume.options.length !== volumes.length)
      this.#volume.replaceChildren(...volumes.map(({ label, kind }) => el('option', {}, `${label}: ${kind}`)));
    const rest = more > 0 ? `, and ${plural(more, 'more', 'more')} that are not shown` : '';
    this.#state.textContent = [`${plural(entries.length, 'name')}${rest}.`, ...notes].join(' ');
    const steps = ['Files', ...this.#path].map((name, i) => {
      const isHere = i === this.#path.length;
      const to = this.#path.slice(0, i);
      return el('li', {}, isHere ? el('span', { 'aria-current': 'page' }, name) : this.#link(name, to));
    });
    this.#way.replaceChildren(...steps);
    const head = ['Name', 'Size', 'Modified', ''].map((text) => el('th', { scope: 'col' }, text));
    this.#body.replaceChildren(
      el(
        'table',
        { class: 'files' },
        el('thead', {}, el('tr', {}, ...head)),
        el('tbody', {}, ...entries.map((entry) => this.#row(entry))),
      ),
    );
    this.#body.scrollTop = 0;
  }

  #link(name: string, to: readonly string[]): HTMLElement {
    return el('button', { type: 'button', class: 'link', onclick: () => this.#go(to) }, name);
  }

  #row({ name, kind, size, modified, target, problem }: ListedFile): HTMLElement {
    const inside = [...this.#path, name];
    const shown =
      kind === 'directory' ? this.#link(`${name}/`, inside) : kind === 'file' ? this.#previewLink(name, inside) : name;
    const save = el(
      'button',
      { type: 'button', class: 'small', 'aria-label': `Save ${name}`, onclick: () => this.#saveFile(inside) },
      'Save…',
    );
    return el(
      'tr',
      {},
      el('th', { scope: 'row' }, shown, target !== undefined && ` → ${target}`),
      el('td', {}, problem !== undefined ? 'cannot be read' : kind === 'file' ? sizeText(size) : (KINDS[kind] ?? kind)),
      el('td', {}, problem ?? modified?.toISOString().slice(0, 16).replace('T', ' ')),
      el('td', {}, kind === 'file' && save),
    );
  }

  /** The name of a file, which shows what is in it. */
  #previewLink(name: string, path: readonly string[]): HTMLElement {
    return el('button', { type: 'button', class: 'link', onclick: () => this.#show(name, path) }, name);
  }

  #show(name: string, path: readonly string[]): void {
    const context = this.#context;
    if (!context) return;
    const parameters = { volume: Math.max(0, this.#volume.selectedIndex), path: `/${path.join('/')}` };
    this.#preview.show(name, (signal) => {
      return context.client.call('previewFile', parameters, { signal: AbortSignal.any([signal, context.signal]) });
    });
  }

  #saveFile(path: readonly string[]): void {
    void this.#work.start(() => this.#save({ path: `/${path.join('/')}`, name: path.at(-1) ?? 'file' }));
  }

  async #save({ path, name }: { readonly path: string; readonly name: string }): Promise<Job | undefined> {
    const context = this.#context;
    if (!context) return undefined;
    const volume = Math.max(0, this.#volume.selectedIndex);
    // Asked for in the click itself: browsers show the dialog at no other time.
    const target = await pickTarget(name);
    if (target === 'declined') return undefined;
    return async (signal, onProgress) => {
      const options = { signal: AbortSignal.any([signal, context.signal]), onProgress };
      const saved = await context.client.call('saveFiles', { volume, path, target }, options);
      const left = saved.leftOut?.length ? ` Left out, because they cannot be read: ${namesText(saved.leftOut)}.` : '';
      if (!saved.blob) return `Saved as ${saved.name}.${left}`;
      download(saved.blob, saved.name);
      return `${saved.name} (${sizeText(saved.blob.size)}) was given to the browser's downloads.${left}`;
    };
  }
}
