/**
 * Whether instances can be forked on this machine and with this configuration at all; what an application's own
 * template finds in itself comes later. Runs in the agent.
 */
import { forkObstacle as machineObstacle } from '../fork/native';
import type { CartonConfig } from '../support/host_environment';

export type LaunchConfig = Pick<CartonConfig, 'launcher' | 'execArgv'>;

const INSPECTOR = /^--(?:inspect|debug)/;
/**
 * What these write has one file for a template and all its forks, or is written by a thread that forks do not have and
 * would wait for at their exit.
 */
const PROFILER = /^--(?:cpu-prof|heap-prof|prof$|prof=|perf-|ll-prof|trace-event)/;

/** Undefined: nothing is in the way. `given`: flags of this process, which function processes take over. */
export function forkObstacle({ launcher, execArgv }: LaunchConfig, given: readonly string[] = givenFlags()): string | undefined {
  if (launcher === 'spawn' || launcher === 'inline') return `carton.launcher is "${launcher}"`;
  // The inspector has a thread, and its port belongs to one process.
  if (execArgv.some((flag) => INSPECTOR.test(flag))) return 'carton.execArgv asks for the inspector';
  // V8 takes underscores for dashes.
  const profiler = [...execArgv, ...given].find((flag) => PROFILER.test(flag.replaceAll('_', '-')));
  if (profiler !== undefined) return `the flag ${profiler}, of carton.execArgv, NODE_OPTIONS or this process, has each process write a profile of its own`;
  return machineObstacle();
}

function givenFlags(): string[] {
  return [...process.execArgv, ...(process.env['NODE_OPTIONS']?.replaceAll('"', '').split(/\s+/) ?? [])];
}
