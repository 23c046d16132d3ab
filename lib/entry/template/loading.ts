/**
 * How templates load their code: from the snapshot that the agent names, else from files. Runs in templates, whose forks
 * inherit what was begun. What this file imports is loaded without help.
 */
import { startReplay, type Replay } from '../../snapshot/replay';
import type { SnapshotReference } from '../../protocol/control';
import { describeWithCode } from '../../support/errors';
import type { ApplicationDescriptor } from '../../support/host_environment';

/** A replay that is under way in this process, and of which file. */
export interface Loading {
  readonly replay: Replay;
  readonly sha256: string;
}

/** Goes on with what a template above has begun, if it is the same file. */
export function loadFrom(snapshot: SnapshotReference | null, { baseDir, entry }: ApplicationDescriptor, inherited?: Loading): Loading | undefined {
  if (inherited !== undefined && inherited.sha256 === snapshot?.sha256) return inherited;
  // It may know older versions of the application's files.
  inherited?.replay.stop();
  if (snapshot === null) return undefined;
  try {
    return { replay: startReplay(snapshot, { baseDir, framework: entry }), sha256: snapshot.sha256 };
  } catch (error) {
    // Not on stderr: egg-scripts takes a line there for a failed start.
    process.stdout.write(`[egg-carton] ${describeWithCode(error)}\n`);
    return undefined;
  }
}
