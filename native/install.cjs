/**
 * Provides the native addon when the package is installed: keeps a binary that is newer than its sources, takes a
 * prebuilt one that fits, compiles otherwise. Runs in npm's install script, before anything is built. Whatever happens,
 * the install succeeds: without the addon functions start by the spawn launcher, and the host says so.
 *
 * `node native/install.cjs --verbose` shows what the compiler says, and exits with 1 where there is no addon afterwards.
 */
'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, readFileSync, statSync } = require('node:fs');
const path = require('node:path');
const process = require('node:process');

const ROOT = path.join(__dirname, '..');
const BUILT = path.join(ROOT, 'build/Release/forker.node');
/** Milliseconds; compiling takes some seconds, but a network that does not answer would hold the install for ever. */
const COMPILE_MS = 180_000;

const isVerbose = process.argv.includes('--verbose');

main();

function main() {
  const missing = process.platform === 'linux' ? provide() : `processes are forked on Linux only, and this is ${process.platform}`;
  if (missing === undefined) return;
  const again = process.platform === 'linux' ? ` To try again and see all: node ${path.join(__dirname, 'install.cjs')} --verbose` : '';
  process.stderr.write(`egg-carton: the native addon is not there (${missing}). Functions will be spawned instead of forked, which works and takes longer.${again}\n`);
  if (isVerbose) process.exitCode = 1;
}

/** What was missing, if anything. */
function provide() {
  if (isUpToDate(BUILT) && loads(BUILT)) return undefined;
  const prebuilt = findPrebuilt();
  if (prebuilt !== undefined && !existsSync(BUILT) && process.env.npm_config_build_from_source !== 'true' && loads(prebuilt)) return undefined;
  return compile();
}

function isUpToDate(binary) {
  if (!existsSync(binary)) return false;
  const sources = readdirSync(__dirname).filter((name) => /\.[ch]$/.test(name)).map((name) => path.join(__dirname, name));
  const newest = Math.max(...[path.join(ROOT, 'binding.gyp'), ...sources].map((file) => statSync(file).mtimeMs));
  return statSync(binary).mtimeMs > newest;
}

/** In a process of its own, since a binary of another platform may crash it. */
function loads(binary) {
  return spawnSync(process.execPath, ['-e', 'require(process.argv[1])', binary], { stdio: 'ignore' }).status === 0;
}

function findPrebuilt() {
  try {
    const { parseTuple, matchTuple } = require('node-gyp-build');
    const fits = readdirSync(path.join(ROOT, 'prebuilds')).map(parseTuple).some(matchTuple('linux', process.arch));
    if (!fits) return undefined;
    const found = require('node-gyp-build').resolve(ROOT);
    return found.startsWith(path.join(ROOT, 'prebuilds')) ? found : undefined;
  } catch {
    // No directory of prebuilt binaries, none among them that fits, or no dependencies yet.
    return undefined;
  }
}

function compile() {
  const compiler = [process.env.CC, 'cc', 'gcc', 'clang'].find((name) => name && succeeds(name, ['--version']));
  if (compiler === undefined) return 'there is no prebuilt one for this platform, and no C compiler: cc, gcc or clang';
  const gyp = findNodeGyp();
  if (gyp === undefined) return 'there is no prebuilt one for this platform, and no node-gyp: it comes with npm';
  const [command, ...before] = gyp;
  const headers = findHeaders();
  const built = spawnSync(command, [...before, 'rebuild', ...(headers === undefined ? [] : [`--nodedir=${headers}`])], {
    cwd: ROOT, encoding: 'utf8', timeout: COMPILE_MS, maxBuffer: 64 * 1024 * 1024, stdio: isVerbose ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  if (built.status !== 0) return `compiling it failed: ${reasonOf(built)}`;
  return loads(BUILT) ? undefined : 'it was compiled, but cannot be loaded';
}

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** npm tells scripts where its own one is; whoever runs this by hand has npm beside Node, or node-gyp in the path. */
function findNodeGyp() {
  const npm = path.join(path.dirname(process.execPath), '../lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js');
  const script = [process.env.npm_config_node_gyp, npm].find((file) => file && existsSync(file));
  if (script !== undefined) return [process.execPath, script];
  return succeeds('node-gyp', ['--version']) ? ['node-gyp'] : undefined;
}

/** Those of this Node, where its installation has them: nothing needs to be downloaded then. */
function findHeaders() {
  const prefix = path.join(path.dirname(process.execPath), '..');
  const [, major, minor, patch] = /^v(\d+)\.(\d+)\.(\d+)/.exec(process.version);
  try {
    const version = readFileSync(path.join(prefix, 'include/node/node_version.h'), 'utf8');
    const isSame = [['MAJOR', major], ['MINOR', minor], ['PATCH', patch]].every(([part, number]) => new RegExp(`#define NODE_${part}_VERSION ${number}\\b`).test(version));
    return isSame ? prefix : undefined;
  } catch {
    // No headers beside it: node-gyp downloads them.
    return undefined;
  }
}

/** The first thing that went wrong, in one line. */
function reasonOf({ error, stderr }) {
  if (error !== undefined) return error.code === 'ETIMEDOUT' ? `it took longer than ${COMPILE_MS / 1000} s` : error.message;
  const lines = (stderr ?? '').split('\n').map((line) => line.trim());
  const line = lines.find((each) => /\berror: /.test(each)) ?? lines.find((each) => /^gyp ERR! (stack )?\w*Error/.test(each)) ?? lines.find((each) => each.startsWith('gyp ERR!'));
  return (line ?? 'see its output').replace(/^gyp ERR! (stack )?/, '').slice(0, 300);
}
