/**
 * Entry of a process that records a loading or replays one, and tells of it on a descriptor of its own: for tests of what a snapshot
 * does to Node, which no process can undo.
 */
import { writeSync } from 'node:fs';
import Module from 'node:module';
import { startRecording } from '../../lib/snapshot/record';
import type { SnapshotReference, SnapshotSubject } from '../../lib/snapshot/manifest';
import { startReplay, type Replay } from '../../lib/snapshot/replay';

export const REPORT_FD = 3;

export interface ChildTask {
  readonly subject: SnapshotSubject;
  /** Directory to write a snapshot of the loading to. */
  readonly record?: string;
  /** Snapshot to load from. */
  readonly replay?: SnapshotReference;
  /** Absolute paths of modules to load. */
  readonly load: readonly string[];
  /** Whether the application counts as ready before anything of it is loaded. */
  readonly settled?: boolean;
}

export interface ChildReport {
  /** What each module exports, as JSON, or the error that its loading threw. */
  readonly results: readonly unknown[];
  readonly served: number;
  /** Code and message of why there was no replay, and whether Node was left as it was. */
  readonly refused?: { readonly code?: string; readonly message: string; readonly untouched: boolean };
  readonly written?: SnapshotReference;
}

if (require.main === module) run(JSON.parse(process.argv[2] ?? '') as ChildTask);

function run({ subject, record, replay, load, settled }: ChildTask): void {
  const recording = record === undefined ? undefined : startRecording(subject);
  const { replaying, refused } = replay === undefined ? {} : tryReplay(replay, subject);
  if (settled === true) replaying?.settle();
  const results = load.map((path): unknown => {
    try {
      return require(path) as unknown;
    } catch (error) {
      const { code, message, requireStack } = error as NodeJS.ErrnoException & { requireStack?: unknown };
      return { error: { code, message, requireStack } };
    }
  });
  const written = record === undefined ? undefined : recording?.write(record);
  const report: ChildReport = { results, served: replaying?.served ?? 0, refused, written: written && { path: written.path, sha256: written.sha256 } };
  writeSync(REPORT_FD, JSON.stringify(report));
  // An application may have timers that would keep it alive.
  process.exit(0);
}

function tryReplay(reference: SnapshotReference, subject: SnapshotSubject): { replaying?: Replay; refused?: ChildReport['refused'] } {
  const look = (): unknown[] => {
    const { _resolveFilename: resolve, _extensions: extensions } = Module as unknown as { _resolveFilename: unknown; _extensions: Record<string, unknown> };
    return [resolve, extensions['.js'], extensions['.json'], Object.keys(require.cache).length];
  };
  const before = look();
  try {
    return { replaying: startReplay(reference, subject) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const after = look();
    return { refused: { code, message, untouched: before.every((value, index) => value === after[index]) } };
  }
}
