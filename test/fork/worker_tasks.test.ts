/**
 * What V8 gives to its other threads runs in a fork, too, which has none of them: it ends, and the fork ends by itself
 * when its loop does. Real processes below the mocha process.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { Template } from '../../lib/fork/template';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';
import { WORK } from './programs/worker_tasks';

const ENTRY = path.join(ROOT, 'lib/entry/template_process.js');
const PROGRAM = path.join(__dirname, 'programs/worker_tasks.js');

describe('work for other threads in a fork', () => {
  let root: Template;
  let derived: Template;
  before(async () => {
    root = await Template.start({ entry: ENTRY, program: PROGRAM, argument: null });
    derived = await root.derive({ program: PROGRAM, argument: null });
  });
  after(async () => {
    derived.close();
    root.close();
    await eventually('the end of both', () => !isRunning(derived.pid) && !isRunning(root.pid));
  });

  for (const work of Object.keys(WORK)) {
    for (const [whose, of] of [['a template', () => root], ['a template of a template', () => derived]] as const) {
      it(`ends, and so does the fork of ${whose}: ${work}`, async () => {
        const fork = await of().fork(work);
        let said = '';
        fork.channel.on('data', (chunk) => (said += String(chunk)));
        try {
          assert.deepEqual([await fork.exited, said], [{ code: 0, signal: null }, '42']);
        } finally {
          fork.kill();
        }
      });
    }
  }
});
