/**
 * `egg-carton/register`: has Egg's agent and app workers load their code from a snapshot. It has to run before the
 * framework is loaded: `"eggScriptsConfig": { "require": ["./node_modules/egg-carton/register.js"] }` in package.json has
 * egg-scripts preload it (`--require`), and egg-cluster's own option `require` will do as well. Without a snapshot that
 * fits it changes nothing; in development it never does anything.
 *
 * As a preload it runs in every process of the host, so that it imports nothing before it knows that this one may be
 * Egg's agent or an app worker. Any other program that requires it itself means it.
 */
/** Node's name for what requires the modules of `--require`. */
const PRELOAD = 'internal/preload';

if (isWanted(process.argv[1] ?? '')) (require('./lib/entry/register') as typeof import('./lib/entry/register')).registerProcess();

function isWanted(program: string): boolean {
  // Most processes are told apart without a file for it: each that is loaded here takes half a millisecond of their start.
  if (!program.includes('egg-cluster') && isPreloaded()) return false;
  const { CLUSTER_ENTRY, OWN_ENTRY } = require('./lib/entry/process_entries') as typeof import('./lib/entry/process_entries');
  return CLUSTER_ENTRY.test(program) || (!OWN_ENTRY.test(program) && !isPreloaded());
}

/** By Node, or by a module that Node has preloaded. */
function isPreloaded(): boolean {
  for (let at = module.parent; at; at = at.parent) if (at.id === PRELOAD) return true;
  return false;
}
