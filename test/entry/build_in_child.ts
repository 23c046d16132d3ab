/**
 * Entry of a builder that tests kill: tells its recording's pid on stdout, and kills itself and the recording at a step,
 * if it is given one.
 */
import { buildSnapshot } from '../../lib/entry/snapshot_builder';
import type { RecordingPlan } from '../../lib/entry/recording/plan';
import { readFileSync } from 'node:fs';

const [plan = '', killAt] = process.argv.slice(2);

const build = buildSnapshot(JSON.parse(plan) as RecordingPlan, {
  execArgv: [],
  onStep: (step) => {
    if (step === killAt) end();
  },
});
process.stdout.write(`${readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim()}\n`);
if (killAt === 'spawned') end();
build.done.then(() => process.exit(0), () => process.exit(1));

function end(): void {
  build.cancel();
  process.kill(process.pid, 'SIGKILL');
}
