export function checkCompose() {
  return { name: 'compose', problems: [] }
}
export function* checkKubernetes() {}
