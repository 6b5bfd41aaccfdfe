import type { Check, Stage } from './dockerfile.mjs'
export function checkDockerfile(root: string, stages: Stage[]): Check
export function checkContext(root: string, stages: Stage[]): Check
