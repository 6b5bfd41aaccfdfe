// Builds dist/ once before the suites: worker threads and child processes run JavaScript, not TypeScript.
import { buildDist } from '../../scripts/build.mjs'

export default async function setup(): Promise<void> {
  await buildDist()
}
