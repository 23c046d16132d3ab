/**
 * The command line, `egg-carton <command>`: reads the arguments, runs the command, tells errors with their code. It
 * loads each command only when it is called.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CAC } from 'cac';
import { CartonError } from '../support/errors';
import { didYouMean } from '../support/nearest';
import { EXIT } from './exit_codes';
import type { Terminal } from './terminal';

/** Names that `--help` and `--version` go by, beside the options of the commands. */
const GLOBAL_OPTIONS = ['help', 'h', 'version', 'v'];

type Arguments =
  /** `--help` or `--version`, which has been answered. */
  | { readonly command: undefined }
  | { readonly command: 'init'; readonly directory: string; readonly yes: boolean }
  | { readonly command: 'snapshot'; readonly directory: string; readonly verify: boolean };

/** Resolves with the exit code, whatever happens; `args` are those after the program's name. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const version = ownVersion();
    const parsed = await parse(args, version);
    if (parsed.command === undefined) return EXIT.done;
    if (parsed.command === 'init') {
      const { init } = await import('./init/init.js');
      return await init({ ...parsed, version }, terminal);
    }
    const { snapshot } = await import('./snapshot/snapshot.js');
    return await snapshot(parsed, terminal);
  } catch (error) {
    if (!(error instanceof CartonError)) throw error;
    terminal.error(`${error.code}: ${error.message}`);
    return error.code === 'CARTON_CLI_BAD_USAGE' ? EXIT.badUsage : EXIT.failed;
  }
}

async function parse(args: readonly string[], version: string): Promise<Arguments> {
  const cli = await commands();
  cli.version(version);
  const parsed = cli.parse(['node', 'egg-carton', ...args], { run: false });
  const options = parsed.options as Readonly<Record<string, unknown>>;
  checkOptions(options, [...cli.globalCommand.options, ...(cli.matchedCommand ?? cli.globalCommand).options].flatMap((option) => option.names));
  if (options['help'] === true || options['version'] === true) return { command: undefined };
  const command = cli.matchedCommandName;
  if (command !== 'init' && command !== 'snapshot') throw unknownCommand(parsed.args[0], cli.commands.map(({ name }) => name));
  const [directory = '.', ...more] = parsed.args;
  if (more.length > 0) throw badUsage('at most one directory', JSON.stringify(more[0]));
  return command === 'init' ? { command, directory, yes: options['yes'] === true } : { command, directory, verify: options['verify'] === true };
}

async function commands(): Promise<CAC> {
  const { cac } = await import('cac');
  const cli = cac('egg-carton');
  cli.usage('<command> [options]');
  const init = cli.command('init [directory]', 'Enable the plugin in an existing Egg application, and write a first function');
  init.option('-y, --yes', 'Make the changes without asking').example('npx egg-carton init').example('npx egg-carton init ./my-app --yes');
  const snapshot = cli.command('snapshot [directory]', 'Record how the application is loaded, so that its processes start faster');
  snapshot.option('--verify', 'Compare the snapshots that are there with the files, and build none').example('npx egg-carton snapshot').example('npx egg-carton snapshot ./my-app --verify');
  cli.help();
  return cli;
}

function checkOptions(options: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const names = [...known, ...GLOBAL_OPTIONS];
  // cac puts what follows `--` under this name, which stands for nothing here.
  const unknown = Object.keys(options).find((name) => name !== '--' && !names.includes(name));
  if (unknown === undefined) return;
  const dashes = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`);
  throw badUsage('a known option', dashes(unknown), didYouMean(dashes(unknown), [...new Set(names.filter((name) => name.length > 1).map(dashes))]));
}

function unknownCommand(name: string | undefined, known: readonly string[]): CartonError {
  const expected = `a command: ${known.join(', ')}`;
  return name === undefined ? badUsage(expected, 'none') : badUsage(expected, JSON.stringify(name), didYouMean(name, known));
}

function badUsage(expected: string, got: string, hint?: string): CartonError {
  return new CartonError('CARTON_CLI_BAD_USAGE', { expected, got, hint });
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  return version;
}
