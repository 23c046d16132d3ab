/**
 * `egg-carton init`: enables the plugin in an existing application. It shows what it would change, asks, and changes
 * all of it or nothing. Runs in the command line only.
 *
 * What it changes: two entries of package.json (the dependency, and the module that egg-scripts preloads), one of
 * config/plugin (the plugin), and, where the application has no function yet, a first one. config.default needs nothing:
 * the defaults run.
 */
import fs from 'node:fs';
import path from 'node:path';
import { diffLines } from '../edit/diff';
import { writeAll, type FileChange } from '../edit/write_all';
import { EXIT } from '../exit_codes';
import type { Terminal } from '../terminal';
import { findApplication } from './application';
import { firstFunction } from './first_function';
import { editPackage } from './package_file';
import { enablePlugin } from './plugin_file';

export interface InitOptions {
  /** Of the application. */
  readonly directory: string;
  /** Change without asking. */
  readonly yes: boolean;
  /** Version of this package. */
  readonly version: string;
}

/** Resolves with an exit code. Rejects with `CARTON_CLI_NOT_AN_APPLICATION` or `CARTON_CLI_CANNOT_EDIT`. */
export async function init(options: InitOptions, terminal: Terminal): Promise<number> {
  const application = findApplication(options.directory);
  const { baseDir } = application;
  const ofPackage = editPackage(application, options.version);
  const hello = firstFunction(application);
  const changes = [...ofPackage.changes, enablePlugin(application), hello].filter((change) => change !== undefined);
  if (ofPackage.note !== undefined) terminal.out(ofPackage.note);
  if (changes.length === 0) {
    terminal.out(`${baseDir}: egg-carton is enabled already; nothing was changed.`);
    return EXIT.done;
  }
  show(changes, baseDir, terminal);
  if (!options.yes && !(await agreed(changes.length, terminal))) return EXIT.notConfirmed;
  const files = byFile(changes);
  writeAll(files);
  terminal.out(`Changed ${files.map((change) => path.relative(baseDir, change.path)).join(', ')}.`);
  tellNext({ install: ofPackage.addsDependency && !isInstalled(baseDir), hello: hello !== undefined }, terminal);
  return EXIT.done;
}

/** Each file's changes below its name. */
function show(changes: readonly FileChange[], baseDir: string, terminal: Terminal): void {
  changes.forEach((change, index) => {
    const name = path.relative(baseDir, change.path);
    if (changes[index - 1]?.path !== change.path) terminal.out(change.before === undefined ? `${name} (new)` : name);
    for (const { sign, text } of diffLines(change.before, change.after)) terminal.change(sign, text);
    terminal.out('');
  });
}

/** One change per file, of those that follow each other in one. */
function byFile(changes: readonly FileChange[]): FileChange[] {
  const files = new Map<string, FileChange>();
  for (const change of changes) files.set(change.path, { ...change, before: (files.get(change.path) ?? change).before });
  return [...files.values()];
}

async function agreed(count: number, terminal: Terminal): Promise<boolean> {
  if (!terminal.isInteractive) {
    terminal.error('Nothing was changed: there is no terminal to ask at. Run it with --yes to make these changes.');
    return false;
  }
  if (await terminal.confirm(count === 1 ? 'Make this change?' : `Make these ${count} changes?`)) return true;
  terminal.out('Nothing was changed.');
  return false;
}

function isInstalled(baseDir: string): boolean {
  return fs.existsSync(path.join(baseDir, 'node_modules', 'egg-carton'));
}

function tellNext({ install, hello }: { install: boolean; hello: boolean }, terminal: Terminal): void {
  terminal.out('');
  terminal.out('Next:');
  if (install) terminal.out('  npm install');
  terminal.out('  npx egg-bin dev');
  if (hello) terminal.out(`  curl -H 'content-type: application/json' -d '["world"]' http://127.0.0.1:7001/oneapi/hello`);
  terminal.out('');
  terminal.out('In the build of an image, after its install, `npx egg-carton snapshot` makes starts faster.');
}
