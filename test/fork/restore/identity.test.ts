import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Template } from '../../../lib/fork/template';
import type { Told } from '../programs/identity_program';
import type { shapes, times } from '../programs/identity_facts';

const PROGRAMS = join(__dirname, '../programs');
const PROGRAM = { program: join(PROGRAMS, 'identity_program.js'), argument: null };
/** Wall clock and monotonic clock are read apart, the first in whole milliseconds. */
const APART_MS = 3;

describe('identity of a fork', () => {
  let root: Template;
  let derived: Template;
  let fresh: { shapes: ReturnType<typeof shapes>; times: ReturnType<typeof times> };
  const told: Told[] = [];
  const pids: number[] = [];

  before(async () => {
    fresh = JSON.parse(execFileSync(process.execPath, [join(PROGRAMS, 'identity_facts.js')], { encoding: 'utf8' })) as typeof fresh;
    root = await Template.start({ entry: join(__dirname, '../../../lib/entry/template_process.js'), ...PROGRAM });
    derived = await root.derive(PROGRAM);
    const again = await derived.derive(PROGRAM);
    for (const template of [root, derived, again]) {
      const forked = await template.fork(null);
      pids.push(forked.pid);
      told.push(JSON.parse((await forked.channel.toArray()).join('')) as Told);
      assert.deepEqual(await forked.exited, { code: 0, signal: null });
    }
    again.close();
  });

  after(() => {
    derived.close();
    root.close();
  });

  it('has a pid of its own', () => {
    assert.deepEqual(told.map(({ pid }) => pid), pids);
    assert.deepEqual(told.map(({ ofProc }) => Number(ofProc)), pids);
  });

  it('shows the title that it is given', () => {
    for (const { commandLine } of told) assert.equal(commandLine, 'carton-identity-test');
  });

  it('was born after its template had booted', () => {
    for (const { timeOrigin, warmedAt } of told) assert.ok(timeOrigin > warmedAt, `${timeOrigin} > ${warmedAt}`);
  });

  it('tells one age by all clocks, also by those that were taken hold of in the template', () => {
    for (const { clocks } of told) {
      assert.deepEqual(clocks, [...clocks].sort((a, b) => a - b));
      assert.ok((clocks[0] as number) > 0);
    }
  });

  it('agrees with the wall clock', () => {
    for (const { wall } of told) assert.ok(wall.told > wall.before - APART_MS && wall.told < wall.after + APART_MS, JSON.stringify(wall));
  });

  it('marks and measures as a fresh process does', () => {
    for (const { times: forked } of told) assert.deepEqual(forked, fresh.times);
  });

  it('has the properties, names and errors of a fresh process', () => {
    for (const { shapes: forked } of told) assert.deepEqual(forked, fresh.shapes);
  });

  it('forks ordinary Node processes by child_process.fork', () => {
    for (const [i, { execArgv, ofChild }] of told.entries()) {
      assert.deepEqual(execArgv, process.execArgv);
      assert.deepEqual(ofChild, { execArgv: process.execArgv, ppid: pids[i] });
    }
  });
});
