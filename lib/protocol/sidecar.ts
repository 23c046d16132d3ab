/**
 * What a sidecar is told by the agent that starts it. Types only.
 */
import type { ApplicationDescriptor, HostProcess, ProxiedClient } from '../support/host_environment';

export interface SidecarBoot {
  /** In the place of an instance's: names its socket, and what it is controlled with. */
  readonly id: string;
  readonly name: string;
  /** Of all that decides what it is; one of another configuration is another sidecar. */
  readonly hash: string;
  readonly application: ApplicationDescriptor;
  readonly held: readonly ProxiedClient[];
  readonly hostProcess: HostProcess;
  /** `carton.directory`, below which the host has its own. */
  readonly directory: string | null;
  readonly agentGraceMs: number;
  readonly drainTimeoutMs: number;
}
