/**
 * What a recording process is told, and what it tells. JSON both: the plan comes on stdin, because it may be too
 * long for an argument, and each line on `REPORT_FD` is a report.
 */
import type { ApplicationDescriptor, HostProcess, WarmUp } from '../../support/host_environment';
import type { SnapshotSubject } from '../../snapshot/manifest';
import type { SidecarAccess } from '../../protocol/control';
import type { FunctionSpec } from '../../spec/types';

export const REPORT_FD = 3;

export interface RecordingPlan {
  readonly subject: SnapshotSubject;
  /** Where the snapshot goes. */
  readonly directory: string;
  readonly application: ApplicationDescriptor;
  /** Of the role `function`: what is loaded, whether it is invoked or not. */
  readonly functions: readonly FunctionSpec[];
  readonly warmUps: readonly WarmUp[];
  /** Where what runs meanwhile finds middleware clients. @default nowhere */
  readonly sidecar?: SidecarAccess;
}

/** What a recording process reads: it ends with its builder, whoever its parent is by then. */
export interface RecordingOrder extends RecordingPlan {
  readonly builder: HostProcess;
  /** Empty, for sockets; the builder removes it. */
  readonly workingDirectory: string;
}

/** What a host says of itself while it is recorded: all that recording its functions needs. */
export interface RecordedHost {
  readonly application: ApplicationDescriptor;
  readonly functions: readonly FunctionSpec[];
  readonly warmUps: readonly WarmUp[];
  readonly execArgv: readonly string[];
}

export type RecordingReport =
  | { readonly kind: 'step'; readonly step: string }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'host'; readonly host: RecordedHost }
  | { readonly kind: 'failed'; readonly code: string | undefined; readonly message: string }
  | { readonly kind: 'written'; readonly snapshot: SnapshotSummary };

/** What a snapshot holds. */
export interface SnapshotSummary {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly modules: number;
  readonly resolutions: number;
  readonly listings: number;
  readonly cacheBytes: number;
  readonly delayed: number;
  readonly omitted: readonly { readonly file: string; readonly reason: string }[];
}
