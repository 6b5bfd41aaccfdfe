// The table of movers: the day of each symbol, in the order that is asked for. Its rows stay, what they show changes; while somebody
// points at it or is in it by keyboard, the order holds.
import { byId, setClass, setText } from './dom.ts'
import type { Mover } from './feed.ts'
import { deltaClass, percent, price, short } from './format.ts'

const ROWS_MAX = 50

type Column = 'sym' | 'close' | 'change' | 'dayVolume'
type Order = 'ascending' | 'descending'

interface Line {
  tr: HTMLTableRowElement
  button: HTMLButtonElement
  last: HTMLElement
  change: HTMLElement
  volume: HTMLElement
}

export const changeOf = ({ close, dayOpen }: Mover): number => close / dayOpen - 1

export class Movers {
  readonly #bySymbol = new Map<string, Mover>()
  readonly #table = byId<HTMLTableElement>('movers')
  readonly #lines: Line[] = []
  readonly #choose: (sym: string) => void
  #by: Column = 'dayVolume'
  #order: Order = 'descending'
  /** Symbols of the rows, from the top. */
  #shown: string[] = []
  #chosen: string | undefined
  #isPointedAt = false

  constructor(choose: (sym: string) => void) {
    this.#choose = choose
    for (const th of this.#headers()) {
      th.querySelector('button')!.addEventListener('click', () => this.#sortBy(th.dataset.by as Column))
    }
    const body = this.#table.tBodies[0]!
    body.addEventListener('pointerenter', (event) => this.#hold(event.pointerType === 'mouse'))
    body.addEventListener('pointerleave', () => this.#hold(false))
  }

  get symbols(): ReadonlyMap<string, Mover> {
    return this.#bySymbol
  }

  take(movers: readonly Mover[], isAll: boolean): void {
    if (isAll) this.#bySymbol.clear()
    for (const mover of movers) this.#bySymbol.set(mover.sym, mover)
  }

  show(chosen: string | undefined): void {
    this.#chosen = chosen
    const isHeld = this.#isHeld && this.#shown.every((sym) => this.#bySymbol.has(sym))
    if (!isHeld) this.#shown = this.#sorted().slice(0, ROWS_MAX)
    byId('held').hidden = !isHeld
    for (const [i, sym] of this.#shown.entries())
      this.#write(this.#lines[i] ?? this.#addLine(), this.#bySymbol.get(sym)!)
    for (const { tr } of this.#lines.splice(this.#shown.length)) tr.remove()
    const count = this.#bySymbol.size
    const shown = count > ROWS_MAX ? `${ROWS_MAX} of ${count} symbols` : `${count} symbols`
    setText(byId('movers-note'), `${shown}, as of their last closed second`)
  }

  get #isHeld(): boolean {
    return this.#shown.length > 0 && (this.#isPointedAt || this.#table.tBodies[0]!.matches(':focus-within'))
  }

  #hold(isPointedAt: boolean): void {
    this.#isPointedAt = isPointedAt
  }

  #headers(): HTMLTableCellElement[] {
    return [...this.#table.tHead!.rows[0]!.cells]
  }

  #sortBy(column: Column): void {
    const first: Order = column === 'sym' ? 'ascending' : 'descending'
    const other: Order = this.#order === 'ascending' ? 'descending' : 'ascending'
    this.#order = this.#by === column ? other : first
    this.#by = column
    for (const th of this.#headers()) {
      if (th.dataset.by === column) th.setAttribute('aria-sort', this.#order)
      else th.removeAttribute('aria-sort')
    }
    this.show(this.#chosen)
  }

  #sorted(): string[] {
    const sign = this.#order === 'ascending' ? 1 : -1
    const value = this.#by === 'change' ? changeOf : (mover: Mover) => mover[this.#by as 'close' | 'dayVolume']
    const byName = (a: Mover, b: Mover): number => (a.sym < b.sym ? -1 : 1)
    const compare =
      this.#by === 'sym'
        ? (a: Mover, b: Mover) => sign * byName(a, b)
        : (a: Mover, b: Mover) => sign * (value(a) - value(b)) || byName(a, b)
    return [...this.#bySymbol.values()].sort(compare).map(({ sym }) => sym)
  }

  #addLine(): Line {
    const tr = this.#table.tBodies[0]!.insertRow()
    const cell = (): HTMLTableCellElement => {
      const td = tr.insertCell()
      td.className = 'number'
      return td
    }
    const name = document.createElement('th')
    name.scope = 'row'
    const button = document.createElement('button')
    button.type = 'button'
    name.append(button)
    tr.append(name)
    const line = { tr, button, last: cell(), change: cell(), volume: cell() }
    tr.addEventListener('click', () => this.#choose(line.tr.dataset.symbol!))
    this.#lines.push(line)
    return line
  }

  #write({ tr, button, last, change, volume }: Line, mover: Mover): void {
    const share = changeOf(mover)
    if (tr.dataset.symbol !== mover.sym) tr.dataset.symbol = mover.sym
    setText(button, mover.sym)
    if (mover.sym === this.#chosen) button.setAttribute('aria-current', 'true')
    else button.removeAttribute('aria-current')
    setText(last, price(mover.close))
    setText(change, percent(share))
    setClass(change, `number ${deltaClass(share)}`)
    setText(volume, short(mover.dayVolume))
  }
}
