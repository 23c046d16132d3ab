/**
 * Builds a snapshot by starting a recording process and listening to its reports. Runs in the agent, in the background,
 * and in the command line.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { systemClock } from '../support/clock';
import { withoutInspector } from '../sandbox/flags';
import { CartonError, codeOf, describe, fromWire, type ErrorCode } from '../support/errors';
import { hostProcessOf, killGroup, killRestOfGroup } from '../support/host_process';
import type { RecordedHost, RecordingOrder, RecordingPlan, RecordingReport, SnapshotSummary } from './recording/plan';
import { inWorkingDirectory } from './working_directory';

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
/** For the last of the output of a process that has ended: what it started may hold its pipes, and for ever. */
const OUTPUT_MS = 1_000;
/** Of what the application printed, for the message of a failure. */
const OUTPUT_CHARACTERS = 4_096;
/** Of a report that is none, for the same. */
const REPORT_CHARACTERS = 100;
const LOW_PRIORITY = 10;
/** Of directories for temporary files; not longer than the path of a socket in there may be. */
const PREFIX = 'carton-recording-';
/** Far longer than a recording may take. */
const KEPT_MS = 60 * 60_000;

export function buildSnapshot(plan: RecordingPlan, options: BuildOptions): Build {
  const child = spawn(process.execPath, [...options.execArgv, ENTRY], {
    cwd: plan.application.baseDir,
    env: withoutInspector(process.env),
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    // A group of its own, so that everything that the application starts can be ended with it.
    detached: true,
  });
  const cancel = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(child.pid);
  };
  removeLeftOvers();
  const builder = hostProcessOf(process.pid);
  const done = inWorkingDirectory(join(tmpdir(), PREFIX), (workingDirectory) => listen(child, { ...plan, builder, workingDirectory }, { ...options, cancel }));
  // Without a directory it would wait for its plan.
  return { done: done.finally(cancel), cancel };
}

/** Of builders that were killed. */
function removeLeftOvers(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(tmpdir(), name);
    try {
      if (Date.now() - statSync(path).mtimeMs > KEPT_MS) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another user's, or gone meanwhile.
    }
  }
}

async function listen(child: ChildProcess, plan: RecordingOrder, options: BuildOptions & { cancel: () => void }): Promise<Awaited<Build['done']>> {
  const { timeoutMs = TIMEOUT_MS, onWarning } = options;
  let timedOut = false;
  const timer = systemClock.after(timeoutMs, () => {
    timedOut = true;
    options.cancel();
  });
  if (options.background === true) child.once('spawn', () => lower(child.pid as number, onWarning));
  // Without a descriptor left, Node makes no streams; the exit says so.
  const [stdin, stdout, stderr, reports] = (child.stdio as ChildProcess['stdio'] | undefined) ?? [];
  // One that ended before it read its plan is told by its exit.
  stdin?.on('error', () => undefined).end(JSON.stringify(plan));
  const output = tailOf([stdout, stderr]);
  const result = resultOf(reports as Readable | undefined, options);
  const ended = await exitOf(child);
  timer.cancel();
  if (result.snapshot !== undefined) return { snapshot: result.snapshot, host: result.host };
  const { failure } = result;
  if (failure !== undefined && codeOf(failure) !== undefined) throw fromWire({ code: failure.code as ErrorCode, message: failure.message, status: 0 });
  const got = timedOut ? `nothing within ${timeoutMs} ms` : (failure?.message ?? `${ended}${output().length > 0 ? `, after it printed:\n${output()}` : ''}`);
  throw new CartonError('CARTON_SNAPSHOT_BUILD_FAILED', { of: plan.application.name, expected: 'the application to boot', got });
}

interface Result {
  snapshot?: SnapshotSummary;
  host?: RecordedHost;
  failure?: { readonly code: string | undefined; readonly message: string };
}

/** What was reported so far. */
function resultOf(reports: Readable | undefined, options: BuildOptions & { cancel: () => void }): Result {
  const result: Result = {};
  if (reports === undefined) return result;
  createInterface({ input: reports }).on('line', (line) => {
    const report = parsed(line);
    if (report === undefined) {
      // The application's own code has written to our descriptor, and what follows may be lost in it.
      result.failure = { code: undefined, message: `a report that is none: ${line.slice(0, REPORT_CHARACTERS)}` };
      options.cancel();
    } else if (report.kind === 'step') options.onStep?.(report.step);
    else if (report.kind === 'warning') options.onWarning?.(report.message);
    else if (report.kind === 'host') result.host = report.host;
    else if (report.kind === 'written') result.snapshot = report.snapshot;
    else result.failure = report;
  });
  return result;
}

function parsed(line: string): RecordingReport | undefined {
  try {
    return JSON.parse(line) as RecordingReport;
  } catch {
    return undefined;
  }
}

function lower(pid: number, onWarning: BuildOptions['onWarning']): void {
  try {
    setPriority(pid, LOW_PRIORITY);
  } catch (error) {
    onWarning?.(`the recording runs at full priority: ${describe(error)}`);
  }
}

/** Resolves when the process has ended, what it started has been ended, and what it printed has been read. */
function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    const tell = (code: number | null, signal: NodeJS.Signals | null): void => resolve(signal ?? `exit code ${code}`);
    child.once('close', tell);
    child.once('exit', (code, signal) => {
      killRestOfGroup(child.pid as number);
      systemClock.after(OUTPUT_MS, () => {
        for (const stream of child.stdio) stream?.destroy();
        tell(code, signal);
      });
    });
  });
}

/** The last of what was printed, bounded. */
function tailOf(streams: readonly (Readable | null | undefined)[]): () => string {
  let tail = '';
  for (const stream of streams) stream?.on('data', (chunk: Buffer) => (tail = (tail + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS)));
  return () => tail.trim();
}
