// The memory backend passes the cases of every backend. Quick.
// Keeps SPEC: STATE-1, STATE-2.

import { createMemoryBackend } from '../../src/state/memory-backend.ts'
import { backendCases } from './backend-cases.ts'

backendCases('in memory', async () => createMemoryBackend())
