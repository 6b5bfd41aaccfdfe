// The part of the table of errors about copies of views on disk. Runs on every thread; pure.

import type { ErrorRow } from './error-row.ts'

export const COPY_ERRORS = {
  MR7030: {
    action: 'stop',
    text: 'The folder {folder} of copies of views is used by process {pid}.',
    remedy: 'Give each process a `push.dir` of its own.',
  },
  MR7031: {
    action: 'stop',
    text: 'The folder {folder} cannot be used for copies of views: {reason}',
    remedy:
      'Give `push.dir` a local folder that this user may write to, with room for all rows; or none, then views are in memory alone.',
  },
  MR7032: {
    action: 'report',
    text: 'The copy of the view {view} cannot be read: {reason}',
    remedy:
      'Start the process again: a copy that is damaged is built anew from the topic. If it comes back, look at the disk.',
  },
  MR7033: {
    action: 'report',
    text: 'The copy of the view {view} cannot be written, and not all of its rows are in memory: {reason}',
    remedy:
      'Make room on the disk of `push.dir`, or mend it, and start the process again: the copy is built anew from the topic.',
  },
  MR7034: {
    action: 'report',
    text: 'The copy of the view {view} cannot be written: {reason}. All of its rows are in memory, so it is served without a copy.',
    remedy: 'Make room on the disk of `push.dir`, or mend it; the next start reads the whole topic.',
  },
} as const satisfies Record<string, ErrorRow>
