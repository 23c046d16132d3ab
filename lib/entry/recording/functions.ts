/**
 * Records a function process: the very modules and calls of one, with every function of the application loaded.
 */
import { runInstance } from '../instance_process';
import { launchHere, rehearse } from '../rehearsal';
import type { RecordingOrder, RecordingReport } from './plan';

/** Rejects with the error of the application's boot. */
export async function recordFunctions({ application, functions, warmUps, sidecar, builder, workingDirectory }: RecordingOrder, report: (message: RecordingReport) => void): Promise<void> {
  const boot = { application, hostProcess: builder, development: false, snapshot: null, compileCache: null, sidecar };
  await rehearse({
    directory: workingDirectory,
    functions,
    warmUps,
    launch: launchHere((channel, end) => void runInstance(boot, { channel, onEnd: end })),
    onWarning: (message) => report({ kind: 'warning', message }),
  });
}
