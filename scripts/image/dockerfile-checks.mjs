// What the Dockerfile must say, whatever an engine makes of it. Pure but for the reading of package.json.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isInContext } from './context.mjs'
import { settingsOf } from './dockerfile.mjs'

/**
 * @param {string} root
 * @param {import('./dockerfile.mjs').Stage[]} stages
 * @returns {import('./tree-checks.mjs').Check}
 */
export function checkDockerfile(root, stages) {
  const problems = []
  const must = (isSo, problem) => {
    if (!isSo) problems.push(`Dockerfile: ${problem}`)
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const last = stages.at(-1)
  const settings = settingsOf(last)
  must(stages.length > 1, 'one stage holds compilers and what runs')
  must(/^[1-9]\d*:[1-9]\d*$/.test(settings.user ?? ''), `USER ${settings.user} is root or no number`)
  must(settings.stopSignal === 'SIGTERM', `STOPSIGNAL is ${settings.stopSignal}`)
  must(settings.entrypoint?.isExec, 'ENTRYPOINT is not in exec form: a shell would be process 1 and keep the signals')
  must(settings.cmd?.isExec, 'CMD is not in exec form')
  must(settings.healthcheck?.isExec, 'HEALTHCHECK is missing or needs a shell')
  must(settings.volumes.length === 1, 'there is not one volume')
  must(settings.labels['org.opencontainers.image.version'] === version, `the version label is not ${version}`)
  for (const [i, { base }] of stages.entries()) {
    const isStage = stages.slice(0, i).some(({ name }) => name === base)
    must(isStage || /@sha256:|:[^:]*\d|trixie/.test(base), `FROM ${base} has neither tag nor digest`)
    must(!/:latest$/.test(base), `FROM ${base} is whatever is newest`)
  }
  for (const { keyword, text, line } of stages.flatMap(({ instructions }) => instructions)) {
    if (keyword === 'ADD') must(false, `line ${line}: ADD unpacks and fetches; COPY does not`)
    if (keyword !== 'RUN' || !text.includes('apt-get install')) continue
    must(text.includes('--no-install-recommends'), `line ${line}: apt-get without --no-install-recommends`)
    must(text.includes('rm -rf /var/lib/apt/lists'), `line ${line}: the lists of apt stay in the layer`)
  }
  const installs = last.instructions.filter(
    ({ keyword, text }) => keyword === 'RUN' && /(^|\s)(g\+\+|gcc|make|python3|\S+-dev)(\s|$)/.test(text),
  )
  must(installs.length === 0, 'the last stage installs what only a build needs')
  return { name: 'Dockerfile', problems, user: settings.user, stopSignal: settings.stopSignal, stages: stages.length }
}

/**
 * Whether all that is copied from the tree is in the context: what .dockerignore keeps out ends the build.
 *
 * @param {string} root
 * @param {import('./dockerfile.mjs').Stage[]} stages
 * @returns {import('./tree-checks.mjs').Check}
 */
export function checkContext(root, stages) {
  const instructions = stages.flatMap((stage) => stage.instructions)
  const copies = instructions.filter(({ keyword, flags }) => keyword === 'COPY' && flags.from === undefined)
  const problems = copies.flatMap(({ line, words }) =>
    words
      .slice(0, -1)
      .filter((source) => !isInContext(root, join(root, source)))
      .map((source) => `Dockerfile: line ${line}: ${source} is not in the context (see .dockerignore)`),
  )
  return { name: 'context', problems }
}
