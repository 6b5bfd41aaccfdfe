// Gives the suites that need it a broker: the one of KAFKA_BROKERS, or a fresh one for the run.
// Runs once in the test runner's process. Tests read the address with `inject('brokers')`.
import type { TestProject } from 'vitest/node'
import { buildAddons } from '../../scripts/build-addon.mjs'
import { requireBrokerTools, startBroker } from './broker.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Address of the broker that the run may fill with topics. */
    brokers: string
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  buildAddons()
  const given = process.env.KAFKA_BROKERS
  if (given !== undefined && given !== '') {
    project.provide('brokers', given)
    return undefined
  }
  requireBrokerTools()
  const broker = await startBroker()
  project.provide('brokers', broker.brokers)
  return () => broker.stop()
}
