// Dockerfile, compose.yaml and the manifests of Kubernetes, read and compared with the configuration. Holds SPEC: IMAGE-1,
// IMAGE-2. What the image does when it runs is tried by `npm run image:check`.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Check, readDockerfile, settingsOf } from '../../scripts/image/dockerfile.mjs'
import { checkContext, checkDockerfile } from '../../scripts/image/dockerfile-checks.mjs'
import { checkCompose, checkKubernetes } from '../../scripts/image/manifest-checks.mjs'
import { settingsBy } from '../../scripts/image/settings.mjs'
import { loadConfig } from '../../src/ops/config.ts'
import { CONFIG_ROWS } from '../../src/ops/config-table.ts'

const root = resolve(import.meta.dirname, '../..')
const settings = settingsBy(loadConfig)
const FILES = ['Dockerfile', 'compose.yaml', 'deploy', 'package.json']

let copy: string
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'millrace-deploy-'))
  for (const name of FILES) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  mkdirSync(join(copy, '.cache'))
})
afterEach(() => rmSync(copy, { recursive: true }))

/** All problems of a tree. */
function problemsOf(folder: string): string[] {
  const stages = readDockerfile(join(folder, 'Dockerfile'))
  const image = settingsOf(stages.at(-1)!)
  const checks: Check[] = [
    checkDockerfile(folder, stages),
    checkCompose(folder, image, settings),
    ...checkKubernetes(folder, image, settings),
  ]
  return checks.flatMap(({ problems }) => problems)
}

/** The problems after one change to a file. */
function problemsAfter(name: string, from: string, to: string): string[] {
  const text = readFileSync(join(copy, name), 'utf8')
  expect(text, `${name} has what is changed`).toContain(from)
  writeFileSync(join(copy, name), text.replaceAll(from, to))
  return problemsOf(copy)
}

describe('the deployment', () => {
  test('has no problem as it is', () => {
    expect(problemsOf(root)).toEqual([])
  })

  test('exposes the ports of the configuration', () => {
    const { ports } = settingsOf(readDockerfile(join(root, 'Dockerfile')).at(-1)!)
    const byDefault = (key: string) => CONFIG_ROWS.find((row) => row.key === key)!.default
    expect(ports).toEqual([byDefault('http.port'), byDefault('push.port')])
  })

  test('copies nothing that .dockerignore keeps out of the build', () => {
    const problems = (path: string) => checkContext(root, readDockerfile(path)).problems
    expect(problems(join(root, 'Dockerfile'))).toEqual([])
    const path = join(copy, 'Dockerfile')
    writeFileSync(path, readFileSync(path, 'utf8').replace('COPY bin bin', 'COPY bin docs ./'))
    expect(problems(path)).toEqual([expect.stringMatching(/line \d+: docs is not in the context/)])
  })

  test('runs examples that are there', () => {
    const named = ['compose.yaml', 'deploy/kubernetes/candles.yaml'].flatMap((name) =>
      [...readFileSync(join(root, name), 'utf8').matchAll(/examples\/[\w/-]+\.ts/g)].map(([path]) => path),
    )
    expect(named).toHaveLength(2)
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  test.each([
    ['Dockerfile', 'USER 10001:10001', 'USER root', 'USER root is root or no number'],
    ['Dockerfile', 'STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGINT', 'STOPSIGNAL is SIGINT'],
    [
      'Dockerfile',
      'ENTRYPOINT ["node", "/app/bin/millrace.cjs"]',
      'ENTRYPOINT node /app/bin/millrace.cjs',
      'exec form',
    ],
    ['Dockerfile', 'CMD ["node", "/app/bin/millrace.cjs", "health"]', 'NONE', 'HEALTHCHECK is missing'],
    ['Dockerfile', 'ca-certificates libssl3t64', 'g++ libssl3t64', 'installs what only a build needs'],
    ['Dockerfile', 'debian:trixie-slim', 'debian:latest', 'is whatever is newest'],
    ['Dockerfile', 'ARG VERSION=0.1.0', 'ARG VERSION=0.0.9', 'the version label is not'],
    ['compose.yaml', 'stop_grace_period: 15s', 'stop_grace_period: 10s', 'candles is killed within limits.stopMs'],
    ['compose.yaml', 'read_only: true', 'read_only: false', 'candles can write to its root'],
    ['compose.yaml', '127.0.0.1:8081:8081', '127.0.0.1:8081:8082', 'candles publishes 8080,8082'],
    ['compose.yaml', 'MILLRACE_LANES:', 'MILLRACE_LANE:', 'did you mean MILLRACE_LANES?'],
    ['compose.yaml', 'service_healthy', 'healthy', '/services/topics/depends_on'],
    [
      'deploy/kubernetes/candles.yaml',
      'terminationGracePeriodSeconds: 30',
      'terminationGracePeriodSeconds: 10',
      'is killed',
    ],
    ['deploy/kubernetes/candles.yaml', 'containerPort: 8080', 'containerPort: 9090', 'port admin is 9090'],
    ['deploy/kubernetes/candles.yaml', 'runAsUser: 10001', 'runAsUser: 1000', "do not run as the image's 10001:10001"],
    ['deploy/kubernetes/candles.yaml', 'path: /readyz', 'path: /healthz', 'readinessProbe does not ask /readyz'],
    [
      'deploy/kubernetes/candles.yaml',
      'KAFKA_SASL_PASSWORD_FILE',
      'KAFKA_SASL_PASSWORD',
      'is a secret in the environment',
    ],
    [
      'deploy/kubernetes/candles.yaml',
      'fieldPath: metadata.name',
      'fieldPath: metadata.uid',
      'is not the name of the pod',
    ],
    ['deploy/kubernetes/candles.yaml', 'secretName: candles-kafka', 'secretName: kafka', 'there is no Secret kafka'],
    ['deploy/kubernetes/candles.yaml', 'replicas: 1', 'replicas: one', 'must be integer'],
  ])('of which %s has `%s` as `%s` is refused: %s', (name, from, to, problem) => {
    expect(problemsAfter(name, from, to).join('\n')).toContain(problem)
  })
})
