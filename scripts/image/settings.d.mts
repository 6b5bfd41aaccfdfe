import type { Settings, SettingsOf } from './manifest-checks.mjs'
export function settingsBy(loadConfig: (sources: { env: Record<string, string> }) => Settings): SettingsOf
