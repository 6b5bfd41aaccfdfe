// Light and dark: what the system says, until somebody chooses here; then that, for as long as this browser remembers.
import { byId } from './dom.ts'

const KEY = 'millrace-theme'
const system = matchMedia('(prefers-color-scheme: dark)')

export function isDark(): boolean {
  const { theme } = document.documentElement.dataset
  return theme === undefined ? system.matches : theme === 'dark'
}

/** Calls `onChange` whenever the colours are others. */
export function followTheme(onChange: () => void): void {
  const button = byId<HTMLButtonElement>('theme')
  const changed = (): void => {
    button.setAttribute('aria-pressed', String(isDark()))
    onChange()
  }
  button.addEventListener('click', () => {
    const next = isDark() ? 'light' : 'dark'
    document.documentElement.dataset.theme = next
    localStorage.setItem(KEY, next)
    changed()
  })
  system.addEventListener('change', changed)
  button.setAttribute('aria-pressed', String(isDark()))
}

/** A colour of style.css as it is now. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}
