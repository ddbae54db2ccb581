/** What an attribute or a handler may be: `undefined` and `false` leave it out. */
type Property = string | number | boolean | undefined | ((event: Event) => void);

/** What may stand in an element. */
export type Child = Node | string | undefined | false;

/** Finds an element of the page by its id. Throws if it is not there or another one. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`the page has no ${type.name} #${id}`);
}

/**
 * Makes an element. Properties are attributes; those that begin with `on` are handlers of that event.
 * Never an inline style: the page's own security policy would refuse it.
 */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Readonly<Record<string, Property>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** Whether an error only says that the work was aborted. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** Scrolls to an element, at once for people who want nothing to move. */
export function bringIntoSight(element: HTMLElement): void {
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
  element.scrollIntoView({ block: 'nearest', behavior: isStill ? 'auto' : 'smooth' });
}

/** Lets the keyboard reach an element that scrolls, or that is worked with by keys of its own. */
export function reachable<T extends HTMLElement>(element: T): T {
  element.tabIndex = 0;
  return element;
}
