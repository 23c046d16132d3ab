/**
 * Writes an application with as many functions as asked, each a file and an instance of its own, and with a route that
 * gives the same answers: a stock worker of it runs the same code. Every run writes the same bytes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inDirectory, type Application } from './applications';

/** Long enough for a benchmark not to see an instance reclaimed. */
const IDLE_TIMEOUT_MS = 3_600_000;

const CONFIG = `'use strict';

exports.keys = 'many-functions-keys';
// The client that measures sends no cookies.
exports.security = { csrf: { enable: false } };
`;

const CARTON = `'use strict';

exports.carton = { enable: true, package: 'egg-carton' };
`;

/** In a fork that answers routes there is no agent whose work these could share. */
const HOSTED = `'use strict';

for (const name of [ 'development', 'logrotator', 'watcher', 'schedule' ]) exports[name] = false;
`;

const SHARED = `'use strict';

const PARTS = [ 'tea', 'cup', 'pot', 'tray', 'spoon' ];

/** What all functions do: reads its question, makes objects and strings, sorts. */
exports.answer = (index, { name = 'Ada', count = 3 } = {}) => {
  const items = Array.from({ length: count }, (_, i) => ({ id: index * 100 + i, part: PARTS[(index + i) % PARTS.length], price: ((index * 7 + i * 13) % 50) + 1 }));
  items.sort((a, b) => a.price - b.price);
  return { greeting: \`Hello, \${name}\`, from: index, total: items.reduce((sum, item) => sum + item.price, 0), items };
};
`;

const CONTROLLER = `'use strict';

const { readdirSync } = require('node:fs');
const { join } = require('node:path');

const directory = join(__dirname, '../function');
const functions = new Map(readdirSync(directory).map(file => [ file.replace(/\\.js$/, ''), require(join(directory, file)) ]));

module.exports = app => class AnswerController extends app.Controller {
  async show() {
    const { ctx } = this;
    ctx.body = await functions.get(ctx.params.name)(ctx, ctx.request.body[0]);
  }
};
`;

const ROUTER = `'use strict';

module.exports = ({ router, controller }) => router.post('/route/:name', controller.answer.show);
`;

export const ROUTE_PREFIX = '/route/';

export function functionName(index: number): string {
  return `f${index}`;
}

/** Settings for `count` instances that stay until the host ends. */
export function settingsFor(count: number): Readonly<Record<string, unknown>> {
  return {
    maxInstances: count + 10,
    functionDefaults: { idleTimeoutMs: IDLE_TIMEOUT_MS, maxInstances: 1 },
    // It would be built meanwhile, and be in the figures.
    snapshot: { enable: false },
  };
}

/** Whoever builds it removes it. */
export function buildManyFunctions(count: number): Application {
  return inDirectory('many-functions', (baseDir) => writeTo(baseDir, count), { routePath: `${ROUTE_PREFIX}${functionName(0)}`, functionName: functionName(0), args: [] });
}

function writeTo(baseDir: string, count: number): void {
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(baseDir, file)), { recursive: true });
    writeFileSync(join(baseDir, file), text);
  };
  write('package.json', '{ "name": "many-functions", "version": "1.0.0", "private": true }\n');
  write('config/config.default.js', CONFIG);
  write('config/plugin.carton.js', CARTON);
  write('config/plugin.hosted.js', HOSTED);
  write('lib/answer.js', SHARED);
  write('app/controller/answer.js', CONTROLLER);
  write('app/router.js', ROUTER);
  mkdirSync(join(baseDir, 'app/public'), { recursive: true });
  for (let i = 0; i < count; i += 1) {
    write(`app/function/${functionName(i)}.js`, `'use strict';\n\nconst { answer } = require('../../lib/answer');\n\nmodule.exports = async function ${functionName(i)}(ctx, question) {\n  return answer(${i}, question);\n};\n`);
  }
}
