/**
 * Notes which process an instance or a sidecar is, for the day on which this agent cannot end it itself. Runs in the agent.
 */
import { describe } from '../support/errors';
import type { HostDirectory } from '../support/host_directory';
import type { HostLog } from '../support/host_environment';
import { hostProcessOf } from '../support/host_process';

export function noteProcess(directory: HostDirectory, id: string, { pid, log }: { readonly pid: number; readonly log: HostLog }): void {
  // Inline, an instance has no process of its own.
  if (pid === process.pid) return;
  try {
    directory.noteProcess(id, hostProcessOf(pid));
  } catch (error) {
    // A full disk, mostly.
    log.warn(`the process of ${id} could not be noted: ${describe(error)}`);
  }
}
