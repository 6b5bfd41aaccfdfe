import type { Check, ImageSettings } from './dockerfile.mjs'
export interface Settings {
  http: { host: string; port: number }
  push: { host: string; port: number }
  limits: { stopMs: number }
  stateDir: string
}
export type SettingsOf = (env: Record<string, string>) => Settings | string
export function checkCompose(root: string, image: ImageSettings, settingsOf: SettingsOf): Check
export function checkKubernetes(root: string, image: ImageSettings, settingsOf: SettingsOf): Check[]
