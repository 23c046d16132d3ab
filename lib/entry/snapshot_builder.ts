/**
 * Builds a snapshot by starting a recording process and listening to its reports. Runs in the agent, in the background,
 * and in the command line.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { systemClock } from '../support/clock';
import { withoutInspector } from '../sandbox/flags';
import { CartonError, type ErrorCode, ERRORS } from '../support/errors';
import { killGroup } from '../support/host_process';
import { REPORT_FD, type RecordedHost, type RecordingPlan, type RecordingReport, type SnapshotSummary } from './recording/plan';

export interface BuildOptions {
  /** Flags of Node, the very ones of the processes that will use the snapshot. */
  readonly execArgv: readonly string[];
  /** @default 120000 */
  readonly timeoutMs?: number;
  /** Gives way to everything else on the machine. @default false */
  readonly background?: boolean;
  readonly onStep?: (step: string) => void;
  readonly onWarning?: (message: string) => void;
}

export interface Build {
  /** Rejects with `CARTON_SNAPSHOT_BUILD_FAILED`, `CARTON_SNAPSHOT_NOT_WRITTEN`, or what is wrong with the application. */
  readonly done: Promise<{ readonly snapshot: SnapshotSummary; readonly host: RecordedHost | undefined }>;
  /** Ends the recording, and with it what it has started. */
  cancel(): void;
}

const ENTRY = join(__dirname, 'recording_process.js');
const TIMEOUT_MS = 120_000;
/** Of what the application printed, for the message of a failure. */
const OUTPUT_CHARACTERS = 4_096;
const LOW_PRIORITY = 10;

export function buildSnapshot(plan: RecordingPlan, options: BuildOptions): Build {
  const child = spawn(process.execPath, [...options.execArgv, ENTRY], {
    cwd: plan.application.baseDir,
    env: withoutInspector(process.env),
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    // A group of its own, so that everything that the application starts can be ended with it.
    detached: true,
  });
  const cancel = (): void => {
    if (child.pid !== undefined && child.exitCode === null) killGroup(child.pid);
  };
  return { done: listen(child, plan, { ...options, cancel }), cancel };
}

async function listen(child: ChildProcess, plan: RecordingPlan, options: BuildOptions & { cancel: () => void }): Promise<Awaited<Build['done']>> {
  const { timeoutMs = TIMEOUT_MS } = options;
  let timedOut = false;
  const timer = systemClock.after(timeoutMs, () => {
    timedOut = true;
    options.cancel();
  });
  const exit = exitOf(child);
  child.once('spawn', () => {
    if (options.background === true) setPriority(child.pid as number, LOW_PRIORITY);
  });
  // One that ended before it read its plan is told by its exit.
  child.stdin?.on('error', () => undefined).end(JSON.stringify(plan));
  const output = tailOf([child.stdout, child.stderr] as Readable[]);
  const result: { snapshot?: SnapshotSummary; host?: RecordedHost; failure?: { code: string | undefined; message: string } } = {};
  for await (const line of createInterface({ input: child.stdio[REPORT_FD] as Readable })) {
    const report = JSON.parse(line) as RecordingReport;
    if (report.kind === 'step') options.onStep?.(report.step);
    else if (report.kind === 'warning') options.onWarning?.(report.message);
    else if (report.kind === 'host') result.host = report.host;
    else if (report.kind === 'written') result.snapshot = report.snapshot;
    else result.failure = report;
  }
  const ended = await exit;
  timer.cancel();
  if (result.snapshot !== undefined) return { snapshot: result.snapshot, host: result.host };
  const { failure } = result;
  const got = timedOut ? `nothing within ${timeoutMs} ms` : (failure?.message ?? `${ended}${output().length > 0 ? `, after it printed:\n${output()}` : ''}`);
  if (failure?.code !== undefined && failure.code in ERRORS) throw new CartonError(failure.code as ErrorCode, { got });
  throw new CartonError('CARTON_SNAPSHOT_BUILD_FAILED', { of: plan.application.name, expected: 'the application to boot', got });
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
}

/** The last of what was printed, bounded. */
function tailOf(streams: readonly Readable[]): () => string {
  let tail = '';
  for (const stream of streams) stream.on('data', (chunk: Buffer) => (tail = (tail + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS)));
  return () => tail.trim();
}
