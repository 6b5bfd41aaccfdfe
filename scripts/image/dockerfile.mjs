// Reads a Dockerfile into stages of plain instructions, with ARG and ENV put in. dockerfile-ast does the parsing; here is only
// what docker build adds to it. Pure but for the reading.
import { readFileSync } from 'node:fs'
import { DockerfileParser } from 'dockerfile-ast'

/**
 * @typedef {object} Instruction
 * @property {string} keyword in capitals
 * @property {string} text its arguments as they are written, variables put in except for RUN (the shell does that)
 * @property {string[]} words arguments without flags; of the exec form, its strings
 * @property {boolean} isExec written as a JSON list
 * @property {Record<string, string>} flags `--from=build` as `{ from: 'build' }`
 * @property {Record<string, string>} values of ENV, LABEL, ARG
 * @property {number} line from 1
 *
 * @typedef {object} Stage
 * @property {string | undefined} name
 * @property {string} base an image, or the name of an earlier stage
 * @property {Instruction[]} instructions
 */

/**
 * The stages of a Dockerfile. Throws on what this reader does not know, rather than to pass over it.
 *
 * @param {string} path
 * @param {Record<string, string>} [buildArguments] as docker build --build-arg
 * @returns {Stage[]}
 */
export function readDockerfile(path, buildArguments = {}) {
  const file = DockerfileParser.parse(readFileSync(path, 'utf8'))
  const globals = {}
  const stages = []
  let variables = globals
  for (const node of file.getInstructions()) {
    const keyword = node.getKeyword()
    if (keyword === 'FROM') {
      stages.push({
        name: node.getBuildStage() ?? undefined,
        base: substitute(node.getImage(), globals),
        instructions: [],
      })
      variables = {}
      continue
    }
    const instruction = instructionOf(node, keyword, variables)
    if (keyword === 'ARG') {
      for (const [name, value] of Object.entries(instruction.values)) variables[name] = buildArguments[name] ?? value
    }
    if (keyword === 'ENV') Object.assign(variables, instruction.values)
    const stage = stages.at(-1)
    if (stage !== undefined) stage.instructions.push(instruction)
    else if (keyword !== 'ARG') throw new Error(`${path}: ${keyword} before the first FROM`)
  }
  return stages
}

function instructionOf(node, keyword, variables) {
  const raw = node.getArgumentsContent() ?? ''
  const put = (text) => (keyword === 'RUN' ? text : substitute(text, variables))
  const list = LISTS.has(keyword) ? listOf(raw) : undefined
  const words = (list ?? (node.getArguments() ?? []).map((word) => word.getValue()).filter(isNoFlag)).map(put)
  const flags = Object.fromEntries(
    (node.getFlags?.() ?? []).map((flag) => [flag.getName(), put(flag.getValue() ?? '')]),
  )
  const line = node.getRange().start.line + 1
  return {
    keyword,
    text: put(raw),
    words,
    isExec: list !== undefined,
    flags,
    values: valuesOf(node, keyword, put),
    line,
  }
}

/** Keywords whose arguments may be a JSON list (the exec form). */
const LISTS = new Set(['RUN', 'CMD', 'ENTRYPOINT', 'HEALTHCHECK', 'VOLUME', 'COPY'])
const isNoFlag = (word) => !word.startsWith('--')

/** The strings of the exec form; behind HEALTHCHECK's CMD too. */
function listOf(raw) {
  const list = raw.match(/(?:^|\s)(\[\s*"[\s\S]*\])\s*$/)
  return list === null ? undefined : JSON.parse(list[1])
}

function valuesOf(node, keyword, put) {
  if (!['ENV', 'LABEL', 'ARG'].includes(keyword)) return {}
  const properties = keyword === 'ARG' ? [node.getProperty()] : node.getProperties()
  return Object.fromEntries(
    properties.filter(Boolean).map((property) => [property.getName(), put(property.getValue() ?? '')]),
  )
}

function substitute(text, variables) {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced, plain) => {
    const value = variables[braced ?? plain]
    if (value === undefined) throw new Error(`Dockerfile: ${whole} is not set`)
    return value
  })
}

/** What a stage says to the engine that runs it: the last of each counts. */
export function settingsOf(stage) {
  const last = (keyword) => stage.instructions.findLast((instruction) => instruction.keyword === keyword)
  const all = (keyword) => stage.instructions.filter((instruction) => instruction.keyword === keyword)
  return {
    user: last('USER')?.words[0],
    workdir: last('WORKDIR')?.words[0] ?? '/',
    env: Object.assign({}, ...all('ENV').map(({ values }) => values)),
    labels: Object.assign({}, ...all('LABEL').map(({ values }) => values)),
    entrypoint: last('ENTRYPOINT'),
    cmd: last('CMD'),
    healthcheck: last('HEALTHCHECK'),
    stopSignal: last('STOPSIGNAL')?.words[0],
    ports: all('EXPOSE').flatMap(({ words }) => words.map(Number)),
    volumes: all('VOLUME').flatMap(({ words }) => words),
  }
}
