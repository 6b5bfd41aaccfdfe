// Which native file is loaded, and what a failure says.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { findUws, loadUws, type UwsSearch } from '../../src/push/uws.ts'

const nodeMajor = Number(process.versions.node.split('.')[0])
const EXPECTED: Record<number, { alias: string; sha256: string }> = {
  20: { alias: 'uWebSockets.js', sha256: '4d482084b665c225892917ee0e9b9572d89eaa6f3dc200ff5e536293d3456c89' },
  22: { alias: 'uWebSockets.js-22', sha256: 'f687e7c3666b5cca9d355184bbf07bb0550f5ba0d3ffd453248ccfec552dde6c' },
  24: { alias: 'uWebSockets.js-24', sha256: '177efdc682425d754474bd30f9586c487fa6694f790f3406a23885d0e61c07a0' },
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-uws-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function install(alias: string, manifest: object, files: Record<string, string>): void {
  const target = join(folder, 'node_modules', alias)
  mkdirSync(target, { recursive: true })
  writeFileSync(join(target, 'package.json'), JSON.stringify(manifest))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(target, name), text)
}

function failureOf(search: Partial<UwsSearch>): MillraceError {
  try {
    findUws({ require: createRequire(join(folder, 'x.js')), nodeMajor: 20, trustedSha256: undefined, ...search })
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('something was loaded')
}

describe('loading uWebSockets.js', () => {
  it('loads the binary that the lock file names for this Node, with the known sum', () => {
    const { file, sha256, packageName, uws } = loadUws()
    const expected = EXPECTED[nodeMajor]!
    expect(file).toBe(resolve(import.meta.dirname, '../../node_modules', expected.alias, 'uws.node'))
    expect(sha256).toBe(expected.sha256)
    expect(packageName).toBe(`@uwsjs/linux-x64-${nodeMajor}`)
    expect(typeof uws.App).toBe('function')
  })

  it('says both reasons, the platform and the way out when nothing is installed', () => {
    const error = failureOf({})
    expect(error.code).toBe('MR3005')
    expect(error.message).toContain('official: not installed')
    expect(error.message).toContain('@uwsjs/linux-x64-20@20.51.4 is not installed')
    expect(error.message).toMatch(/glibc 2\.\d+/)
    expect(error.remedy).toContain('glibc 2.27 or newer')
  })

  it('does not load a copy with another sum', () => {
    install('uWebSockets.js', { name: '@uwsjs/linux-x64-20', version: '20.51.4' }, { 'uws.node': 'changed' })
    expect(failureOf({}).message).toMatch(/SHA-256 [0-9a-f]{64} of .*uws\.node is not known/)
  })

  it('does not load an official binary that nobody vouches for', () => {
    const file = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`
    install('uWebSockets.js', { name: 'uWebSockets.js', version: '20.60.0' }, { [file]: 'official' })
    expect(failureOf({}).message).toContain('uWebSockets.js@20.60.0: SHA-256')
  })

  it('says that no copy is known for another Node', () => {
    expect(failureOf({ nodeMajor: 21 }).message).toContain('none is known for Node 21')
  })
})
