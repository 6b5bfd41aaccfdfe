// Elements of index.html by their ids, and the least of writing to them.

/** Throws where index.html and this code do not fit. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`index.html has no #${id}`)
  return element as E
}

/** Writes only what has changed: a text that is written anew is laid out anew. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

export function setClass(element: Element, name: string): void {
  if (element.className !== name) element.className = name
}
