/**
 * In which processes `egg-carton/register` acts: in Egg's agent and app workers, and where a program requires it, but
 * in no other that it is preloaded into, and never in one of this package's own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../support/cluster';
import { CLUSTER_ENTRY, OWN_ENTRY } from '../../lib/entry/process_entries';

const REGISTER = path.join(ROOT, 'register.js');
/** Whether it has acted, and which files of this package were loaded to decide that. */
const TELL = `
  const own = Object.keys(require.cache).filter((file) => file.startsWith(process.env.CARTON_ROOT));
  console.log(JSON.stringify({ acts: globalThis[Symbol.for('egg-carton.registration')] !== undefined, files: own.map((file) => require('path').basename(file)).sort() }));
`;

describe('lib/entry/process_entries', () => {
  let directory: string;
  before(() => {
    directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'ec-')));
    writeFileSync(path.join(directory, 'package.json'), '{"name":"x"}');
    mkdirSync(path.join(directory, 'node_modules'));
    cpSync(path.join(ROOT, 'node_modules/egg/package.json'), path.join(directory, 'node_modules/egg/package.json'), { recursive: true });
    writeFileSync(path.join(directory, 'preload.js'), `require(${JSON.stringify(REGISTER)});`);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  function told(program: string, { flags = [], source = '', env = {} }: { flags?: readonly string[]; source?: string; env?: NodeJS.ProcessEnv }): { acts: boolean; files: string[] } {
    const file = path.join(directory, program);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, source + TELL);
    return JSON.parse(execFileSync(process.execPath, [...flags, file], { cwd: directory, encoding: 'utf8', env: { ...process.env, CARTON_ROOT: ROOT, NODE_ENV: 'production', EGG_SERVER_ENV: undefined, ...env } })) as { acts: boolean; files: string[] };
  }

  const EXPLICIT = `require(${JSON.stringify(REGISTER)});`;
  const IDLE = { acts: false, files: ['register.js'] };

  for (const program of ['node_modules/egg-cluster/lib/agent_worker.js', 'node_modules/.pnpm/egg-cluster@2.4.0/node_modules/egg-cluster/lib/app_worker.js']) {
    it(`has it act in ${path.basename(program)}, preloaded or required`, () => {
      assert.equal(told(program, { flags: ['--require', REGISTER] }).acts, true);
      assert.equal(told(program, { flags: ['--require', './preload.js'] }).acts, true);
      assert.equal(told(program, { source: EXPLICIT }).acts, true);
      assert.equal(told(program, { env: { NODE_OPTIONS: `--require ${REGISTER}` } }).acts, true);
    });
  }

  for (const program of ['node_modules/egg-scripts/lib/start-cluster.js', 'script.js', 'node_modules/egg-carton/lib/entry/function_process.js', 'node_modules/egg-carton/lib/entry/recording_process.js']) {
    it(`has it do and load nothing where it is preloaded into ${program}`, () => {
      assert.deepEqual(told(program, { flags: ['--require', REGISTER] }), IDLE);
      assert.deepEqual(told(program, { flags: ['--require', './preload.js'] }), IDLE);
      assert.deepEqual(told(program, { env: { NODE_OPTIONS: `--require ${REGISTER}` } }), IDLE);
    });
  }

  it('has it act in a program that requires it', () => {
    assert.equal(told('script.js', { source: EXPLICIT }).acts, true);
  });

  it('has it do nothing in this package\'s own processes, whoever requires it there', () => {
    for (const name of ['function_process', 'recording_process']) assert.equal(told(`lib/entry/${name}.js`, { source: EXPLICIT }).acts, false);
  });

  it('knows the files of the packages by their names', () => {
    for (const name of ['agent_worker', 'app_worker']) assert.match(require.resolve(`egg-cluster/lib/${name}`), CLUSTER_ENTRY);
    for (const name of ['function_process', 'recording_process']) assert.match(require.resolve(`../../lib/entry/${name}`), OWN_ENTRY);
  });
});
