/**
 * The dispatcher of a worker, with specs pushed by hand and instances that the test scripts: what happens to requests
 * when specs, instances and callers change under them.
 */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { carton } from '../../config/config.default';
import { Dispatcher } from '../../lib/ingress/dispatcher';
import type { Dispatch, Receiver } from '../../lib/ingress/dispatch';
import { randomId, traceOf } from '../../lib/observe/trace';
import { METHOD, type InstanceAddress, type SpecsPush } from '../../lib/protocol/control';
import { NACK } from '../../lib/protocol/frame';
import type { FunctionSpec } from '../../lib/spec/types';
import type { CartonError } from '../../lib/support/errors';
import type { HostEnvironment } from '../../lib/support/host_environment';
import { HostDirectory } from '../../lib/support/host_directory';
import { FakeClock } from '../support/fake_clock';
import { specOf } from '../trigger/spec_of';
import { ScriptedInstance } from './scripted_instance';

/** What became of one request. */
class Outcome implements Receiver {
  readonly ended: Promise<string>;
  #end: (what: string) => void = () => undefined;
  readonly consume: (() => void)[] = [];

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  value(json: Buffer): void {
    this.#end(json.toString());
  }

  stream(): void {
    this.consume.length = 0;
  }

  data(chunk: Buffer, consumed: (bytes: number) => void): void {
    this.consume.push(() => consumed(chunk.length));
  }

  end(error: CartonError | undefined): void {
    this.#end(error?.code ?? 'end');
  }

  failed(error: CartonError): void {
    this.#end(error.code);
  }
}

const ACCEPTED_MS = 1000;

