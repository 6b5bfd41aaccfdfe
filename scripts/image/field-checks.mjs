// Finds fields of Kubernetes objects that there are not: the schemas let them pass, so the TypeScript types judge them.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { kubernetesDocuments } from './manifest-checks.mjs'

/** @returns {import('./tree-checks.mjs').Check} */
export function checkFields(root) {
  const documents = kubernetesDocuments(root)
  const folder = join(root, '.cache/image')
  mkdirSync(folder, { recursive: true })
  // In the tree, so that the types of its packages are found.
  const path = join(folder, `kubernetes-objects-${process.pid}.ts`)
  const lines = documents.map(([place, object], i) => {
    const from = `kubernetes-models/${object.apiVersion}`
    return `import type { I${object.kind} as Kind${i} } from '${from}'\nexport const object${i}: Kind${i} = ${JSON.stringify(object)} // ${place}`
  })
  writeFileSync(path, `${lines.join('\n')}\n`)
  const program = ts.createProgram([path], {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
  })
  const problems = ts.getPreEmitDiagnostics(program).map(({ messageText, file, start }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line
    return `deploy/kubernetes/${documents[Math.floor(line / 2)]?.[0]}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
  rmSync(path)
  return { name: 'Kubernetes fields', problems }
}
