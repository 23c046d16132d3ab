/**
 * Flags of Node and V8 for the processes that a host starts: one list for those that serve functions and those that are
 * recorded for a snapshot, because a compile cache fits only the flags that it was made under. Runs in the agent.
 */
import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { withTemplateFlags } from '../fork/flags';
import { forkObstacle, type LaunchConfig } from './fork_obstacle';

/** Of function processes, those that are spawned too: all that a host starts load from the same snapshot. */
export function functionFlags(config: LaunchConfig): string[] {
  const flags = [...inheritedFlags(process.execArgv), ...config.execArgv];
  return forkObstacle(config) === undefined ? withTemplateFlags(flags) : flags;
}

const INSPECTOR_FLAG = /^--(?:inspect(?:-brk|-wait|-port)?|debug-port)(?:=|$)/;
/** Flags that may be followed by their value as an argument of its own. */
const FLAG_WITH_VALUE = /^--(?:inspect-port|debug-port)$/;

/** Node's flags without those of the inspector: its port belongs to the process that was started with them. */
export function withoutInspectorFlags(flags: readonly string[]): string[] {
  return flags.filter((flag, index) => !INSPECTOR_FLAG.test(flag) && !FLAG_WITH_VALUE.test(flags[index - 1] ?? ''));
}

/** Flags that make Node run something else than a file, and those of them that are followed by it. */
const PROGRAM_FLAG = /^(?:-e|-p|-pe|-i|-c|--eval|--print|--interactive|--check|--test(?:-.*)?|--watch(?:-.*)?)(?:=|$)/;
const FLAG_WITH_PROGRAM = /^(?:-e|-p|-pe|--eval|--print)$/;

/** What a function process takes over of the flags of the process that launches it. */
export function inheritedFlags(flags: readonly string[]): string[] {
  const ofProcess = withoutInspectorFlags(flags).filter((flag, index, all) => !PROGRAM_FLAG.test(flag) && !FLAG_WITH_PROGRAM.test(all[index - 1] ?? ''));
  return withoutRegister(ofProcess);
}

const REQUIRE_FLAG = /^(?:-r|--require)$/;
const REQUIRE_WITH_VALUE = /^--require=/;

/** `egg-carton/register` is for Egg's own workers: a function process has its snapshot from the agent. */
function withoutRegister(flags: readonly string[]): string[] {
  const names = (flag: string | undefined, value: string | undefined): boolean => REQUIRE_FLAG.test(flag ?? '') && value !== undefined && isRegister(value);
  return flags.filter((flag, index) => {
    if (REQUIRE_WITH_VALUE.test(flag)) return !isRegister(flag.replace(REQUIRE_WITH_VALUE, ''));
    return !names(flag, flags[index + 1]) && !names(flags[index - 1], flag);
  });
}

const REGISTER = /(?:^|[\\/])egg-carton[\\/]register(?:\.js)?$/;
const OWN_REGISTER = join(__dirname, '../../register.js');

/** Whether a module that Node is told to preload is `egg-carton/register`, by its name, its path, or a link to it. */
export function isRegister(request: string): boolean {
  if (REGISTER.test(request)) return true;
  return (isAbsolute(request) || request.startsWith('.')) && realPathOf(resolve(request)) === realPathOf(OWN_REGISTER);
}

function realPathOf(module: string): string {
  const file = module.endsWith('.js') ? module : `${module}.js`;
  return existsSync(file) ? realpathSync(file) : file;
}

/** The environment without an inspector that NODE_OPTIONS asks for. */
export function withoutInspector(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const options = environment['NODE_OPTIONS'];
  if (options?.includes('--inspect') !== true) return environment;
  return { ...environment, NODE_OPTIONS: withoutInspectorFlags(options.split(/\s+/)).join(' ') };
}
