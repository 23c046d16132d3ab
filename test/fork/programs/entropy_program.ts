/**
 * Forks draw random numbers that the template has drawn before: of Node, and of libraries whose folders are the
 * template's argument. What libraries drew before the fork is drawn on in `state`.
 */
import crypto from 'node:crypto';
import type { TemplateProgram } from '../../../lib/fork/program';

/** What each library of the test exports; some ids are made of bytes that a fork must not have in common. */
interface Library {
  draw(): string;
}

interface State {
  readonly draws: Readonly<Record<string, () => string>>;
}

export interface Libraries {
  readonly required: Readonly<Record<string, string>>;
  readonly imported: Readonly<Record<string, string>>;
}

const { random } = Math;
const { randomUUID, randomInt } = crypto;
const INTEGERS = 2 ** 47;

const program: TemplateProgram<State> = {
  async warm(argument, inherited) {
    const draws: Record<string, () => string> = {
      'Math.random': () => String(Math.random()),
      'Math.random, taken hold of': () => String(random()),
      'crypto.randomUUID': () => crypto.randomUUID(),
      'crypto.randomUUID, taken hold of': () => randomUUID(),
      'webcrypto.randomUUID': () => globalThis.crypto.randomUUID(),
      'crypto.randomInt': () => String(randomInt(INTEGERS)),
    };
    if (inherited !== undefined && inherited !== null) Object.assign(draws, (inherited as State).draws);
    const { required, imported } = argument as Libraries;
    for (const [name, file] of Object.entries(required)) draws[name] = (require(file) as Library).draw;
    for (const [name, file] of Object.entries(imported)) draws[name] = ((await (import(file) as Promise<unknown>)) as Library).draw;
    // So that pools and caches are there before the fork.
    for (const draw of Object.values(draws)) draw();
    return { draws };
  },

  run({ channel }, { draws }) {
    channel.end(JSON.stringify(Object.fromEntries(Object.entries(draws).map(([name, draw]) => [name, [draw(), draw()]]))));
  },
};

module.exports = program;
