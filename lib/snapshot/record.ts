/**
 * Records a loading and writes the snapshot of it: the two calls of a process that exists to be recorded.
 */
import { encodeRecording } from './encode';
import type { Manifest, SnapshotReference, SnapshotSubject } from './manifest';
import { expectNodesOwnLoading } from './preloads';
import { Recorder } from './recorder';
import { storeSnapshot } from './store';

const OTHERS_READ = 0o044;

export interface Recording {
  /** Ends the recording. Throws `CARTON_SNAPSHOT_NOT_WRITTEN`. */
  write(directory: string): SnapshotReference & { readonly manifest: Manifest; readonly bytes: number };
}

/**
 * Records from now on whatever this process loads; what cannot be recorded is left out. Throws `CARTON_SNAPSHOT_MISMATCH`
 * where preloaded modules have changed how code is loaded.
 */
export function startRecording(subject: SnapshotSubject): Recording {
  expectNodesOwnLoading();
  const recorder = new Recorder(subject);
  recorder.install();
  return {
    write(directory) {
      const { bytes, manifest } = encodeRecording(recorder);
      process.umask(0o022 | (~recorder.readableBy & OTHERS_READ));
      return { ...storeSnapshot(directory, subject.role, bytes), manifest, bytes: bytes.length };
    },
  };
}
