// LMDB passes the cases of every backend, keeps its rows over a close, and finds damage. Quick.
// Keeps SPEC: STATE-1, STATE-2, STATE-6 (damage is never read as state).

import { openLmdbBackend } from '../../src/state/lmdb-backend.ts'
import { backendCases } from './backend-cases.ts'
import { tempFolder } from './temp-folder.ts'

backendCases('on disk', () => openLmdbBackend({ folder: tempFolder(), taskId: '0_0' }))
