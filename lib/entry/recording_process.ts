/**
 * Entry of a recording process: boots an application as the processes of one role do, has it work a little, writes the
 * snapshot and ends. It reports on a descriptor of its own, since what the application prints is the application's.
 */
import { readFileSync, writeSync } from 'node:fs';
import { startRecording, type Recording } from '../snapshot/record';
import { CartonError } from '../support/errors';
import { REPORT_FD, type RecordingOrder, type RecordingReport, type SnapshotSummary } from './recording/plan';
import type { recordFunctions } from './recording/functions';
import type { recordHost } from './recording/host';

const STDIN_FD = 0;

record(readPlan(readFileSync(STDIN_FD, 'utf8'))).then(() => process.exit(0), (error: unknown) => {
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
  report({ kind: 'failed', code: error instanceof CartonError ? error.code : undefined, message: error instanceof CartonError ? error.message : told });
  process.exit(1);
});

async function record(plan: RecordingOrder): Promise<void> {
  // Before anything else is loaded, so that it is recorded.
  const recording = startRecording(plan.subject);
  report({ kind: 'step', step: 'booting the application' });
  if (plan.subject.role === 'function') await (require('./recording/functions') as { recordFunctions: typeof recordFunctions }).recordFunctions(plan, report);
  else await (require('./recording/host') as { recordHost: typeof recordHost }).recordHost(plan, report);
  report({ kind: 'step', step: 'writing the snapshot' });
  report({ kind: 'written', snapshot: summaryOf(recording.write(plan.directory)) });
}

function report(message: RecordingReport): void {
  writeSync(REPORT_FD, `${JSON.stringify(message)}\n`);
}

function summaryOf({ path, sha256, bytes, manifest }: ReturnType<Recording['write']>): SnapshotSummary {
  const contents = manifest.files.filter((file) => file.length > 2);
  const answers = [...Object.values(manifest.resolutions), manifest.absolute, manifest.searches];
  return {
    path, sha256, bytes,
    modules: contents.length,
    resolutions: answers.reduce((sum, table) => sum + Object.keys(table).length, 0),
    listings: Object.keys(manifest.loader.globs).length,
    cacheBytes: contents.reduce((sum, file) => sum + (file[7] ?? 0), 0),
    delayed: manifest.delayed,
    omitted: manifest.omitted,
  };
}

function readPlan(text: string): RecordingOrder {
  try {
    return JSON.parse(text) as RecordingOrder;
  } catch (cause) {
    throw new CartonError('CARTON_SANDBOX_BAD_BOOT', { expected: 'a plan as JSON on stdin', got: `${text.length} characters`, cause });
  }
}
