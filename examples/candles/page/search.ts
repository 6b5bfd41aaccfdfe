// The search for a symbol: a combobox with a list, by keyboard and by pointer. `/` goes to it from anywhere.
import { byId } from './dom.ts'
import type { Mover } from './feed.ts'
import { deltaClass, percent, price } from './format.ts'
import { changeOf } from './movers.ts'

const FOUND_MAX = 8

/** Symbols that have the text, those that begin with it before the others; by volume. */
export function found(symbols: ReadonlyMap<string, Mover>, text: string): Mover[] {
  const wanted = text.trim().toUpperCase()
  return [...symbols.values()]
    .map((mover) => ({ mover, at: mover.sym.toUpperCase().indexOf(wanted) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => Number(a.at > 0) - Number(b.at > 0) || b.mover.dayVolume - a.mover.dayVolume)
    .slice(0, FOUND_MAX)
    .map(({ mover }) => mover)
}

export function startSearch(symbols: ReadonlyMap<string, Mover>, choose: (sym: string) => void): void {
  const input = byId<HTMLInputElement>('search')
  const list = byId('found')
  let options: Mover[] = []
  let active = 0

  const close = (): void => {
    list.hidden = true
    input.setAttribute('aria-expanded', 'false')
    input.removeAttribute('aria-activedescendant')
  }
  const pick = (mover: Mover | undefined): void => {
    if (mover === undefined) return
    choose(mover.sym)
    input.value = ''
    close()
  }
  const activate = (index: number): void => {
    active = options.length === 0 ? 0 : (index + options.length) % options.length
    for (const [i, option] of [...list.children].entries()) option.setAttribute('aria-selected', String(i === active))
    if (options.length > 0) input.setAttribute('aria-activedescendant', `found-${active}`)
    else input.removeAttribute('aria-activedescendant')
  }
  const open = (): void => {
    options = found(symbols, input.value)
    list.replaceChildren(...(options.length > 0 ? options.map(optionOf) : [nothing(input.value)]))
    list.hidden = false
    input.setAttribute('aria-expanded', 'true')
    activate(0)
  }
  const optionOf = (mover: Mover, index: number): HTMLElement => {
    const option = document.createElement('li')
    option.id = `found-${index}`
    option.role = 'option'
    const share = changeOf(mover)
    const cells = [mover.sym, price(mover.close), percent(share)].map((text, i) => {
      const cell = document.createElement('span')
      cell.textContent = text
      if (i > 0) cell.className = i === 2 ? `number ${deltaClass(share)}` : 'number'
      return cell
    })
    option.append(...cells)
    // Before the input loses the focus, which closes the list.
    option.addEventListener('pointerdown', (event) => event.preventDefault())
    option.addEventListener('click', () => pick(mover))
    return option
  }

  const keys: Record<string, () => void> = {
    ArrowDown: () => (list.hidden ? open() : activate(active + 1)),
    ArrowUp: () => (list.hidden ? open() : activate(active - 1)),
    Enter: () => pick(list.hidden ? undefined : options[active]),
    Escape: () => {
      if (list.hidden) input.blur()
      else close()
      input.value = ''
    },
  }
  input.addEventListener('input', open)
  input.addEventListener('focus', open)
  input.addEventListener('blur', close)
  input.addEventListener('keydown', (event) => {
    const act = keys[event.key]
    if (act === undefined) return
    event.preventDefault()
    act()
  })
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement)
      return
    event.preventDefault()
    input.focus()
  })
}

function nothing(text: string): HTMLElement {
  const option = document.createElement('li')
  option.role = 'option'
  option.setAttribute('aria-disabled', 'true')
  option.className = 'faint'
  option.textContent = text.trim() === '' ? 'No symbols yet' : `No symbol has ${text.trim()}`
  return option
}
