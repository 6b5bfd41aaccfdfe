// The settings that a job gets from a container's variables, judged as the job itself judges them. Pure.

/**
 * @param {(sources: { env: Record<string, string> }) => import('./manifest-checks.mjs').Settings} loadConfig of src/ops/config.ts
 * @returns {import('./manifest-checks.mjs').SettingsOf}
 */
export function settingsBy(loadConfig) {
  return (env) => {
    // The files of secrets are not here: what matters is that their names are known.
    const entries = Object.entries(env).map(([name, value]) =>
      /^MILLRACE_.*_FILE$/.test(name) ? [name.replace(/_FILE$/, ''), 'a-secret'] : [name, String(value)],
    )
    try {
      return loadConfig({ env: Object.fromEntries(entries) })
    } catch (error) {
      return error.message
    }
  }
}
