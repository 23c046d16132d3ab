/**
 * The launcher contract: how a sandbox comes to be, whatever the way. It runs in the agent (`inline`: in the calling
 * process).
 *
 * Guarantees, each with a test that names it:
 * 1. `launch` resolves with a channel as soon as the sandbox exists and may serve, long before it is ready; boot and
 *    failure are told over that channel.
 * 2. `exited` resolves exactly once, after the last byte of the channel, whatever way the sandbox ended.
 * 3. A sandbox outlives the process that launched it by `agentGraceMs` and ends within a second of the host's end.
 * 4. `kill` after the exit does nothing.
 */
import type { Duplex } from 'node:stream';
import type { InstanceBoot } from '../protocol/control';

export interface SandboxExit {
  /** Exit code, or null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Sandbox {
  readonly pid: number;
  /** Carries a session of `lib/rpc`; end-of-file tells either side of the other's death. */
  readonly channel: Duplex;
  readonly exited: Promise<SandboxExit>;
  /** It was told its boot at its launch, and connections to its socket wait for it from then on. @default false */
  readonly hasBoot?: boolean;
  /** Ends the process and all that it started, at once. */
  kill(): void;
}

/** How sandboxes come to be at the moment, for people. */
export interface LauncherStatus {
  readonly kind: 'fork' | 'spawn' | 'inline';
  /**
   * Why they are not forked; null where they are, or where nobody asked for it. With `fork`: why they were not when that
   * was tried last, while it is tried again.
   */
  readonly reason: string | null;
}

export interface Launcher {
  readonly status: LauncherStatus;
  /** Rejects with `CARTON_INSTANCE_LAUNCH_FAILED` where no process could be made. */
  launch(boot: InstanceBoot): Promise<Sandbox>;
  /** Boots ahead of time what it keeps ready; a good moment is when nothing that a request waits for is booting. */
  replenish(): void;
  /** Files of the application changed at `changedAt` (epoch milliseconds): what booted ahead of that boots anew. */
  refresh(changedAt: number): void;
  /** Ends what was booted ahead of time; sandboxes that were handed out are not touched. */
  close(): Promise<void>;
}
