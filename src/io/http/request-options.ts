/** Headers of a request, in the shapes that `fetch` takes: by their names, as pairs, or a `Headers`. */
export type RequestHeaders =
  | Readonly<Record<string, string>>
  | readonly (readonly [name: string, value: string])[]
  | Headers;

/** Whether cookies go along, as `fetch` has it. */
export type RequestCookies = 'omit' | 'same-origin' | 'include';
