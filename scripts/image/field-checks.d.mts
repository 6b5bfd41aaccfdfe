import type { Check } from './dockerfile.mjs'
export function checkFields(root: string): Check