describe('the dispatcher', () => {
  const clock = new FakeClock();
  let dispatcher: Dispatcher;
  let instances: ScriptedInstance[] = [];

  beforeEach(() => {
    const silent = (): undefined => undefined;
    const environment: HostEnvironment = {
      application: { kind: 'module', name: 'a', baseDir: '/', entry: '/', options: {}, disabledPlugins: [] },
      config: carton, hostProcess: { pid: 1, startTime: '' }, development: false, clock,
      log: { debug: silent, info: silent, warn: silent, error: silent },
    };
    dispatcher = new Dispatcher(environment, new HostDirectory(join(tmpdir(), 'carton-no-agent'), environment.hostProcess));
  });
  afterEach(() => {
    dispatcher.close();
    for (const instance of instances) instance.close();
    instances = [];
  });

  const instance = async (id: string): Promise<ScriptedInstance> => {
    const made = await new ScriptedInstance(id).start();
    instances.push(made);
    return made;
  };

  /** Pushes specs: groups of function names, with the instances of each. */
  const push = (groups: Readonly<Record<string, readonly string[]>>, live: Readonly<Record<string, readonly InstanceAddress[]>> = {}, spec: Partial<FunctionSpec> = {}): void => {
    const message: SpecsPush = {
      epoch: 1, revision: 'r', workers: 1,
      functions: Object.entries(groups).flatMap(([group, names]) => names.map((name) => ({ ...specOf(name, 'GET', '/'), queueLimit: 10, ...spec, group }))),
      groups: Object.entries(groups).map(([key, functions]) => ({ key, functions, concurrency: spec.concurrency ?? 1, minInstances: 0, maxInstances: 1, idleTimeoutMs: 1000 })),
      instances: Object.entries(live).map(([group, addresses]) => ({ group, instances: addresses })),
    };
    dispatcher.onSpecs(message);
  };

  const request = (name: string): { outcome: Outcome; dispatch: Dispatch } => {
    const outcome = new Outcome();
    const dispatch = dispatcher.dispatch(
      { function: name, trigger: 'oneapi', args: { kind: 'array' }, id: randomId(16), trace: traceOf(undefined, undefined), user: undefined, streamFormat: 'ndjson' },
      Buffer.from('[]'), clock.now() + ACCEPTED_MS, outcome,
    );
    return { outcome, dispatch };
  };

  it('fails what waits for a function that is gone from the specs', async () => {
    push({ a: ['a'], b: ['b', 'c'] });
    const waiting = ['a', 'b', 'c'].map((name) => request(name).outcome.ended);
    push({ b: ['c'] });
    assert.deepEqual(await Promise.all(waiting.slice(0, 2)), ['CARTON_INGRESS_UNKNOWN_FUNCTION', 'CARTON_INGRESS_UNKNOWN_FUNCTION']);
    assert.throws(() => request('a'), { code: 'CARTON_INGRESS_UNKNOWN_FUNCTION' });
    const served = await instance('i');
    dispatcher.onInstances({ group: 'b', instances: [served.address] });
    const call = await served.call();
    assert.equal(ScriptedInstance.indexOf(call), 0);
    call.replyText('"c"');
    assert.equal(await waiting[2], '"c"');
  });

  it('takes what waits along when a function moves to another group, and numbers it as its new instances do', async () => {
    push({ a: ['a'], b: ['b'] });
    const { outcome } = request('a');
    const served = await instance('i');
    push({ b: ['x', 'b', 'a'] }, { b: [served.address] });
    const call = await served.call();
    assert.equal(ScriptedInstance.indexOf(call), 2);
    call.replyText('1');
    assert.equal(await outcome.ended, '1');
  });

  it('sends nothing new to an instance that is listed no more, and lets what runs there end', async () => {
    const old = await instance('old');
    push({ a: ['a', 'b'] }, { a: [old.address] }, { concurrency: 5 });
    const first = request('a').outcome;
    const running = await old.call();
    const next = await instance('next');
    push({ a: ['b', 'a'] }, { a: [next.address] }, { concurrency: 5 });
    const second = request('a').outcome;
    const call = await next.call();
    assert.deepEqual([ScriptedInstance.indexOf(running), ScriptedInstance.indexOf(call)], [0, 1]);
    running.replyText('"old"');
    call.replyText('"next"');
    assert.deepEqual([await first.ended, await second.ended], ['"old"', '"next"']);
  });

  it('sends nothing more to an instance that refused, until it says that a place is free', async () => {
    const full = await instance('full');
    push({ a: ['a'] }, { a: [full.address] }, { concurrency: 5 });
    const outcomes = [1, 2, 3].map(() => request('a').outcome);
    const refused = [await full.call(), await full.call(), await full.call()];
    for (const call of refused) call.nack(NACK.busy);
    const [session] = full.sessions;
    // Turns enough for thousands of invocations to come and go, if each refusal set off the next.
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(full.unanswered, 0);
    session?.event(METHOD.free, Buffer.alloc(0));
    for (const [index] of outcomes.entries()) (await full.call()).replyText(String(index));
    assert.deepEqual(await Promise.all(outcomes.map(({ ended }) => ended)), ['0', '1', '2']);
  });

  it('does not run what came back after its deadline, and counts it no longer among those that wait', async () => {
    const served = await instance('i');
    push({ a: ['a'] }, { a: [served.address] });
    const { outcome, dispatch } = request('a');
    const call = await served.call();
    dispatch.expire();
    call.nack(NACK.busy);
    assert.equal(await outcome.ended, 'CARTON_SCHEDULER_UNAVAILABLE');
    assert.deepEqual(dispatcher.allDemand(), []);
  });

  it('refuses what had not begun when it is closed', async () => {
    const served = await instance('i');
    push({ a: ['a'] }, { a: [served.address] });
    const placed = request('a').outcome;
    await served.call();
    const waiting = request('a').outcome;
    dispatcher.close();
    assert.deepEqual([await placed.ended, await waiting.ended], ['CARTON_INGRESS_CLOSING', 'CARTON_INGRESS_CLOSING']);
  });

  it('opens a new session to an instance that is listed again', async () => {
    const served = await instance('i');
    push({ a: ['a'] }, { a: [served.address] }, { concurrency: 2 });
    const first = request('a').outcome;
    const running = await served.call();
    dispatcher.onInstances({ group: 'a', instances: [] });
    const second = request('a').outcome;
    dispatcher.onInstances({ group: 'a', instances: [served.address] });
    (await served.call()).replyText('2');
    running.replyText('1');
    assert.deepEqual([await first.ended, await second.ended], ['1', '2']);
  });

  it('brings what had not begun on a dying instance, and what waited for it, to another', async () => {
    const dying = await instance('dying');
    push({ a: ['a'] }, { a: [dying.address] });
    const sent = request('a').outcome;
    await dying.call();
    const waiting = request('a').outcome;
    dying.crash();
    const next = await instance('next');
    dispatcher.onInstances({ group: 'a', instances: [next.address] });
    (await next.call()).replyText('1');
    (await next.call()).replyText('2');
    assert.deepEqual([await sent.ended, await waiting.ended].sort(), ['1', '2']);
  });

  it('fails what had begun on a dying instance, and serves the next one elsewhere', async () => {
    const dying = await instance('dying');
    push({ a: ['a'] }, { a: [dying.address] });
    const sent = request('a').outcome;
    dying.begun(await dying.call());
    const waiting = request('a').outcome;
    dying.crash();
    assert.equal(await sent.ended, 'CARTON_INSTANCE_CRASHED');
    const next = await instance('next');
    dispatcher.onInstances({ group: 'a', instances: [next.address] });
    (await next.call()).replyText('2');
    assert.equal(await waiting.ended, '2');
  });

  it('takes an instance that says nothing after the deadline for blocked', async () => {
    const blocked = await instance('blocked');
    push({ a: ['a'] }, { a: [blocked.address] });
    const { outcome, dispatch } = request('a');
    await blocked.call();
    dispatch.expire();
    clock.advance(1000);
    assert.equal(await outcome.ended, 'CARTON_INSTANCE_UNRESPONSIVE');
    const { outcome: next, dispatch: waiting } = request('a');
    waiting.expire();
    assert.equal(await next.ended, 'CARTON_SCHEDULER_UNAVAILABLE');
  });

  it('does not blame an instance for a reader that does not take its stream', async () => {
    const healthy = await instance('healthy');
    push({ a: ['a'] }, { a: [healthy.address] });
    const { outcome, dispatch } = request('a');
    const stream = (await healthy.call()).openStream(Buffer.from([1]));
    stream.write(Buffer.alloc(10));
    while (outcome.consume.length === 0) await new Promise((resolve) => setImmediate(resolve));
    dispatch.expire();
    clock.advance(1000);
    assert.equal(await outcome.ended, 'CARTON_RUNTIME_TIMEOUT');
    const next = request('a').outcome;
    (await healthy.call()).replyText('1');
    assert.equal(await next.ended, '1');
  });

  it('fails what waits when the worker closes', async () => {
    push({ a: ['a'] });
    const { outcome } = request('a');
    dispatcher.close();
    assert.equal(await outcome.ended, 'CARTON_INGRESS_CLOSING');
    assert.throws(() => dispatcher.admit(specOf('a', 'GET', '/')), { code: 'CARTON_INGRESS_CLOSING' });
  });

  it('refuses above its share of the queue, and makes room when a caller leaves', async () => {
    push({ a: ['a'] }, {}, { queueLimit: 2 });
    const first = request('a');
    const second = request('a');
    assert.equal(await request('a').outcome.ended, 'CARTON_INGRESS_QUEUE_FULL');
    first.dispatch.cancel();
    const fourth = request('a');
    const served = await instance('i');
    dispatcher.onInstances({ group: 'a', instances: [served.address] });
    (await served.call()).replyText('2');
    (await served.call()).replyText('4');
    assert.deepEqual([await second.outcome.ended, await fourth.outcome.ended], ['2', '4']);
  });

  it('keeps a rate limit as used up as it is when the same specs are pushed again', () => {
    const rateLimit = { perSecond: 0.001, burst: 1 };
    push({ a: ['a'] }, {}, { rateLimit });
    const spec = { ...specOf('a', 'GET', '/'), rateLimit };
    dispatcher.admit(spec);
    push({ a: ['a'] }, {}, { rateLimit });
    assert.throws(() => dispatcher.admit(spec), { code: 'CARTON_INGRESS_RATE_LIMITED' });
    push({ a: ['a'] }, {}, { rateLimit: { perSecond: 0.001, burst: 2 } });
    dispatcher.admit(spec);
  });
});
