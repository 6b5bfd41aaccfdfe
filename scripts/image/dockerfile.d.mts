export interface Instruction {
  keyword: string
  text: string
  words: string[]
  isExec: boolean
  flags: Record<string, string>
  values: Record<string, string>
  line: number
}
export interface Stage {
  name: string | undefined
  base: string
  instructions: Instruction[]
}
export interface ImageSettings {
  user: string
  workdir: string
  env: Record<string, string>
  labels: Record<string, string>
  ports: number[]
  volumes: string[]
}
/** One thing that was looked at, and what is wrong with it. */
export interface Check {
  name: string
  problems: string[]
}
export function readDockerfile(path: string, buildArguments?: Record<string, string>): Stage[]
export function settingsOf(stage: Stage): ImageSettings
