/**
 * Flags of Node and V8 for the processes that a host starts: one list for those that serve functions and those that are
 * recorded for a snapshot, because a compile cache fits only the flags that it was made under. Runs in the agent.
 */

/** Of function processes; `configured` is `carton.execArgv`. */
export function functionFlags(configured: readonly string[]): string[] {
  return [...inheritedFlags(process.execArgv), ...configured];
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
  return withoutInspectorFlags(flags).filter((flag, index, all) => !PROGRAM_FLAG.test(flag) && !FLAG_WITH_PROGRAM.test(all[index - 1] ?? ''));
}

/** The environment without an inspector that NODE_OPTIONS asks for. */
export function withoutInspector(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const options = environment['NODE_OPTIONS'];
  if (options?.includes('--inspect') !== true) return environment;
  return { ...environment, NODE_OPTIONS: withoutInspectorFlags(options.split(/\s+/)).join(' ') };
}
