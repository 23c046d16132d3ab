/**
 * What a host says of itself while it is recorded, so that its functions can be recorded next. Runs in its agent.
 */
import { functionFlags } from '../../sandbox/flags';
import type { HostEnvironment } from '../../support/host_environment';
import { revisionOf } from '../agent_host';
import type { RecordedHost } from './plan';

/** Rejects with what is wrong with the specs. */
export async function describeHost(environment: HostEnvironment): Promise<RecordedHost> {
  const { application, config } = environment;
  const { functions } = await revisionOf(environment, false);
  return { application, functions, warmUps: config.snapshot.warmUps, execArgv: functionFlags(config) };
}
