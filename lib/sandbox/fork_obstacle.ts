/**
 * Whether instances can be forked on this machine and with this configuration at all; what an application's own
 * template finds in itself comes later. Runs in the agent.
 */
import { forkObstacle as machineObstacle } from '../fork/native';
import type { CartonConfig } from '../support/host_environment';

export type LaunchConfig = Pick<CartonConfig, 'launcher' | 'execArgv'>;

const INSPECTOR = /^--(?:inspect|debug)/;

/** Undefined: nothing is in the way. */
export function forkObstacle({ launcher, execArgv }: LaunchConfig): string | undefined {
  if (launcher === 'spawn' || launcher === 'inline') return `carton.launcher is "${launcher}"`;
  // The inspector has a thread, and its port belongs to one process.
  if (execArgv.some((flag) => INSPECTOR.test(flag))) return 'carton.execArgv asks for the inspector';
  return machineObstacle();
}
